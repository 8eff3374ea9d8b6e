"""The stand-in's mobile surface in this very process, and a small client that calls its methods."""

from __future__ import annotations

from typing import Any

import httpx2

from sandbox.faults import Faults
from sandbox.journal import Entry, Journal
from sandbox.mobile.app import build
from sandbox.settings import Settings
from sandbox.world import Clock, Size, World, make_world

Row = dict[str, Any]


class Mobile:
    """A generated world with its mobile surface; `world`, `faults`, `journal` and `settings` are open to tests."""

    def __init__(self, **size: int) -> None:
        wanted = {"seed": 7, "projects": 60, "orders": 32, "gigs": 12, "dialogs": 12} | size
        self.settings = Settings(Size(**wanted), web_url="http://127.0.0.1:9")
        self.world: World = make_world(self.settings.size, Clock())
        self.faults = Faults()
        self.journal = Journal(self.world.clock.now)
        app = build(self.world, self.journal, self.faults, self.settings)
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url="http://api", auth=("any-app", "any-key")
        )
        self.accounts = list(self.world.accounts.values())

    async def call(self, method: str, token: str = "", **given: Any) -> Row:
        """Sends a form; a name that is no Python name goes as `**{"ids[]": ...}`. The answer must be JSON."""
        form = {"token": token, **given} if token else given
        answer = await self.http.post(f"/{method}", data=form)
        assert answer.headers["content-type"] == "application/json", answer.text
        row: Row = answer.json()
        return row

    async def sign_in(self, number: int = 0, **given: Any) -> str:
        """A token of the account with this number."""
        account = self.accounts[number]
        answer = await self.call("signIn", login=account.login, password=account.password, **given)
        return str(answer["response"]["token"])

    def last(self) -> Entry:
        return self.journal.entries[-1]
