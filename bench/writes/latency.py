"""``POST chat/{dialog_id}/send`` in mode ``direct`` beside the same call to the stand-in by a bare client.

- Ours: the API's answer, with the message told, marked, sent, settled and its audit kept.
- The yardstick: ``POST /inboxCreate`` with the same text to the same person, over a connection kept alive.

In turns, one at a time; what counts is the difference of each pair. The account's pace is off: it is a setting,
not a cost.
"""

from __future__ import annotations

import time
from typing import Any

import httpx2

from bench.goal import Goal
from bench.writes.bed import Bed

TIMES = 300
WARM_UP = 20
MOST_MS = 60.0


def measure(bed: Bed) -> list[Goal]:
    """One goal: the 95th percentile of what the service adds."""
    caller = bed.caller()
    name = bed.lanes()[0]
    buyer = bed.maker(name, caller, "latency").buyer()
    bed.read_new_things()
    user, _, password = bed.stand.mobile_key.partition(":")
    ours, bare = [], []
    with httpx2.Client(base_url=bed.stand.api, auth=(user, password)) as client:
        login = {"login": bed.stand.login, "password": bed.stand.password}
        token = client.post("/signIn", data=login).json()["response"]["token"]
        for number in range(WARM_UP + TIMES):
            form = {"token": token, "user_id": str(buyer), "text": f"Сообщение {number}, напрямую"}
            bare.append(_timed(client, "POST", "/inboxCreate", data=form))
            body = {"message": f"Сообщение {number}, через сервис"}
            ours.append(_timed(bed.api, "POST", f"/chat/{buyer}/send", json=body))
    more = sorted(mine - theirs for mine, theirs in zip(ours[WARM_UP:], bare[WARM_UP:], strict=True))
    p95 = more[int(len(more) * 0.95)]
    told = f"p95 {p95:.1f} мс, медиана {more[len(more) // 2]:.1f}"
    told += f" (двойник сам: {sorted(bare[WARM_UP:])[TIMES // 2]:.1f})"
    return [Goal("chat/send сверх времени двойника", told, f"p95 ≤ {MOST_MS:.0f} мс", p95 <= MOST_MS, TIMES)]


def _timed(client: Any, method: str, path: str, **given: Any) -> float:
    started = time.perf_counter()
    answer = client.request(method, path, **given)
    took = (time.perf_counter() - started) * 1000
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
    return took
