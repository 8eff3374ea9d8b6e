"""Four deliberate scenes after the storm, one cause each: what the storm heals by reading everything again shows here.

Each makes new orders (or an account that was never read), lets one thing go wrong, and counts what the CRM's journal
says without starting another sync.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from bench.faults.bed import Bed
from bench.faults.calm import last_run
from bench.faults.door import Row, until
from bench.faults.ledger import Key, Ledger
from bench.faults.on_kwork import ORDER_LISTS
from bench.faults.on_workers import armed
from bench.goal import Goal

SCENES = ("resume", "queue", "freeze", "pages")
NEW_ORDERS = 25
_PATIENCE_SECONDS = 30.0
_AWAKE_SECONDS = 2.5
"""What the sleeper still had in hand has left by then."""
_BAD_PAGES: tuple[tuple[str, Row], ...] = (
    ("maintenance", {}),
    ("html_instead_of_json", {}),
    ("empty_200", {}),
    ("field_dropped", {"field": "orders"}),
    ("error_500", {}),
)


@dataclass(slots=True)
class Probes:
    """The scenes of one run."""

    bed: Bed
    ledger: Ledger
    told: Callable[[str], None]

    def goals(self, names: Sequence[str] | None = None) -> list[Goal]:
        """``None``: all scenes."""
        found = []
        for name in SCENES if names is None else names:
            self.told(f"  сцена {name}")
            found += getattr(self, name)()
        return found

    @property
    def account(self) -> str:
        """The one with the most orders: several pages of them."""
        return next(iter(self.bed.accounts))

    def resume(self) -> list[Goal]:
        """A run dies between two pages; another worker goes on there and nothing is missing."""
        made, mark = self._new_orders(), self.bed.stand.mark()
        fallen = armed(self.bed, "run.checkpointed:2", lambda: self.bed.sync(self.account))
        died = time.time()
        again = self._until_taken_over(mark, died)
        took = (again or time.time()) - died
        self._until_arrived(made)
        missing = self._missing(made)
        resumed = [number for number, _ in self._pages_read(mark, died)]
        met = fallen is not None and again is not None
        limit = self.bed.size.lease + 5
        return [
            Goal("F1 продолжено с отметки: потеряно заказов", f"{len(missing)} из {len(made)}", "0, без чтения сначала", met and not missing and 1 not in resumed, len(made)),
            Goal("F1 подхвачено после смерти процесса", f"{took:.1f} с", f"≤ аренда + 5 = {limit:.0f} с", met and took <= limit, 1),
        ]  # fmt: skip

    def queue(self) -> list[Goal]:
        """The CRM is away, Redis is emptied, the CRM comes back; all arrives without another sync."""
        made = self._new_orders()
        for plug in self.bed.crm_plugs:
            plug.cut()
        started = datetime.now(UTC).isoformat()
        self.bed.sync(self.account)
        with suppress(TimeoutError):
            until(lambda: self._has_ended(started), _PATIENCE_SECONDS)
        self.bed.redis.flush()
        for plug in self.bed.crm_plugs:
            plug.heal()
        self._until_arrived(made)
        missing = self._missing(made)
        return [Goal("F4 очередь пережила очистку Redis: потеряно", f"{len(missing)} из {len(made)}", "0", not missing, len(made))]  # fmt: skip

    def freeze(self) -> list[Goal]:
        """A process sleeps past its lease in the middle of a batch, another one finishes, the first wakes up."""
        made = self._new_orders()
        tenant, _ = self.bed.accounts[self.account]
        slow = self.bed.stand.fault("slow", surface="crm", account=tenant, method="POST", seconds=0.2)
        frozen = armed(self.bed, "push.calling:12:stop", lambda: self.bed.sync(self.account))
        self._until_arrived(made)
        arrived = len(made) - len(self._missing(made))
        if frozen is not None:
            frozen.thaw()
        time.sleep(_AWAKE_SECONDS)
        self.bed.stand.call("DELETE", f"/faults/{slow['id']}")
        self.ledger.read()
        doubled = [key for key in made if self.ledger.created["lead"][key] > 1]
        met = frozen is not None and arrived == len(made)
        told = f"{len(doubled)} из {len(made)}" + ("" if met else " (никто не замер или не дошло)")
        return [
            Goal("F2 проснувшийся процесс сделал вторых лидов", told, "0", met and not doubled, len(made))
        ]

    def pages(self) -> list[Goal]:
        """Pages that cannot be understood are never "no orders"."""
        account, there = self._unread_account()
        wrong = []
        for kind, params in _BAD_PAGES:
            made = [self.bed.stand.fault(kind, surface=surface, path=path, **params) for surface, path in ORDER_LISTS.items()]  # fmt: skip
            run = self._run_to_its_end(account)
            for fault in made:
                self.bed.stand.call("DELETE", f"/faults/{fault['id']}")
            if run is None or (run["state"] == "done" and run["counts"].get("orders_read", 0) < there):
                wrong.append(kind)
        run = self._run_to_its_end(account)
        well = run is not None and run["state"] == "done" and run["counts"].get("orders_read") == there
        n = len(_BAD_PAGES)
        told = f"{len(wrong)} из {n}" + (f": {', '.join(wrong)}" if wrong else "")
        return [
            Goal("F13, F14 непонятная страница принята за пустую", told, "0", not wrong, n),
            Goal("F14 после работ прочитано само", "да" if well else "нет", "да", well, 1),
        ]

    def _new_orders(self) -> list[Key]:
        tenant, _ = self.bed.accounts[self.account]
        orders = [self.bed.stand.add_order(account=self.account, title=f"Сцена {number}") for number in range(NEW_ORDERS)]  # fmt: skip
        return [(tenant, f"kwork:order:{order['id']}") for order in orders]

    def _missing(self, made: list[Key]) -> list[Key]:
        self.ledger.read()
        return [key for key in made if not self.ledger.created["lead"][key]]

    def _until_arrived(self, made: list[Key]) -> None:
        patience = self.bed.size.lease + self.bed.size.search_lag + 12.0
        with suppress(TimeoutError):
            until(lambda: not self._missing(made), patience, every=0.3)

    def _last(self) -> Row | None:
        return last_run(self.bed, self.account)

    def _until_taken_over(self, mark: int, died: float) -> float | None:
        """When the first page after the death was read: nobody asks for another run."""
        try:
            return until(lambda: next((at for _, at in self._pages_read(mark, died)), None), _PATIENCE_SECONDS, every=0.3)  # fmt: skip
        except TimeoutError:
            return None

    def _pages_read(self, mark: int, since: float) -> list[tuple[int, float]]:
        """Numbers of the pages of orders read since then, and when."""
        rows = self.bed.stand.journal(
            surface="api", path=ORDER_LISTS["api"], account=self.account, since=mark
        )
        return [(int(row["body"].get("page") or 1), row["real_at"]) for row in rows if row["real_at"] >= since]  # fmt: skip

    def _has_ended(self, since: str) -> bool | None:
        last = self._last()
        return (last is not None and last["started_at"] > since and last["state"] != "running") or None

    def _unread_account(self) -> tuple[str, int]:
        """An account that the service has never read."""
        login = self.bed.unconnected
        self.bed.connect(login, next(iter(self.bed.doors)))
        return login["username"], len(self.bed.stand.orders(login["username"]))

    def _run_to_its_end(self, account: str) -> Row | None:
        started = datetime.now(UTC).isoformat()

        def ended() -> Row | None:
            last = last_run(self.bed, account)
            if last is not None and last["started_at"] > started and last["state"] != "running":
                return last
            if last is None or last["state"] != "running":
                self.bed.sync(account)
            return None

        try:
            return until(ended, _PATIENCE_SECONDS, every=0.2)
        except TimeoutError:
            return None
