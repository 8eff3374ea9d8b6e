"""Writes to Kwork through the API: sent once or reconciled, never twice; judged by the stand-in's journal.

    python -m bench writes             good days, double clicks, what the service adds to chat/send
    python -m bench writes --faults    also every fault at every step, kill -9, and the controls: two services whose
                                       safety is taken out, of which the run must find the double sends
    python -m bench writes --faults --sabotage marker-off    the whole run on such a service: it must fail

A zero stands beside its count: writes asked for, effects at the stand, arrivals there.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from app.core.failpoints import WRITES
from bench.goal import Goal
from bench.writes import clicks, latency, under_faults, under_kills
from bench.writes.bed import Bed, say
from bench.writes.judge import Findings, goals, judged
from bench.writes.kinds import KINDS
from bench.writes.sabotaged import VARIANTS
from bench.writes.under_kills import Death
from tests.stand import Stand

QUICK = frozenset({"good", "clicks", "latency"})
UNDER_FAULTS = frozenset({"faults", "kills", "controls"})
GOOD_DAYS, KILLS_EACH, RANDOM_KILLS = 2, 3, 5
LEAST_WRITES, LEAST_FAULTS = 200, 120
_CONTROL_FAULTS = ("обрыв после действия", "половина ответа", "500 после действия")
_CONTROL_KILLS = [(Death("write.answered"), kind) for kind in ("respond", "send_message", "report_progress")]


def arguments(parser: argparse.ArgumentParser) -> None:
    """What this bench takes beside ``--only``."""
    parser.add_argument("--faults", action="store_true", help="сбои каждого вида на каждом шаге и kill -9")
    parser.add_argument(
        "--sabotage", choices=sorted(VARIANTS), help="со снятой защитой: запуск должен провалиться"
    )
    parser.add_argument("--seed", type=int, default=1, help="какой сбой достаётся какой отправке (сейчас 1)")


async def run(only: Sequence[str] | None, *, faults: bool, sabotage: str | None, seed: int) -> list[Goal]:
    """``only``: some of the parts."""
    parts = frozenset(only) if only else QUICK | (UNDER_FAULTS if faults else frozenset())
    if not parts <= QUICK | UNDER_FAULTS:
        raise SystemExit(f"--only: части — {', '.join(sorted(QUICK | UNDER_FAULTS))}")
    if sabotage:
        parts -= {"clicks", "latency", "controls"}
    return await asyncio.to_thread(_run, parts, sabotage, seed)


def _run(parts: frozenset[str], sabotage: str | None, seed: int) -> list[Goal]:
    found: list[Goal] = []
    with tempfile.TemporaryDirectory() as name, Stand.start() as stand:
        folder = Path(name)
        if parts - {"controls"}:
            found += _measured(folder / "service", stand, parts, sabotage, seed)
        if "controls" in parts:
            found += [_control(folder / variant, stand, variant, seed) for variant in VARIANTS]
    return found


def _measured(
    folder: Path, stand: Stand, parts: frozenset[str], sabotage: str | None, seed: int
) -> list[Goal]:
    found: list[Goal] = []
    with Bed.made(folder, stand, seed=seed, sabotage=sabotage) as bed:
        if "good" in parts:
            under_faults.good_days(bed, GOOD_DAYS)
        if "faults" in parts:
            under_faults.bad_days(bed)
            under_faults.after_the_same(bed)
        if "clicks" in parts:
            found += clicks.measure(bed)
        if "latency" in parts:
            found += latency.measure(bed)
        if "kills" in parts:
            under_kills.at_failpoints(bed, list(under_kills.deaths(KILLS_EACH, bed.rng)))
            under_kills.at_random(bed, RANDOM_KILLS)
        findings = judged(bed.asked, stand.journal(since=bed.since))
    for line in findings.wrong:
        say(f"  {line}")
    if not findings.asked:
        return found
    return _counted(findings, parts) + goals(findings, list(KINDS)) + found


def _counted(findings: Findings, parts: frozenset[str]) -> list[Goal]:
    """How much of it was under faults."""
    found = []
    asked = findings.asked
    if {"faults", "kills"} <= parts:
        found.append(
            Goal("Отправок", str(len(asked)), f"≥ {LEAST_WRITES}", len(asked) >= LEAST_WRITES, len(asked))
        )
    if "faults" in parts:
        met = [one.fault.name for one in asked if one.fault and one.met and not one.killed_at]
        told = f"{len(met)}, видов {len(set(met))}"
        found.append(Goal("Под сбоями", told, f"≥ {LEAST_FAULTS}", len(met) >= LEAST_FAULTS, len(met)))
    if "kills" in parts:
        died = Counter(one.killed_at for one in asked if one.killed_at and one.met)
        fewest = min(died[name] for name in WRITES)
        told = f"каждая ≥ {fewest}, всего {sum(died[name] for name in WRITES)}, в произвольный момент {RANDOM_KILLS}"
        n = sum(died[name] for name in WRITES) + RANDOM_KILLS
        found.append(Goal("kill -9 в точках отказа", told, f"каждая ≥ {KILLS_EACH}", fewest >= KILLS_EACH, n))
    return found


def _control(folder: Path, stand: Stand, variant: str, seed: int) -> Goal:
    say(f"контроль: {variant}")
    with Bed.made(folder, stand, seed=seed, sabotage=variant) as bed:
        under_faults.bad_days(bed, _CONTROL_FAULTS)
        if variant == "marker-off":
            under_kills.at_failpoints(bed, _CONTROL_KILLS)
        findings = judged(bed.asked, stand.journal(since=bed.since))
    twice = len(findings.sent_twice)
    return Goal(
        f"Контроль «{variant}»: двойные отправки замечены", f"{twice} из {len(bed.asked)}", "≥ 1", twice > 0, len(bed.asked)
    )  # fmt: skip
