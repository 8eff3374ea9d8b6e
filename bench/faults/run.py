"""A whole run: start everything, let the storm go, let it calm down, play the scenes, judge."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2

from bench.faults import rows
from bench.faults.bed import WORKERS, Bed
from bench.faults.calm import calm_down, judged_until_clean
from bench.faults.kinds import KINDS
from bench.faults.ledger import Ledger
from bench.faults.load import Load
from bench.faults.nemesis import Nemesis
from bench.faults.on_crm import lag_of_search
from bench.faults.probes import SCENES, Probes
from bench.faults.sabotage import VARIANTS
from bench.faults.script import Cast, Step, digest_of, write_script
from bench.faults.sizes import Size
from bench.faults.verdict import Verdict
from bench.goal import Goal

Told = Callable[[str], None]
_SECONDS_A_FAULT = 1.3
"""So long, about, the storm lasts for each fault of the script: new orders come at that pace."""
_MOST_TOLD = 20
_LAST_LOOK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Part:
    """What of the run is played: kinds of faults, and scenes by name (``None``: all)."""

    kinds: frozenset[str] = frozenset(kind.name for kind in KINDS)
    scenes: tuple[str, ...] | None = None


_CRM_KINDS = frozenset({"F6", "F7", "F8", "F9"})


def storm(
    orders: int,
    faults: int,
    seed: int,
    told: Told,
    *,
    sabotage: str | None = None,
    part: Part | None = None,
) -> list[Goal]:
    """The run and its report; ``part``: only some of it."""
    size = Size.of(orders, faults)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another account
        try:
            with Bed.made(folder, size, seed=seed, sabotage=sabotage) as bed:
                return _stormed(bed, seed, told, part or Part())
        except Exception:
            for output in sorted(folder.glob("worker-*/service.out")):
                told(f"{output.parent.name}: {output.read_text(errors='replace')[-1500:]}")
            raise


def _stormed(bed: Bed, seed: int, told: Told, part: Part) -> list[Goal]:
    left_out = kinds_left_out(bed, part)
    script = write_script(seed, bed.size.faults, cast_of(bed), frozenset(left_out)) if part.kinds else ()
    told(f"зерно {seed}, сценарий {digest_of(script)}, сбоев {len(script)}, заказов {bed.size.orders}")
    for kind, why in left_out.items():
        if why:
            told(f"  {kind} не играется: {why}")
    ledger, nemesis = Ledger(bed.stand), Nemesis(bed, script)
    _play(bed, nemesis, script, seed, told)
    verdict, took = calm_down(bed, ledger, told)
    _tell(verdict, ledger, told)
    scenes = Probes(bed, ledger, told).goals(part.scenes)
    if part.scenes is None and bed.size.is_whole:
        scenes.append(rows.limit_without_redis(bed))
    last = judged_until_clean(bed, ledger, time.monotonic() + _LAST_LOOK_SECONDS)
    verdict.doubled, verdict.foreign = last.doubled, last.foreign
    broken = nemesis.broken + _complaints(bed)
    for line in broken:
        told(f"  стенд: {line}")
    return [
        *rows.headline(verdict, took, bed.size.settle),
        *rows.by_kind(script, nemesis.played, left_out),
        *rows.particular(bed, ledger, nemesis.played),
        *scenes,
        Goal("Стенд сыграл всё", f"сорвалось {len(broken)}", "0", not broken, len(script)),
    ]


def _play(bed: Bed, nemesis: Nemesis, script: Sequence[Step], seed: int, told: Told) -> None:
    load = Load(bed, seed, seconds=_SECONDS_A_FAULT * len(script))
    lag_of_search(bed, bed.size.longest_lag)
    started = time.monotonic()
    load.start()
    nemesis.play(told)
    load.stop()
    told(f"  буря длилась {time.monotonic() - started:.0f} с, статусы менялись {load.moves} раз")


def _tell(verdict: Verdict, ledger: Ledger, told: Told) -> None:
    for key in verdict.lost[:_MOST_TOLD]:
        told(f"  потеряно: {key}")
    for key in verdict.doubled[:_MOST_TOLD]:
        told(f"  дважды: {key}: {'; '.join(ledger.doubles[key])}")
    for key, why in verdict.wrong_status[:_MOST_TOLD]:
        told(f"  неверно: {key}: {why}; записи в CRM: {ledger.trail[key]}")


def _complaints(bed: Bed) -> list[str]:
    """Tracebacks of the stand-ins; the server's own word about a length that is wrong on purpose is none."""
    errors = re.findall(r"^\w+(?:\.\w+)*Error: .*$", bed.stand.complaints(), flags=re.MULTILINE)
    return [error for error in errors if "Content-Length" not in error]


def cast_of(bed: Bed) -> Cast:
    return Cast(list(bed.doors), list(bed.accounts), WORKERS, bed.size.lease)


def kinds_left_out(bed: Bed, part: Part) -> dict[str, str]:
    """Kinds that this service or this machine has no place for, and why; those nobody asked for, without a reason."""
    found = {kind.name: "" for kind in KINDS if kind.name not in part.kinds}
    if not any("/crm/events/" in path for path in _paths(bed)):
        found["F10"] = "у сервиса нет входящих вебхуков CRM"
    if bed.workers[0].clock is None:
        found["F16"] = "нет компилятора C, часы не сдвинуть"
    return found


def _paths(bed: Bed) -> list[str]:
    with suppress(httpx2.HTTPError, ValueError):
        return list(httpx2.get(f"{bed.workers[0].service.url}/openapi.json", timeout=10).json()["paths"])
    return []


def scripted(orders: int, faults: int, seed: int) -> list[Goal]:
    """Prints the script of a seed as JSON lines, for names in place of tenants and accounts."""
    size = Size.of(orders, faults)
    cast = Cast(
        [f"studio-{number + 1}" for number in range(size.tenants)],
        [f"account-{number + 1}" for number in range(size.accounts)],
        WORKERS,
        size.lease,
    )
    script: tuple[Step, ...] = write_script(seed, faults, cast)
    for step in script:
        print(json.dumps(asdict(step), ensure_ascii=False))
    return [Goal("Сценарий", f"{len(script)} сбоев", str(faults), len(script) == faults, len(script))]


def controlled(names: Sequence[str], orders: int, faults: int, seed: int, told: Told) -> list[Goal]:
    """Each variant must make its part of the run fail; the whole service must pass the same parts."""
    found = []
    told("контроль: ничего не снято")
    everything = Part(_CRM_KINDS, tuple(SCENES))
    whole = _caught(storm(orders, faults, seed, told, part=everything))
    found.append(Goal("Ничего не снято", f"замечено {len(whole)}", "0", not whole, 1))
    for name in names:
        variant = VARIANTS[name]
        told(f"контроль: {variant.title}")
        part = Part(frozenset(), (variant.scene,)) if variant.scene else Part(_CRM_KINDS, ())
        caught = _caught(storm(orders, faults, seed, told, sabotage=name, part=part))
        told_of = "; ".join(caught)[:90] or "не замечен"
        found.append(Goal(f"Контроль «{variant.title}»", told_of, "замечен", bool(caught), 1))
    number = sum(goal.met for goal in found[1:])
    return [
        *found,
        Goal("Контролей замечено", f"{number} из {len(names)}", "все", number == len(names), number),
    ]


def _caught(goals: Sequence[Goal]) -> list[str]:
    return [f"{goal.what}: {goal.measured[:12]}" for goal in goals if not goal.met and goal.what in _SAFETY]


_SAFETY = {
    "Потеряно лидов и контактов",
    "Сделано дважды",
    "Неверный последний статус",
    "Чужое в CRM тенанта",
    "F1 продолжено с отметки: потеряно заказов",
    "F2 проснувшийся процесс сделал вторых лидов",
    "F4 очередь пережила очистку Redis: потеряно",
    "F13, F14 непонятная страница принята за пустую",
}
