"""When a CRM is left alone, for how long, and how it is tried again. The clock stands until it is moved."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from app.repositories.crm_health import CrmHealth
from app.services.crm_breaker import (
    FAILURES,
    LONGEST_PAUSE,
    SHORTEST_PAUSE,
    Breaker,
    Paused,
    SetUpFailed,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def breaker(clock: Clock, known: CrmHealth | None = None) -> Breaker:
    return Breaker(known, clock=clock, jitter=lambda: 1.0)


def fail(breaker: Breaker, times: int, error: ServiceError | None = None) -> None:
    for _ in range(times):
        breaker.note(error or Unavailable("x"))


def test_it_opens_after_some_failures_in_a_row(clock: Clock) -> None:
    one = breaker(clock)
    fail(one, FAILURES - 1)
    assert (one.is_open, one.pause) == (False, 0.0)
    fail(one, 1, Ambiguous("x"))
    assert (one.is_open, one.pause) == (True, SHORTEST_PAUSE)


def test_a_good_answer_in_between_starts_the_count_anew(clock: Clock) -> None:
    one = breaker(clock)
    for _ in range(3):
        fail(one, FAILURES - 1)
        one.note(Rejected("the CRM answered"))
    assert not one.is_open


@pytest.mark.parametrize(
    ("error", "pause"),
    [(AuthExpired("x"), 300.0), (Blocked("x"), 300.0), (SetUpFailed("x"), 60.0)],
    ids=["auth", "blocked", "set-up"],
)
def test_one_refusal_is_enough_and_is_asked_about_seldom(
    clock: Clock, error: ServiceError, pause: float
) -> None:
    one = breaker(clock)
    one.note(error)
    assert (one.is_open, one.pause) == (True, pause)
    for _ in range(12):
        clock.now += one.pause
        one.note(error)
    assert one.pause == 3600


def test_each_failed_probe_makes_the_pause_longer_up_to_a_limit(clock: Clock) -> None:
    one = breaker(clock)
    fail(one, FAILURES)
    pauses = []
    for _ in range(8):
        clock.now += one.pause
        fail(one, 1)
        pauses.append(one.pause)
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]
    assert max(pauses) == LONGEST_PAUSE


def test_calls_that_were_on_their_way_change_nothing_once_it_is_open(clock: Clock) -> None:
    one = breaker(clock)
    fail(one, FAILURES + 10)
    assert one.pause == SHORTEST_PAUSE
    one.note(None)
    assert one.is_open


def test_a_good_probe_closes_it(clock: Clock) -> None:
    one = breaker(clock)
    fail(one, FAILURES)
    clock.now += one.pause
    one.note(None)
    assert (one.is_open, one.pause) == (False, 0.0)
    fail(one, FAILURES)
    assert one.pause == SHORTEST_PAUSE, "it begins anew"


def test_being_asked_to_wait_is_obeyed_and_is_no_failure(clock: Clock) -> None:
    one = breaker(clock)
    for _ in range(FAILURES * 2):
        one.note(RateLimited("x", retry_after=60))
    assert (one.is_open, one.pause) == (False, 60.0)
    one.note(Paused("not sent"))
    assert not one.is_open


def test_jitter_never_shortens_what_the_crm_asked_for() -> None:
    for _ in range(50):
        one = Breaker(None, clock=lambda: 0.0)
        one.note(RateLimited("x", retry_after=10))
        assert 10 <= one.pause <= 12


def test_the_next_worker_goes_on_where_the_last_one_was(clock: Clock) -> None:
    first = breaker(clock)
    fail(first, FAILURES)
    told = first.told()
    known = CrmHealth(
        UUID(int=1), told.ok, datetime.now(UTC), told.code, told.detail, told.failures, datetime.now(UTC),
        told.openings, None, told.pause,
    )  # fmt: skip
    second = breaker(clock, known)
    assert (second.is_open, second.pause) == (True, SHORTEST_PAUSE)
    clock.now += second.pause
    fail(second, 1)
    assert second.pause == 2 * SHORTEST_PAUSE
