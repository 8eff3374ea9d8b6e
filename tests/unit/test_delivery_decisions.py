"""What becomes of a delivery after an error: the whole table, families × what was tried."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.crm import Entity, LookupUnsupported
from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    LayoutChanged,
    RateLimited,
    Rejected,
    ServiceError,
    Unavailable,
)
from app.repositories.deliveries import Claimed
from app.services.crm_breaker import Paused
from app.services.delivery_decisions import Tried, after, crashed, held, tried

PAUSE = 77.0


def claimed(**changes: Any) -> Claimed:
    known: dict[str, Any] = {
        "id": 1, "entity": Entity.LEAD, "external_id": "kwork:order:1", "payload": {}, "payload_hash": b"1",
        "attempts": 3, "lookups": 0, "was_unknown": False, "unclear_seconds": None, "sent_hash": None, "crm_id": None,
        "linked_hash": None, "contact_id": None, "contact_open": False,
    }  # fmt: skip
    return Claimed(**{**known, **changes})


ITEMS = {
    Tried.CREATE: (claimed(), claimed(entity=Entity.CONTACT)),
    Tried.UPDATE: (claimed(crm_id="5"), claimed(entity=Entity.CONTACT, crm_id="5", was_unknown=True)),
    Tried.NOTE: (claimed(entity=Entity.NOTE, lead_id="5"),),
    Tried.LOOKUP: (claimed(was_unknown=True), claimed(entity=Entity.CONTACT, was_unknown=True)),
}
ERRORS: dict[str, ServiceError] = {
    "unsupported": LookupUnsupported("x"),
    "rejected": Rejected("x"),
    "throttled": RateLimited("x", retry_after=9),
    "auth": AuthExpired("x"),
    "blocked": Blocked("x"),
    "paused": Paused("x"),
    "unavailable": Unavailable("x"),
    "ambiguous": Ambiguous("x"),
    "a surprise": LayoutChanged("x", path="y"),
}
PARKED, UNCLEAR = ("parked", "own"), ("parked", "unclear_outcome")
HELD, ASK_LATER = ("retry", "pause"), ("unknown", "pause")
AGAIN, ASK_AGAIN, LOOK_UP = ("retry", "backoff"), ("unknown", "backoff"), ("unknown", "soon")
TABLE = {
    #               create     update   note     look-up
    "unsupported": (UNCLEAR, UNCLEAR, UNCLEAR, UNCLEAR),
    "rejected": (PARKED, PARKED, PARKED, UNCLEAR),
    "throttled": (HELD, HELD, HELD, ASK_LATER),
    "auth": (HELD, HELD, HELD, ASK_LATER),
    "blocked": (HELD, HELD, HELD, ASK_LATER),
    "paused": (HELD, HELD, HELD, ASK_LATER),
    "unavailable": (AGAIN, AGAIN, AGAIN, ASK_AGAIN),
    "ambiguous": (LOOK_UP, AGAIN, UNCLEAR, ASK_AGAIN),
    "a surprise": (ASK_AGAIN, AGAIN, UNCLEAR, ASK_AGAIN),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_table(name: str) -> None:
    error = ERRORS[name]
    for what, (state, how) in zip(Tried, TABLE[name], strict=True):
        for item in ITEMS[what]:
            assert tried(item) is what
            settled = after(item, error, PAUSE)
            assert settled.state == state, (name, what, item.entity)
            assert settled.sent is (how != "pause"), "what was not tried is not counted"
            if how == "pause":
                assert settled.delay == PAUSE
            elif how == "backoff":
                assert 0.7 * 4 <= settled.delay <= 1.3 * 4
            if state == "parked":
                assert settled.reason_code == (error.code if how == "own" else how)


def test_a_repeat_waits_as_long_as_the_crm_asks() -> None:
    assert after(claimed(attempts=0), Unavailable("x", retry_after=40), 0).delay == 40


def test_nothing_that_may_have_arrived_is_ever_simply_sent_again() -> None:
    """For each error after a create, a note or a look-up: no state that would send without looking first."""
    for error in (Ambiguous("x"), LayoutChanged("x", path="y")):
        for what in (Tried.CREATE, Tried.NOTE, Tried.LOOKUP):
            for item in ITEMS[what]:
                assert after(item, error, 0).state in ("unknown", "parked")
    assert crashed(claimed()).state == "unknown"
    assert crashed(claimed(entity=Entity.NOTE)).state == "parked"
    assert held(claimed(was_unknown=True), 5).state == "unknown"
