"""F11 to F14: what Kwork does to an account, or to everybody."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from bench.faults.bed import Bed
from bench.faults.door import until
from bench.faults.script import Step

Seen = dict[str, Any] | None
_PATIENCE_SECONDS = 15.0
_QUIET_SECONDS = 2.0
_READ_WITHIN_SECONDS = 15.0
_LET_IN_SECONDS = 90.0
_TRIES = 2
ORDER_LISTS = {"web": "/get_manage_orders*", "api": "/workerOrders*"}


def signed_out(bed: Bed, step: Step) -> Seen:
    """All sessions of the account are gone; pages show the form to sign in."""
    account, forget = step.params["account"], step.params["forget"]
    with suppress(TimeoutError):  # it may be waiting for its next sign-in still
        return {"ended": until(lambda: bed.stand.sign_out(account, forget=forget), _PATIENCE_SECONDS)}
    return None


def captcha(bed: Bed, step: Step) -> Seen:
    """Kwork asks for a captcha at the next sign-in, whoever's it is; after a while of silence a person lets it in again."""
    for account in waiting_for_a_person(bed):  # from the time before
        let_in(bed, account)
    since = time.time()
    asked = bed.stand.fault("captcha", surface="api", path="/signIn", count=1)
    waiting: list[str] = []
    for _ in range(
        _TRIES
    ):  # a database that is away, or a pause after a sign-in just before, may last longer
        bed.stand.sign_out(step.params["account"])
        with suppress(TimeoutError):
            waiting = until(lambda: waiting_for_a_person(bed), bed.size.sign_in_pause + _PATIENCE_SECONDS)
            break
    bed.stand.call("DELETE", f"/faults/{asked['id']}")
    if not waiting:
        return None
    account = waiting[0]
    mark = bed.stand.mark()
    time.sleep(_QUIET_SECONDS)
    after = [row["path"] for row in bed.stand.journal(account=account, since=mark) if row["surface"] != "crm"]
    let_in(bed, account)
    return {"account": account, "after": after, "since": since}


def waiting_for_a_person(bed: Bed) -> list[str]:
    """User names of accounts that need one."""
    found = []
    for account, (tenant, account_id) in list(bed.accounts.items()):
        card = bed.doors[tenant].ask("GET", f"/accounts/{account_id}")
        if card and card["state"] == "needs_person":
            found.append(account)
    return found


def let_in(bed: Bed, account: str) -> None:
    """What the person does: signs in again, as often as the pause between sign-ins demands, until the account works."""
    tenant, account_id = bed.accounts[account]
    door = bed.doors[tenant]

    def is_in() -> bool:
        card = door.ask("POST", f"/accounts/{account_id}/session") or door.ask(
            "GET", f"/accounts/{account_id}"
        )
        return bool(card) and card["state"] == "connected"

    until(is_in, _LET_IN_SECONDS, every=0.5)


def drift(bed: Bed, step: Step) -> Seen:
    """The lists of the account's orders change their shape on both surfaces."""
    params = {"field": step.params["field"]} if "field" in step.params else {}
    made = [
        bed.stand.fault(step.params["drift"], surface=surface, path=path, account=step.params["account"], **params)
        for surface, path in ORDER_LISTS.items()
    ]  # fmt: skip
    return _for_a_while(bed, made, step.params["seconds"], [step.params["account"]])


def maintenance(bed: Bed, step: Step) -> Seen:
    made = [bed.stand.fault(step.params["page"], surface=surface) for surface in ORDER_LISTS]
    return _for_a_while(bed, made, step.params["seconds"], list(bed.accounts))


def _for_a_while(bed: Bed, made: list[dict[str, Any]], seconds: float, accounts: list[str]) -> Seen:
    """So long, and until somebody met it."""
    numbers = {fault["id"] for fault in made}
    started, hits = time.monotonic(), 0
    while time.monotonic() < started + (seconds if hits else _READ_WITHIN_SECONDS):
        for account in accounts:
            bed.sync(account)
        time.sleep(0.5)
        hits = sum(fault["hits"] for fault in bed.stand.faults() if fault["id"] in numbers)
    for number in numbers:
        bed.stand.call("DELETE", f"/faults/{number}")
    return {"hits": hits} if hits else None
