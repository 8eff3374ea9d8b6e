"""The two limits of the cloud: a leaky bucket of calls, and the running time of each method over ten minutes."""

from collections.abc import Callable

from sandbox.bitrix24.portal import Portal
from sandbox.bitrix24.refusals import Refused

WINDOW, MINUTE = 600.0, 60.0


class Limits:
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._filled, self._at = 0.0, now()
        self._minutes: dict[str, list[tuple[float, float]]] = {}
        """Per method: when each of its minutes began, and the seconds it ran in it."""

    def admit(self, portal: Portal) -> None:
        """Counts an HTTP call. Raises Refused when the bucket is full."""
        most, leak = portal.rate
        now = self._now()
        self._filled = max(0.0, self._filled - (now - self._at) * leak)
        self._at = now
        if self._filled >= most:
            raise Refused(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
        self._filled += 1

    def begin(self, portal: Portal, method: str) -> None:
        """Raises Refused when the method has used up its time."""
        if portal.counts_operating and self.operating(method) > portal.operating_limit:
            raise Refused(429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.")

    def ran(self, portal: Portal, method: str) -> None:
        now, cost = self._now(), portal.costs.get(method, 0.01)
        minutes = self._minutes.setdefault(method, [])
        if minutes and now - minutes[-1][0] < MINUTE:
            minutes[-1] = (minutes[-1][0], minutes[-1][1] + cost)
        else:
            minutes.append((now, cost))

    def operating(self, method: str) -> float:
        return sum(cost for _, cost in self._kept(method))

    def reset_at(self, method: str) -> int:
        """When the oldest minute falls out."""
        kept = self._kept(method)
        return int((kept[0][0] if kept else self._now()) + WINDOW)

    def _kept(self, method: str) -> list[tuple[float, float]]:
        kept = [minute for minute in self._minutes.get(method, []) if minute[0] + WINDOW > self._now()]
        self._minutes[method] = kept
        return kept
