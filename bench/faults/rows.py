"""The report: what must hold, what was seen, and the number behind each zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from app.core.failpoints import SYNC
from bench.faults.bed import Bed
from bench.faults.kinds import BY_NAME, KINDS
from bench.faults.ledger import Ledger
from bench.faults.nemesis import Played
from bench.faults.on_servers import let_through_without_redis
from bench.faults.script import Step
from bench.faults.verdict import Verdict
from bench.goal import Goal

_LEAST_MET = 0.75
_EACH_FAILPOINT = 3
_PARKED_SHARE = 0.01
_SETTLING_SECONDS = 0.5
"""What was on its way when the CRM said 429 has arrived by then."""
_DEFAULT_WAIT = 10.0
_WAITS = {"2": 2.0, "3": 3.0, "date": 1.8, "99999999999999999999": 5.0}


def headline(verdict: Verdict, took: float, settle: float) -> list[Goal]:
    """Lost, doubled, wrong, parked, and how long it took to come right."""
    n = verdict.orders + verdict.projects + verdict.buyers
    nameless = sum(not reason for reason in verdict.parked.values())
    share = len(verdict.parked) / max(1, n)
    return [
        _zero("Потеряно лидов и контактов", verdict.lost, n),
        _zero("Сделано дважды", verdict.doubled, n),
        _zero("Неверный последний статус", verdict.wrong_status, verdict.orders),
        _zero("Чужое в CRM тенанта", verdict.foreign, n),
        Goal("Отложено с причиной", f"{len(verdict.parked)} из {n}, без причины {nameless}", f"≤ {_PARKED_SHARE:.0%}, без причины 0", share <= _PARKED_SHARE and not nameless, n),
        Goal("Всё верно после последнего сбоя", f"{took:.0f} с", f"≤ {settle:.0f} с", verdict.is_clean and took <= settle, 1),
    ]  # fmt: skip


def by_kind(script: Sequence[Step], played: Sequence[Played], left_out: Iterable[str]) -> list[Goal]:
    """A row per kind: how many of the planned did happen."""
    planned, met = Counter(step.kind for step in script), Counter(one.step.kind for one in played if one.met)
    found = []
    for kind in KINDS:
        if kind.name in left_out:
            continue
        wanted = int(planned[kind.name] * _LEAST_MET)
        told = f"случилось {met[kind.name]} из {planned[kind.name]}"
        found.append(
            Goal(f"{kind.name} {BY_NAME[kind.name].title}", told, f"≥ {wanted}", met[kind.name] >= wanted, met[kind.name])
        )  # fmt: skip
    return found


def particular(bed: Bed, ledger: Ledger, played: Sequence[Played]) -> list[Goal]:
    """What a kind's own row of the table asks for, as far as the storm shows it."""
    seen = {kind.name: [one for one in played if one.met and one.step.kind == kind.name] for kind in KINDS}
    found = []
    kills = sum(one.step.kind == "F1" for one in played)
    if kills >= _EACH_FAILPOINT * len(SYNC):
        found.append(_at_failpoints(seen["F1"]))
    if seen["F3"]:
        said = [tuple(word) for one in seen["F3"] for word in one.seen["said"]]
        wrong = [word for word in said if word != (503, True)]
        found.append(_zero("F3 без базы API ответило не 503 с Retry-After", wrong, len(said)))
    if seen["F4"]:
        found.append(_writes_without_redis(ledger, seen["F4"]))
    if seen["F5"]:
        found.append(_obeyed(ledger, seen["F5"]))
        found.append(_others_went_on(bed, ledger, [*seen["F5"], *seen["F6"], *seen["F7"]]))
    if seen["F10"]:
        caused = [one.seen["writes"] for one in seen["F10"] if one.seen["writes"]]
        found.append(_zero("F10 вызвано на Kwork словами вебхука", caused, sum(one.seen["taken"] for one in seen["F10"])))  # fmt: skip
    if seen["F11"] or seen["F12"]:
        found.append(_sign_ins(bed))
    if seen["F12"]:
        after = [path for one in seen["F12"] for path in one.seen["after"]]
        found.append(_zero("F12 запросов после капчи", after, len(seen["F12"])))
    if seen["F15"]:
        more = [one.seen["runs"] for one in seen["F15"] if len(one.seen["runs"]) > 1]
        found.append(_zero("F15 больше одного запуска на 100 вызовов", more, sum(one.seen["answers"] for one in seen["F15"])))  # fmt: skip
    return found


def limit_without_redis(bed: Bed) -> Goal:
    """The limit of sign-ins is counted in the process then, and still is one."""
    passed, made = let_through_without_redis(bed, next(iter(bed.doors.values())))
    limit = bed.size.logins_per_minute
    return Goal(
        "F4 без Redis пропущено входов", f"{passed} из {made}", f"≤ {limit}", passed <= limit < made, made
    )


def _at_failpoints(played: Sequence[Played]) -> Goal:
    died = Counter(one.seen["point"] for one in played)
    fewest = min(died[name] for name in SYNC)
    told = f"каждая ≥ {fewest}, в любой момент {died['random']}"
    return Goal(
        "F1 каждая точка отказа", told, f"≥ {_EACH_FAILPOINT}", fewest >= _EACH_FAILPOINT, len(played)
    )


def _writes_without_redis(ledger: Ledger, played: Sequence[Played]) -> Goal:
    away = [one for one in played if one.step.params["how"] != "flushed"]
    written = sum(_between(ledger, one.since, one.until, None) for one in away)
    return Goal("F4 без Redis записано в CRM", f"{written} за {len(away)} раз", "> 0" if len(away) > 2 else "—", written > 0 or len(away) <= 2, written)  # fmt: skip


def _between(ledger: Ledger, since: float, until: float, tenant: str | None) -> int:
    return sum(
        since <= row["at"] <= until and tenant in (None, row["tenant"]) and row["method"] != "GET"
        for row in ledger.rows
    )


def _obeyed(ledger: Ledger, played: Sequence[Played]) -> Goal:
    """Requests that came although the CRM had asked to wait."""
    wrong, asked = [], 0
    for one in played:
        tenant = one.step.params["tenant"]
        wait = _WAITS.get(one.step.params["after"], _DEFAULT_WAIT)
        throttled = [row["at"] for row in ledger.rows if row["tenant"] == tenant and row["status"] == 429 and one.since <= row["at"] <= one.until]  # fmt: skip
        asked += len(throttled)
        for at in throttled:
            early = [row for row in ledger.rows if row["tenant"] == tenant and at + _SETTLING_SECONDS < row["at"] < at + wait - 0.3]  # fmt: skip
            wrong += early
    unique = {row["seq"] for row in wrong}
    return _zero("F5 запросов раньше, чем просила CRM", sorted(unique), asked)


def _others_went_on(bed: Bed, ledger: Ledger, played: Sequence[Played]) -> Goal:
    """While one tenant's CRM was ill, the others' CRMs were written to."""
    others = sum(
        _between(ledger, one.since, one.until, tenant)
        for one in played
        for tenant in bed.doors
        if tenant != one.step.params["tenant"]
    )
    return Goal("F5–F7 у других тенантов записано тем временем", str(others), "> 0", others > 0, len(played))


def _sign_ins(bed: Bed) -> Goal:
    """No account signs in twice within its pause."""
    at: dict[Any, list[float]] = {}
    for row in bed.stand.journal(surface="api", path="/signIn"):
        at.setdefault(row["body"].get("login"), []).append(row["real_at"])
    gaps = [later - earlier for times in at.values() for earlier, later in pairwise(times)]
    early = [gap for gap in gaps if gap < bed.size.sign_in_pause - 0.5]
    return _zero("F11 входов чаще, чем один за паузу", early, sum(len(times) for times in at.values()))


def _zero(what: str, wrong: Sequence[Any], n: int) -> Goal:
    told = f"{len(wrong)} из {n}" + (f": {', '.join(map(str, wrong[:2]))}" if wrong else "")
    return Goal(what, told[:110], "0", not wrong, n)
