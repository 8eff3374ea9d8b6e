"""What came of the writes, by the stand's journal; the service's ledger is only what is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.goal import Goal
from bench.writes.asked import Asked, Deed, Row
from bench.writes.caller import arrivals, effects

_AT_REST = ("succeeded", "refused", "reconciled_done", "reconciled_absent", "expired", "unknown")
_DONE = ("succeeded", "reconciled_done")


@dataclass(slots=True)
class Findings:
    """Lists name the writes that are not as they should be."""

    asked: list[Asked]
    deeds: int = 0
    arrived: int = 0
    sent_twice: list[str] = field(default_factory=list)
    arrived_twice: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrongly_unclear: list[str] = field(default_factory=list)
    unclear: int = 0
    reconciled: int = 0
    wrongly_reconciled: list[str] = field(default_factory=list)
    by_person: list[str] = field(default_factory=list)
    wrong_verdict: list[str] = field(default_factory=list)
    not_as_expected: list[str] = field(default_factory=list)
    not_met: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        """Everything that is wrong, for whoever wants to look into it."""
        lists = {
            "отправлено дважды": self.sent_twice,
            "пришло дважды": self.arrived_twice,
            "потеряно": self.lost,
            "неясно не то": self.wrongly_unclear,
            "сверено неверно": self.wrongly_reconciled,
            "неверный исход": self.wrong_verdict,
            "кончилось не так": self.not_as_expected,
            "сбой не встретился": self.not_met,
        }
        return [f"{name}: {one}" for name, found in lists.items() for one in found]


def judged(asked: Sequence[Asked], journal: list[Row]) -> Findings:
    """``journal``: everything that arrived during the run."""
    found = Findings(list(asked))
    by_path: dict[tuple[str, str], list[Row]] = {}
    for entry in journal:
        by_path.setdefault((entry["surface"], entry["path"]), []).append(entry)
    for one in asked:
        _judge(found, one, lambda deed: by_path.get((deed.surface, deed.path), []))
    return found


def _judge(found: Findings, asked: Asked, everything: Callable[[Deed], list[Row]]) -> None:
    def entries(deed: Deed) -> list[Row]:
        return [entry for entry in everything(deed) if asked.since < entry["seq"] <= asked.until]

    done = [effects(entries(deed), deed) for deed in asked.deeds]
    came = [arrivals(entries(deed), deed) for deed in asked.deeds]
    found.deeds += sum(done)
    found.arrived += sum(came)
    told = asked.told()
    if max(done) > 1:
        found.sent_twice.append(told)
    if max(came) > 1:
        found.arrived_twice.append(told)
    if asked.state not in _AT_REST and not _was_never_let_in(asked):
        found.lost.append(told)
    found.unclear += asked.was_unclear
    if asked.killed_at != "random" and asked.was_unclear != _unclear_wanted(asked):
        found.wrongly_unclear.append(told)
    if asked.by_person:
        found.by_person.append(told)
    _judge_verdicts(found, asked, done)
    _judge_expected(found, asked, done)


def _judge_verdicts(found: Findings, asked: Asked, done: list[int]) -> None:
    """What the ledger says of each part, beside what Kwork did."""
    for part, is_done in zip(asked.parts, done, strict=len(asked.parts) == len(done)):
        is_told_right = (part["state"] in _DONE) is bool(is_done)
        if part["state"].startswith("reconciled_") and not asked.by_person:
            found.reconciled += 1
            found.wrongly_reconciled += [] if is_told_right else [asked.told()]
        elif not is_told_right:
            found.wrong_verdict.append(asked.told())


def _judge_expected(found: Findings, asked: Asked, done: list[int]) -> None:
    """Whether the write ended as such a fault must let it end."""
    if asked.fault is None:
        if asked.killed_at is None and asked.state not in _DONE:
            found.not_as_expected.append(asked.told())
        return
    if not asked.met:
        found.not_met.append(asked.told())
    expected = asked.fault.expected
    happens = expected == "passes" or (expected == "unclear" and asked.fault.acted)
    if bool(done[asked.step]) is not happens:
        found.not_as_expected.append(asked.told())


def _unclear_wanted(asked: Asked) -> int:
    """How many of its steps what was injected leaves unclear."""
    if asked.killed_at in ("write.marked", "write.answered", "write.found"):
        return 1
    return int(asked.fault is not None and asked.fault.expected == "unclear")


def _was_never_let_in(asked: Asked) -> bool:
    """Refused by a reason of its own before it got into the ledger."""
    return asked.write is None and asked.code is not None


def goals(found: Findings, kinds: Sequence[str]) -> list[Goal]:
    """The rows of the table that every run has."""
    asked, n = found.asked, len(found.asked)
    seen = {one.kind for one in asked}
    missing = sorted({kind.partition(" ")[0] for kind in kinds} - seen)
    states = Counter(one.state for one in asked)
    told = ", ".join(f"{state} {count}" for state, count in states.most_common())
    right = found.reconciled - len(found.wrongly_reconciled)
    return [
        Goal("Отправки через API, всех видов", f"{n}, видов {len(seen)}: {told}", "все виды", not missing, n),
        _none("Отправлено дважды", found.sent_twice, found.deeds),
        _none("Пришло на Kwork дважды", found.arrived_twice, found.arrived),
        _none("Потеряно", found.lost, n),
        Goal(
            "Неясных: ровно те, где исход и правда неясен",
            f"{found.unclear}, не тех {len(found.wrongly_unclear)}", "не тех 0",
            not found.wrongly_unclear, n,
        ),
        Goal(
            "Сверено верно", f"{right} из {found.reconciled}, человеку оставлено {len(found.by_person)}", "100 %",
            right == found.reconciled, found.reconciled,
        ),
        _none("Исход в журнале отправок не тот, что на Kwork", found.wrong_verdict, n),
        _none("Кончилось не так, как должно при таком сбое", [*found.not_as_expected, *found.not_met], n),
    ]  # fmt: skip


def _none(what: str, found: Sequence[str], n: int) -> Goal:
    return Goal(what, str(len(found)), "0", not found, n)
