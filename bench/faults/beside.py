"""Beside the storm: one poison record, one tenant's CRM that always hangs, giant and dripping answers, and what presses
one process (``pressed.py``).

python -m bench faults --beside [--only poison,hanging,giant,drips,stopping,half-open]
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.faults import pressed
from bench.faults.bed import Bed
from bench.faults.calm import last_run, read_whole
from bench.faults.door import Row, until
from bench.faults.ledger import Ledger
from bench.faults.sizes import Size
from bench.faults.verdict import parked_of
from bench.goal import Goal

_POISON_ORDERS = 1167
"""Of which the first account has a thousand."""
_ORDERS = 60
_ROUNDS, _LAG_ORDERS = 12, 5
_MOST_LAG = 1.2
_GIGABYTE = 2**30
_MOST_MEMORY_MB = 64.0
_PATIENCE_SECONDS = 240.0
_POISON = "kwork:order:"
Told = Callable[[str], None]


def measured(only: Sequence[str] | None, seed: int, told: Told) -> list[Goal]:
    """The rows of the parts chosen."""
    parts = list(only or _PARTS)
    found = []
    for part in parts:
        told(f"рядом: {part}")
        orders = _POISON_ORDERS if part == "poison" else _ORDERS
        size = replace(Size.of(orders, 30), first_orders=1.0)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            folder.chmod(0o755)
            with Bed.made(folder, size, seed=seed) as bed:
                found += _PARTS[part](bed, Ledger(bed.stand))
    return found


def poison(bed: Bed, ledger: Ledger) -> list[Goal]:
    """The CRM refuses one lead for ever; all others arrive, and that one stands in the list with its reason."""
    account = next(iter(bed.accounts))
    tenant, _ = bed.accounts[account]
    orders = bed.stand.orders(account)
    sick = orders[len(orders) // 2]["id"]
    bed.stand.fault("asked", surface="crm", name="poison", external_id=f"{_POISON}{sick}")
    read_whole(bed, account, time.monotonic() + _PATIENCE_SECONDS)

    def rest_is_there() -> bool:
        ledger.read()
        return len(_leads(ledger, tenant)) >= len(orders) - 1

    with suppress(TimeoutError):
        until(rest_is_there, _PATIENCE_SECONDS, every=0.5)
    with suppress(TimeoutError):
        until(lambda: parked_of(bed, tenant), 30.0)
    parked = parked_of(bed, tenant)
    passed = len(_leads(ledger, tenant))
    named = parked.get((tenant, f"{_POISON}{sick}"))
    n = len(orders)
    return [
        Goal("Ядовитая запись: прошли остальные", f"{passed} из {n}", str(n - 1), passed == n - 1, n),
        Goal("Ядовитая запись: отложена с причиной", str(named)[:60], "есть причина", bool(named) and len(parked) == 1, len(parked)),
    ]  # fmt: skip


def hanging(bed: Bed, ledger: Ledger) -> list[Goal]:
    """The way of a new order to the second tenant's CRM, in turns with the first tenant's CRM well and hanging."""
    ill, well = list(bed.doors)[:2]
    for account in bed.accounts:
        read_whole(bed, account, time.monotonic() + _PATIENCE_SECONDS)
    usual, beside = [], []
    for number in range(_ROUNDS):
        usual.append(_lag(bed, ledger, well, number))
        fault = bed.stand.fault("slow", surface="crm", account=ill, seconds=30.0)
        for account in bed.accounts_of(ill):
            bed.stand.add_order(account=account, title=f"Висит {number}")
            bed.sync(account)
        beside.append(_lag(bed, ledger, well, number))
        bed.stand.call("DELETE", f"/faults/{fault['id']}")
    ratio = median(beside) / median(usual)
    told = f"{ratio:.2f} ({median(beside):.2f} с против {median(usual):.2f} с)"
    return [Goal("CRM одного тенанта висит: задержка другого", told, f"≤ {_MOST_LAG}", ratio <= _MOST_LAG, 2 * _ROUNDS)]  # fmt: skip


def _lag(bed: Bed, ledger: Ledger, tenant: str, number: int) -> float:
    """Seconds from new orders at Kwork and a sync to their leads in the CRM."""
    [account] = bed.accounts_of(tenant)
    until(lambda: _is_idle(bed, account), _PATIENCE_SECONDS, every=0.05)
    made = [
        bed.stand.add_order(account=account, title=f"Задержка {number}")["id"] for _ in range(_LAG_ORDERS)
    ]
    keys = {(tenant, f"{_POISON}{order}") for order in made}
    started = time.monotonic()
    bed.sync(account)

    def there() -> bool:
        ledger.read()
        return keys <= ledger.created["lead"].keys()

    until(there, _PATIENCE_SECONDS, every=0.02)
    return time.monotonic() - started


def _is_idle(bed: Bed, account: str) -> bool:
    """A sync that goes on already would not see what is new."""
    last = last_run(bed, account)
    return last is not None and last["state"] != "running"


def giant(bed: Bed, ledger: Ledger) -> list[Goal]:
    """Answers of a gigabyte, plain and as a gzip bomb: refused without being kept."""
    found = []
    for name in ("huge", "gzip_bomb"):
        grown, hits, settled = _while_spoilt(bed, ledger, name, bytes=_GIGABYTE)
        told = f"+{grown:.0f} МБ, ответов {hits}, дошло после: {'всё' if settled else 'не всё'}"
        found.append(Goal(f"Ответ CRM в 1 ГБ ({name}): память", told, f"≤ +{_MOST_MEMORY_MB:.0f} МБ", grown <= _MOST_MEMORY_MB and hits > 0 and settled, hits))  # fmt: skip
    return found


def drips(bed: Bed, ledger: Ledger) -> list[Goal]:
    """An answer that never ends, a byte at a time: the total deadline ends it, and the record is looked up."""
    started = time.monotonic()
    _, hits, settled = _while_spoilt(bed, ledger, "drips", seconds=0.05)
    took = time.monotonic() - started
    limit = 4 * bed.size.crm_deadline + bed.size.search_lag + 20
    return [Goal("Ответ CRM по капле: всё дошло", f"{took:.0f} с, ответов {hits}", f"≤ {limit:.0f} с", settled and took <= limit and hits > 0, hits)]  # fmt: skip


def _while_spoilt(bed: Bed, ledger: Ledger, name: str, **params: float) -> tuple[float, int, bool]:
    """By how many MB the worse process grew at its peak, spoilt answers, whether all arrived once in the end."""
    account = next(iter(bed.accounts))
    tenant, _ = bed.accounts[account]
    read_whole(bed, account, time.monotonic() + _PATIENCE_SECONDS)
    usual = {worker.pid: _memory_mb(worker.pid, "VmRSS") for worker in bed.workers}
    for pid in usual:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from here
    fault = bed.stand.fault(
        "asked", surface="crm", account=tenant, method="POST", name=name, count=3, **params
    )
    made = [bed.stand.add_order(account=account, title=f"{name} {number}")["id"] for number in range(10)]
    bed.sync(account)
    keys = {(tenant, f"{_POISON}{order}") for order in made}

    def there() -> bool:
        ledger.read()
        return (
            keys <= ledger.created["lead"].keys()
            and bed.doors[tenant].status() is not None
            and _is_settled(bed, tenant)
        )

    try:
        settled = until(there, 60.0, every=0.3)
    except TimeoutError:
        settled = False
    hits = next((one["hits"] for one in bed.stand.faults() if one["id"] == fault["id"]), 0)
    bed.stand.call("DELETE", f"/faults/{fault['id']}")
    grown = max(_memory_mb(pid, "VmHWM") - before for pid, before in usual.items())
    once = all(ledger.created["lead"][key] == 1 for key in keys)
    return grown, hits, settled and once


def _is_settled(bed: Bed, tenant: str) -> bool:
    status: Row | None = bed.doors[tenant].status()
    return status is not None and status["deliveries"]["oldest_unsettled_seconds"] is None


def _memory_mb(pid: int, name: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name}:"))) / 1024


def _leads(ledger: Ledger, tenant: str) -> list[str]:
    return [key for owner, key in ledger.created["lead"] if owner == tenant and key.startswith(_POISON)]


_PARTS: dict[str, Callable[[Bed, Ledger], list[Goal]]] = {
    "poison": poison,
    "hanging": hanging,
    "giant": giant,
    "drips": drips,
    "stopping": pressed.stopping,
    "half-open": pressed.half_open,
}
