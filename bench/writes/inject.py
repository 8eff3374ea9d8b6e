"""Lets something go wrong with one write, and sees whether it did."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.writes.asked import Asked, Fault
from bench.writes.caller import arrived
from tests.stand import Stand

_HELD_SECONDS = 1.0
_FAILING_LOOKUPS = 2


@contextmanager
def fault_of(stand: Stand, asked: Asked) -> Iterator[None]:
    """The write's fault is on within the block; ``asked.met`` afterwards says whether it was met."""
    fault = asked.fault
    if fault is None:
        yield
        return
    if fault.on == "world":
        _change_world(stand, asked, fault)
        asked.met = True
        yield
        return
    number = _switch_on(stand, asked, fault)
    watching = threading.Thread(target=_fail_lookups, args=(stand, asked), daemon=True)
    if fault.on == "lookup":
        watching.start()
    yield
    asked.met = next(one["hits"] for one in stand.faults() if one["id"] == number) > 0
    if fault.on == "lookup":
        watching.join()
    for one in stand.faults():
        if one["account"] == asked.account:
            stand.call("DELETE", f"/faults/{one['id']}")


def _switch_on(stand: Stand, asked: Asked, fault: Fault) -> int:
    deed = asked.deeds[asked.step]
    places: dict[str, tuple[str, str] | None] = {
        "deed": (deed.surface, deed.path),
        "lookup": (deed.surface, deed.path),
        "reading": asked.reading,
        "upload": asked.uploads,
        "form": ("web", "/wants/create_offer_draft"),
    }
    surface, path = places[fault.on] or ("", "")
    where: dict[str, Any] = {"surface": surface, "path": path, "account": asked.account, "count": 1}
    if fault.on == "lookup":  # the answer is held back until looking up fails
        stand.fault("slow", **where, seconds=_HELD_SECONDS, when="after")
    number: int = stand.fault(fault.kind, **where, **fault.given)["id"]
    return number


def _fail_lookups(stand: Stand, asked: Asked) -> None:
    deed = asked.deeds[asked.step]
    deadline = time.monotonic() + 30
    while not arrived(stand, deed) and time.monotonic() < deadline:
        time.sleep(0.05)
    surface = "web" if asked.kind == "edit_gig" else "api"
    stand.fault("error_500", surface=surface, account=asked.account, count=_FAILING_LOOKUPS)


def _change_world(stand: Stand, asked: Asked, fault: Fault) -> None:
    world = asked.world or {}
    if fault.kind == "project":
        stand.change_project(world["project"], **fault.given)
    else:
        stand.advance_order(world["order"], **fault.given)
