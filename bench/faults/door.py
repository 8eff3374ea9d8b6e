"""The service's API as a tenant's program sees it: several processes, of which some may be away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import httpx2

T = TypeVar("T")
Row = dict[str, Any]

_PATIENCE_SECONDS = 3.0
"""A frozen process takes calls and never answers; then the other one is asked."""


class Door:
    """Calls of one user, at the first process that answers. ``None`` stands for "nobody could tell"."""

    def __init__(self, urls: Sequence[str], tenant: str, email: str, password: str) -> None:
        self.tenant, self._email, self._password = tenant, email, password
        self._clients = [httpx2.Client(base_url=f"{url}/api/v1", timeout=_PATIENCE_SECONDS) for url in urls]
        self._first = 0
        self._token = ""

    def sign_in(self) -> None:
        """Raises ``TimeoutError``."""
        body = {"email": self._email, "password": self._password, "tenant_id": self.tenant}
        found = self.patiently("POST", "/auth/login", json=body)
        self._token = found["access_token"]

    def answers(
        self, method: str, path: str, *, at: int | None = None, **given: Any
    ) -> list[httpx2.Response]:
        """What each process that is there says; ``at``: only the first so many are asked."""
        found = []
        for client in self._clients[:at]:
            with suppress(httpx2.HTTPError):
                found.append(client.request(method, path, headers=self._headers(), **given))
        return found

    def answer(self, number: int, method: str, path: str, **given: Any) -> httpx2.Response | None:
        """What that process says; ``None``: nothing."""
        with suppress(httpx2.HTTPError):
            return self._clients[number].request(method, path, headers=self._headers(), **given)
        return None

    def ask(self, method: str, path: str, **given: Any) -> Any:
        """The JSON of the first good answer, or ``None``."""
        for _ in self._clients:
            with suppress(httpx2.HTTPError):
                client = self._clients[self._first]
                answer = client.request(method, path, headers=self._headers(), **given)
                if answer.status_code < 300:
                    return answer.json() if answer.content else {}
            self._first = (self._first + 1) % len(self._clients)
        return None

    def patiently(self, method: str, path: str, *, seconds: float = 90.0, **given: Any) -> Any:
        """Asks until somebody answers well. Raises ``TimeoutError`` with the last word heard."""
        return until(
            lambda: self.ask(method, path, **given), seconds, lambda: self._last_word(method, path, given)
        )

    def _last_word(self, method: str, path: str, given: Row) -> str:
        heard = [
            f"{answer.status_code} {answer.text[:300]}" for answer in self.answers(method, path, **given)
        ]
        return f"{method} {path}: {heard}"

    def status(self) -> Row | None:
        found: Row | None = self.ask("GET", "/crm-sync/sync-status")
        return found

    def sync(self, **body: Any) -> Row | None:
        """Starts a run, or finds the one going on."""
        found: Row | None = self.ask("POST", "/crm-sync/sync-orders", json={"wait": False, **body})
        return found

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def close(self) -> None:
        for client in self._clients:
            client.close()


def until(
    look: Callable[[], T | None], seconds: float, told: Callable[[], str] = str, *, every: float = 0.2
) -> T:
    """What ``look`` finds at last. Raises ``TimeoutError``."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(told())
        time.sleep(every)
