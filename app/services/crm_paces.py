"""How fast each CRM may be called, whoever calls it: one pace for a limit, shared by this process's connectors."""

from __future__ import annotations

from app.core.pace import Pace
from app.core.redis import RedisConnection
from app.domain.crm import CallRate


class CrmPaces:
    """``redis`` shares the pace towards a CRM between workers; without it each process keeps its own."""

    def __init__(self, redis: RedisConnection | None = None) -> None:
        self._redis = redis
        self._paces: dict[str, Pace] = {}

    def __call__(self, limit: str, rate: CallRate) -> Pace:
        """The one pace of this process for a limit: connectors that share the limit share it."""
        pace = self._paces.get(limit)
        if pace is None or pace.rate != (rate.per_second, rate.burst):
            pace = Pace(self._redis, limit, rate=rate.per_second, burst=rate.burst)
            self._paces[limit] = pace
        return pace
