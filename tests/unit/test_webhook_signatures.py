"""Signatures against the specification's own example, and the code that docs/events.md gives to receivers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from app.domain.webhooks import WAITS, headers, new_secret, signatures, wait_after

DOCS = Path(__file__).resolve().parents[2] / "docs" / "events.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"text": "«Привет»"}'.encode()


def code(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def sent(*secrets: str, at: int | None = None) -> dict[str, str]:
    given = headers(secrets, "msg_1", int(time.time()) if at is None else at, BODY)
    return {name.lower(): value for name, value in given.items()}


def test_the_example_of_the_specification_comes_out() -> None:
    found = signatures([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_documented_python_takes_what_is_sent_and_nothing_else() -> None:
    space: dict[str, Any] = {}
    exec(code("python"), space)
    genuine, secret = space["is_genuine"], new_secret()
    assert genuine(secret, sent(secret), BODY)
    assert genuine(secret, sent(new_secret(), secret), BODY)
    assert not genuine(secret, sent(secret), BODY + b" ")
    assert not genuine(secret, sent(new_secret()), BODY)
    assert not genuine(secret, sent(secret, at=int(time.time()) - 3600), BODY)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not on this machine")
def test_the_documented_node_takes_what_is_sent_and_nothing_else(tmp_path: Path) -> None:
    secret = new_secret()
    cases = [
        (secret, sent(secret), BODY, True),
        (secret, sent(new_secret(), secret), BODY, True),
        (secret, sent(secret), BODY + b" ", False),
        (secret, sent(new_secret()), BODY, False),
        (secret, sent(secret, at=int(time.time()) - 3600), BODY, False),
    ]
    calls = [[one, given, body.decode()] for one, given, body, _ in cases]
    script = tmp_path / "check.js"
    script.write_text(
        f"{code('js')}\nfor (const [s, h, b] of {json.dumps(calls)}) console.log(isGenuine(s, h, Buffer.from(b)));",
        encoding="utf-8",
    )
    told = subprocess.run(["node", str(script)], capture_output=True, text=True, check=True).stdout.split()
    assert told == [str(wanted).lower() for *_, wanted in cases]


def test_tries_go_on_for_more_than_a_day_with_growing_waits() -> None:
    assert sum(WAITS) > 24 * 3600
    assert list(WAITS) == sorted(WAITS)
    assert [wait_after(number) for number in (1, 2, len(WAITS))] == [WAITS[0], WAITS[1], WAITS[-1]]
    assert wait_after(len(WAITS) + 1) is None
