"""Rows that take more than counting: who was asked to wait, probes, told once, runs of one account.

Where the service's own word is taken (its events: since when a CRM counts as lost, that an account needs a person), it
only says what to look at; what was done is read in the stand-ins' journals.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from bench.faults.bed import Bed
from bench.faults.ledger import Ledger, Row
from bench.faults.nemesis import Played
from bench.goal import Goal

_SETTLING_SECONDS = 0.5
"""What was on its way when the CRM answered has arrived by then, and what it said is written down."""
_DEFAULT_WAIT = 10.0
_WAITS = {"2": 2.0, "3": 3.0, "date": 5.0, "99999999999999999999": 5.0}
_BLINK_SECONDS = 0.3


def zero(what: str, wrong: Sequence[Any], n: int, more: str = "") -> Goal:
    """A row that wants none of something, out of ``n``."""
    told = f"{len(wrong)} из {n}{more}" + (f": {', '.join(map(str, wrong[:2]))}" if wrong else "")
    return Goal(what, told[:110], "0", not wrong, n)


def obeyed(bed: Bed, ledger: Ledger, played: Sequence[Played]) -> Goal:
    """Requests that came although the CRM had asked to wait.

    Not judged is a 429 whose reader died or froze before it could write it down: nobody who is left has heard it. The
    port says who it was.
    """
    workers = {worker.crm_port: worker for worker in bed.workers}
    wrong, asked, unheard = {}, 0, 0
    for one in played:
        wait = _WAITS.get(one.step.params["after"], _DEFAULT_WAIT)
        tenant = one.step.params["tenant"]
        for said in _arrived(ledger, tenant, one.since, one.until):
            if said["status"] != 429:
                continue
            asked += 1
            if workers[said["port"]].was_away(said["at"], said["until"] + _SETTLING_SECONDS):
                unheard += 1
                continue
            since, until = said["until"] + _SETTLING_SECONDS, said["at"] + wait - _BLINK_SECONDS
            if one.step.params["after"] == "date":  # whole seconds; it may have come too late to ask for much
                until = min(until, one.seen["date"] - _BLINK_SECONDS)
            for row in _arrived(ledger, tenant, since, until):
                wrong[row["seq"]] = f"{row['method']} через {row['at'] - said['until']:.1f} с из {wait:g}"
    more = f" (ещё {unheard} прочесть было некому)" if unheard else ""
    return zero("F5 запросов раньше, чем просила CRM", list(wrong.values()), asked - unheard, more)


def _arrived(ledger: Ledger, tenant: str, since: float, until: float) -> list[Row]:
    return [row for row in ledger.rows if row["tenant"] == tenant and since < row["at"] < until]


def half_open(bed: Bed, ledger: Ledger) -> list[Goal]:
    """While a CRM counts as lost it gets one request at a time; that it is lost, and that it is back, is told once."""
    told = _events(bed, "crm_connection.changed")
    by_crm: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for event in told:
        by_crm[event["tenant_id"], event["subject"]].append(event)
    twice, wrong, probes, times = [], [], 0, 0
    for (tenant, _), events in by_crm.items():
        answers = [True, *(event["data"]["answers"] for event in events)]
        twice += [f"{tenant}: {now}" for before, now in pairwise(answers) if before == now]
        for since, until in _lost(events):
            rows = _arrived(ledger, tenant, since + _SETTLING_SECONDS, until)
            times, probes = times + 1, probes + len(rows)
            wrong += list(_together(rows, bed.size.crm_deadline))
    return [
        zero("F6 проб сразу, а не по одной", wrong, probes, f" (CRM терялась {times} раз)"),
        zero("F6 потеря CRM и возвращение сказаны дважды", twice, len(told)),
    ]


def _lost(events: Sequence[Row]) -> Iterator[tuple[float, float]]:
    """From when to when the CRM counted as lost."""
    since = None
    for event in events:
        if event["data"]["answers"]:
            if since is not None:
                yield since, event["at"]
            since = None
        elif since is None:
            since = event["at"]


def _together(rows: Sequence[Row], deadline: float) -> Iterator[str]:
    """Requests that came before the one before them was over; the service waits no longer than its deadline."""
    for before, row in pairwise(sorted(rows, key=lambda row: row["at"])):
        over = min(before["until"], before["at"] + deadline)
        if row["at"] < over:
            yield f"{row['method']} за {over - row['at']:.2f} с до ответа"


def sign_ins(bed: Bed) -> Goal:
    """No account signs in twice within its pause."""
    at: dict[Any, list[float]] = {}
    for row in bed.stand.journal(surface="api", path="/signIn"):
        at.setdefault(row["body"].get("login"), []).append(row["real_at"])
    gaps = [later - earlier for times in at.values() for earlier, later in pairwise(times)]
    early = [gap for gap in gaps if gap < bed.size.sign_in_pause - 0.5]
    return zero("F11 входов чаще, чем один за паузу", early, sum(len(times) for times in at.values()))


def told_once(bed: Bed, played: Sequence[Played]) -> Goal:
    """Each time an account needed a person, one event and at most one line of the log say so.

    A line may be lost with a process that is killed just then; an event may not.
    """
    events = _events(bed, "account.state_changed")
    lines = "".join(worker.service.output() for worker in bed.workers).splitlines()
    wrong = []
    for one in played:
        _, account_id = bed.accounts[one.seen["account"]]
        left = [event for event in events if event["subject"] == account_id and event["data"]["state"] == "needs_person"]  # fmt: skip
        here = [event for event in left if one.seen["since"] <= event["at"] <= one.until]
        if len(here) != 1:
            wrong.append(f"событий {len(here)}")
        logged = sum(f"account {account_id} left" in line and ": needs_person" in line for line in lines)
        if logged > len(left):
            wrong.append(f"строк {logged}, событий {len(left)}")
    return zero("F12 об уходе сказано не один раз", wrong, len(played))


def crowds(bed: Bed, played: Sequence[Played]) -> list[Goal]:
    """Whoever calls while a run goes on gets that run; an account has one at a time."""
    wrong, together, judged, pairs = [], [], 0, 0
    for one in played:
        runs = _runs(bed, one.seen["account"])
        for call in one.seen["calls"]:
            going = [run for run in runs if run["since"] < call.since and call.until < run["until"]]
            judged += bool(going)
            wrong += [call.run for run in going if call.run != run["id"]]
        pairs += max(0, len(runs) - 1)
        together += [
            later["id"]
            for earlier, later in pairwise(runs)
            if later["since"] < earlier["until"] - _BLINK_SECONDS
        ]
    calls = sum(len(one.seen["calls"]) for one in played)
    enough = (
        judged * 2 > calls if bed.size.is_whole else judged > 0
    )  # two crowds of a short run may fall into a gap
    return [
        Goal("F15 вызовов не с тем запуском, что уже идёт", f"{len(wrong)} из {judged} (всего {calls})", "0", not wrong and enough, judged),
        zero("F15 запусков аккаунта одновременно", together, pairs),
    ]  # fmt: skip


def _runs(bed: Bed, account: str) -> list[Row]:
    """Of the account's orders, oldest first, in unix seconds; one that goes on ends never."""
    _, account_id = bed.accounts[account]
    return _asked(
        bed,
        "SELECT id::text, extract(epoch FROM started_at)::float AS since, "
        "coalesce(extract(epoch FROM finished_at)::float, 'infinity') AS until "
        "FROM kwork.sync_runs WHERE account_id = $1::text::uuid AND stream = 'orders' ORDER BY started_at",
        account_id,
    )


def _events(bed: Bed, kind: str) -> list[Row]:
    """What the service told the outside, oldest first; ``at`` in unix seconds."""
    return _asked(
        bed,
        "SELECT tenant_id, subject, extract(epoch FROM at)::float AS at, data FROM kwork.events "
        "WHERE type = $1 ORDER BY tenant_id, id",
        kind,
    )


def _asked(bed: Bed, statement: str, *given: Any) -> list[Row]:
    async def ask() -> list[Row]:
        connection = await bed.postgres.connect()
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
        try:
            return [dict(row) for row in await connection.fetch(statement, *given)]
        finally:
            await connection.close()

    return asyncio.run(ask())
