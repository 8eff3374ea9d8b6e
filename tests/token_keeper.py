"""A keeper of OAuth tokens in memory: one lock and one value, shared by all connectors that are given it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.domain.tokens import Renewal, Tokens


class TokensInMemory:
    """`dies_before_saving`: as when the process ends between the vendor's answer and the keeping of it."""

    def __init__(self, kept: Tokens | None = None) -> None:
        self.kept = kept
        self.saves = 0
        self.dies_before_saving = False
        self._lock = asyncio.Lock()

    async def load(self) -> Tokens | None:
        return self.kept

    @asynccontextmanager
    async def renewing(self) -> AsyncIterator[Renewal]:
        async with self._lock:
            yield _Held(self, self.kept)


@dataclass
class _Held:
    keeper: TokensInMemory
    tokens: Tokens | None

    async def save(self, tokens: Tokens) -> None:
        if self.keeper.dies_before_saving:
            raise SystemError("killed")
        self.keeper.kept = tokens
        self.keeper.saves += 1
