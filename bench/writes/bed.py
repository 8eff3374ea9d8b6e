"""The real service on the stand-in, with several accounts of one tenant; parts of the bench run on it."""

from __future__ import annotations

import itertools
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bench.writes.asked import Asked
from bench.writes.caller import Caller
from bench.writes.faults import ABSENT_AFTER_SECONDS, DEADLINE_SECONDS
from bench.writes.kinds import KINDS, Maker
from tests.service import Api, Service
from tests.stand import ROOT, Stand

LANES = 6
"""Accounts that write side by side."""
_SETTINGS = {
    "KWORK_DEADLINE_SECONDS": str(DEADLINE_SECONDS),
    "KWORK_ABSENT_AFTER_SECONDS": str(ABSENT_AFTER_SECONDS),
    "KWORK_WRITE_HOLD_SECONDS": "4",
    "KWORK_BLOCK_HOURS": "0.0005",
    "KWORK_ORDER_PAGES_PER_RUN": "0",
    "LOGIN_LIMIT_PER_MINUTE": "1000",
    "RATE_LIMIT_PER_MINUTE": "1000000",
}


@dataclass(slots=True)
class Bed:
    """One per run of the service. ``asked`` gathers every write that was asked for."""

    service: Service
    stand: Stand
    api: Api
    accounts: dict[str, str]
    """Ids by Kwork's user names."""
    rng: random.Random
    since: int
    asked: list[Asked] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    @contextmanager
    def made(cls, folder: Path, stand: Stand, *, seed: int, sabotage: str | None = None) -> Iterator[Self]:
        """The world anew, the service started, all accounts signed in."""
        stand.reset(seed=seed, projects=90, orders=16, accounts=LANES, gigs=12, dialogs=8)
        stand.clear_faults()
        folder.mkdir()
        script = (
            [str(ROOT / "bench" / "writes" / "sabotaged.py"), sabotage]
            if sabotage
            else [str(ROOT / "main.py")]
        )
        service = Service(folder, stand, program=script, **_SETTINGS).start()
        try:
            api = service.user("bench")
            caps = {"offers_per_day": 1000, "messages_per_day": 10_000}
            api.call("PUT", "/tenant/settings", json={"writes": caps})
            accounts = {}
            for account in stand.accounts:
                accounts[account["username"]] = api.connect(account)["id"]
                stand.change_account(account["username"], connects_active=1000)
            yield cls(service, stand, api, accounts, random.Random(seed), stand.mark())
        finally:
            service.stop()

    def caller(self, *, patience: float = 30.0) -> Caller:
        caller = Caller(self.api, self.stand, self.accounts, patience=patience)
        caller.is_up.set()
        return caller

    def maker(self, username: str, caller: Caller, prefix: str) -> Maker:
        return Maker(
            self.stand, self.api, self.accounts[username], username, prefix, self._numbers, self.asked, caller.send
        )  # fmt: skip

    def make(self, username: str, caller: Caller, prefix: str, kinds: Sequence[str]) -> list[Asked]:
        """Prepares writes of these kinds for an account."""
        maker = self.maker(username, caller, prefix)
        found = [KINDS[kind](maker) for kind in kinds]
        self.asked += found
        return found

    def read_new_things(self) -> None:
        """The service learns of the orders, gigs and dialogs that were made."""
        self.api.sync(kinds=["order", "gig", "dialog"], create_leads=False)

    def lanes(self) -> list[str]:
        return list(self.accounts)


def say(text: str) -> None:
    """Tells whoever waits."""
    print(text, file=sys.stderr, flush=True)
