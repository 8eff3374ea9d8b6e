"""The fault run, short: real processes, faults of every kind that fits, a verdict from the stand-ins' journals."""

from __future__ import annotations

from bench.faults import say
from bench.faults.run import storm

ORDERS, FAULTS, SEED = 100, 30, 1


def test_nothing_is_lost_or_doubled_in_a_storm_of_faults() -> None:
    goals = storm(ORDERS, FAULTS, SEED, say)

    wrong = [goal for goal in goals if not goal.met]
    assert [f"{goal.what}: {goal.measured}, цель {goal.wanted}" for goal in wrong] == []
