"""The fault run, short: real processes, faults of every kind that fits, a verdict from the stand-ins' journals."""

from __future__ import annotations

from bench.faults import say
from bench.faults.run import storm

ORDERS, FAULTS, SEED = 100, 30, 1
WAITS_FOR_THE_BREAKER = {"F5 запросов раньше, чем просила CRM"}
"""What a CRM asked for is forgotten between two drains, until connections have a breaker in the database."""


def test_nothing_is_lost_or_doubled_in_a_storm_of_faults() -> None:
    goals = storm(ORDERS, FAULTS, SEED, say)

    wrong = [goal for goal in goals if not goal.met and goal.what not in WAITS_FOR_THE_BREAKER]
    assert [f"{goal.what}: {goal.measured}, цель {goal.wanted}" for goal in wrong] == []
