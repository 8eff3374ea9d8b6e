"""The rows of the fault run's report: each finds what it is there for, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bench.faults import judged
from bench.faults.bed import Bed
from bench.faults.ledger import Ledger
from bench.faults.nemesis import Played
from bench.faults.on_workers import Call
from bench.faults.script import Step
from bench.faults.sizes import Size
from bench.faults.workers import Worker

PORT, OTHER = 9001, 9002
WHOLE, SHORT = Size.of(1000, 200), Size.of(100, 30)


def request(at: float, *, status: int = 201, seconds: float = 0.1, port: int = PORT) -> dict[str, Any]:
    return {
        "seq": int(at * 10), "at": at, "until": at + seconds, "tenant": "studio", "method": "POST", "status": status,
        "decided": [], "port": port,
    }  # fmt: skip


def ledger(*rows: dict[str, Any]) -> Ledger:
    return cast("Ledger", SimpleNamespace(rows=list(rows)))


def worker(port: int, *, died: float | None = None, frozen: tuple[float, float] | None = None) -> Worker:
    made = Worker(cast("Any", None), None, port)
    made.deaths += [died] if died is not None else []
    made.frozen += [frozen] if frozen is not None else []
    return made


def bed(*workers: Worker, **more: Any) -> Bed:
    both = workers or (worker(PORT), worker(OTHER))
    scene = {"workers": both, "size": WHOLE, "accounts": {"anna": ("studio", "id-1")}} | more
    return cast("Bed", SimpleNamespace(**scene))


def played(kind: str, since: float = 0.0, until: float = 100.0, after: str = "3", **seen: Any) -> Played:
    return Played(
        Step(1, kind, "lane", 0.1, {"tenant": "studio", "after": after}),
        since,
        until,
        True,
        {"since": since, **seen},
    )


def judge_wait(where: Bed, *rows: dict[str, Any]) -> tuple[bool, int]:
    goal = judged.obeyed(where, ledger(*rows), [played("F5")])
    return goal.met, goal.n


def test_a_request_within_the_wait_the_crm_asked_for_is_found() -> None:
    asked = request(10.0, status=429)
    assert judge_wait(bed(), asked, request(13.0)) == (True, 1)
    assert judge_wait(bed(), asked, request(10.4)) == (True, 1), "on its way already"
    assert judge_wait(bed(), asked, request(11.0)) == (False, 1)
    assert judge_wait(bed(), asked, request(11.0, port=OTHER)) == (False, 1), (
        "told to the other process too late"
    )


def test_a_date_that_had_passed_asks_for_nothing() -> None:
    rows = ledger(request(10.0, status=429), request(12.0))
    for date, met in ((11, True), (15, False)):
        assert judged.obeyed(bed(), rows, [played("F5", after="date", date=date)]).met is met


@pytest.mark.parametrize(
    ("away", "n"),
    [
        (worker(PORT, died=10.3), 0),
        (worker(PORT, frozen=(9.0, 12.0)), 0),
        (worker(PORT, frozen=(3.0, 9.9)), 1),
        (worker(PORT, died=10.9), 1),
        (worker(PORT, died=9.8), 1),
    ],
    ids=["died at once", "frozen", "frozen before", "died later", "died before"],
)
def test_only_a_wait_that_nobody_could_write_down_is_not_judged(away: Worker, n: int) -> None:
    rows = request(10.0, status=429), request(11.0, port=OTHER)
    assert judge_wait(bed(away, worker(OTHER)), *rows) == (n == 0, n)
    assert judge_wait(bed(worker(PORT), away_elsewhere(away)), *rows) == (False, 1), (
        "another process was away"
    )


def away_elsewhere(away: Worker) -> Worker:
    made = worker(OTHER)
    made.deaths, made.frozen = away.deaths, away.frozen
    return made


def lost(*events: tuple[float, bool]) -> list[dict[str, Any]]:
    return [{"tenant_id": "studio", "subject": "crm", "at": at, "data": {"answers": answers}} for at, answers in events]  # fmt: skip


def judge_lost(monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]], *rows: Any) -> list[bool]:
    monkeypatch.setattr(judged, "_events", lambda *_: events)
    return [goal.met for goal in judged.half_open(bed(), ledger(*rows))]


def test_two_requests_at_a_time_to_a_lost_crm_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    away = lost((10.0, False), (20.0, True))
    one_by_one = [request(12.0, status=500), request(14.0, status=500), request(30.0), request(30.05)]
    assert judge_lost(monkeypatch, away, *one_by_one) == [True, True]
    assert judge_lost(monkeypatch, away, *one_by_one, request(14.05, port=OTHER)) == [False, True]
    hangs = request(12.0, seconds=9.0)
    assert judge_lost(monkeypatch, away, hangs, request(15.1)) == [True, True], "given up by then"
    assert judge_lost(monkeypatch, away, hangs, request(14.0)) == [False, True]


def test_a_crm_told_lost_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge_lost(monkeypatch, lost((1.0, False), (2.0, True), (3.0, False))) == [True, True]
    assert judge_lost(monkeypatch, lost((1.0, False), (2.0, False))) == [True, False]
    assert judge_lost(monkeypatch, lost((1.0, True))) == [True, False], "back without having been lost"


def left(*at: float) -> list[dict[str, Any]]:
    return [{"subject": "id-1", "at": moment, "data": {"state": "needs_person"}} for moment in at]


@pytest.mark.parametrize(
    ("events", "lines", "met"),
    [
        (left(5.0), 1, True),
        (left(5.0), 0, True),
        (left(5.0), 2, False),
        (left(), 0, False),
        (left(5.0, 6.0), 1, False),
        (left(5.0, 200.0), 2, True),
    ],
)
def test_an_account_that_needs_a_person_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]], lines: int, met: bool
) -> None:
    monkeypatch.setattr(judged, "_events", lambda *_: events)
    said = "account id-1 left connected: needs_person (captcha)\n" * lines
    loud = worker(PORT)
    loud.service = cast("Any", SimpleNamespace(output=lambda: said))
    goal = judged.told_once(bed(loud), [played("F12", account="anna")])
    assert (goal.met, goal.n) == (met, 1)


def run(id_: str, since: float, until: float) -> dict[str, Any]:
    return {"id": id_, "since": since, "until": until}


@pytest.mark.parametrize(
    ("runs", "calls", "met"),
    [
        ([run("a", 0, 20)], [Call(10, 11, "a"), Call(10, 12, "a")], [True, True]),
        ([run("a", 0, 20)], [Call(10, 11, "a"), Call(10, 12, "b")], [False, True]),
        ([run("a", 0, 10.5), run("b", 10.6, 20)], [Call(9, 10, "a"), Call(10, 12, "b"), Call(13, 14, "b")], [True, True]),
        ([run("a", 0, 20), run("b", 10, 30)], [Call(21, 22, "b"), Call(21, 22, "b")], [True, False]),
        ([run("a", 0, 1)], [Call(10, 11, "a"), Call(10, 11, "a")], [False, True]),
    ],
    ids=["one run", "another id", "one ends, one begins", "two at a time", "no run to judge by"],
)  # fmt: skip
def test_whoever_calls_while_a_run_goes_on_gets_that_run(
    monkeypatch: pytest.MonkeyPatch, runs: list[dict[str, Any]], calls: list[Call], met: list[bool]
) -> None:
    monkeypatch.setattr(judged, "_runs", lambda *_: runs)
    goals = judged.crowds(bed(), [played("F15", account="anna", calls=calls)])
    assert [goal.met for goal in goals] == met


def test_a_short_run_is_content_with_one_call_that_met_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judged, "_runs", lambda *_: [run("a", 0, 20)])
    crowd = [played("F15", account="anna", calls=[Call(10, 11, "a"), Call(30, 31, "b"), Call(30, 31, "b")])]
    assert [judged.crowds(bed(size=size), crowd)[0].met for size in (WHOLE, SHORT)] == [False, True]
