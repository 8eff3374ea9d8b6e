"""The fault run's script, and the failpoints it arms."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from app.core.failpoints import SYNC
from bench.faults.kinds import KINDS, TOTAL, counts
from bench.faults.script import Cast, digest_of, write_script

CAST = Cast(["studio-1", "studio-2"], ["anna", "boris"], workers=2, lease=5.0)


def test_a_seed_plays_the_same_script_again_and_another_seed_another() -> None:
    first, again, other = (write_script(seed, 200, CAST) for seed in (1, 1, 2))

    assert digest_of(first) == digest_of(again)
    assert digest_of(first) != digest_of(other)


def test_two_hundred_faults_are_those_of_the_table() -> None:
    script = write_script(3, 200, CAST)

    assert TOTAL == 200
    assert Counter(step.kind for step in script) == {kind.name: kind.share for kind in KINDS}


def test_every_failpoint_has_its_turns_among_forty_kills() -> None:
    for seed in range(1, 6):
        points = Counter(
            step.params.get("point") for step in write_script(seed, 200, CAST) if step.kind == "F1"
        )

        assert {points[name] for name in SYNC} == {3}, points


@pytest.mark.parametrize("faults", [16, 30, 77, 200, 500])
def test_no_kind_is_left_out_of_a_shorter_or_longer_run(faults: int) -> None:
    found = counts(faults)

    assert sum(found.values()) == faults or min(found.values()) == 1
    assert min(found.values()) >= 1


def test_a_kind_without_a_place_leaves_its_share_to_the_others() -> None:
    found = counts(200, frozenset({"F10"}))

    assert "F10" not in found
    assert sum(found.values()) == 200


_PASSES = """
from app.core.failpoints import failpoint
for number in range(4):
    failpoint("push.calling")
    print(number, flush=True)
"""


def test_a_failpoint_armed_by_a_file_fells_one_process_at_its_turn(tmp_path: Path) -> None:
    armed = tmp_path / "failpoint"
    armed.write_text("push.calling:3")
    environment = {"KWORK_FAILPOINT_FILE": str(armed), "PYTHONPATH": str(Path(__file__).parents[2])}

    ended = [
        subprocess.run(
            [sys.executable, "-c", _PASSES], env=environment, capture_output=True, text=True, check=False
        )
        for _ in range(2)
    ]

    assert [(one.returncode, one.stdout.split()) for one in ended] == [
        (-9, ["0", "1"]),
        (0, ["0", "1", "2", "3"]),
    ]
    assert not armed.exists()
