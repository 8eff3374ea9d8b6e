"""The tenant's program: asks for a write as a CRM would, and stays with it until it has come to rest."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import httpx2

from bench.writes.asked import Asked, Deed, Row
from tests.service import Api
from tests.stand import Stand

PATIENCE_SECONDS = 90.0
MOST_CALLS = 8
_POLL_SECONDS = 0.1
_PASSING = ("account_blocked", "sign_in_too_soon", "write_unsettled", "account_writes_stopped")
"""Refusals that stand in the way of any write and pass by themselves: asked again, they do not count."""


@dataclass(slots=True)
class Caller:
    """``is_up`` is cleared while the service is down; ``patience``: how long an unclear write may stay so."""

    api: Api
    stand: Stand
    account_ids: dict[str, str]
    is_up: threading.Event = field(default_factory=threading.Event)
    patience: float = 30.0

    def send(self, asked: Asked) -> None:
        """Asks, again with the same key where a program may, until the answer is final. Sets ``asked.write``."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        seen = write_id = None
        while time.monotonic() < deadline and asked.calls < MOST_CALLS:
            answer = self._call(asked)
            if answer is None:
                continue
            body: Row = answer.json()
            if answer.status_code < 300:
                asked.write = self._rest(asked, body["id"], deadline)
                return
            asked.code = body["code"]
            write_id = body.get("write_id")
            if body["code"] in _PASSING:
                time.sleep(0.3)
            elif body["code"] == "account_needs_person":
                self.api.call("POST", f"/accounts/{self.account_ids[asked.account]}/session", json={})
            elif body["code"] == "idempotency_key_in_use":
                asked.write = self._rest(asked, write_id, deadline)
                return
            elif body.get("retryable") and (write_id is None or write_id != seen):
                seen = write_id
                asked.calls += 1
                time.sleep(min(body.get("retry_after") or 0.1, 1.0))
            elif _may_go_on(asked, body):
                asked.calls += 1
                self._call(asked, "POST", f"/writes/{write_id}/continue")
            else:
                break
        asked.write = self._get(write_id) if write_id else None

    def _call(self, asked: Asked, method: str = "", path: str = "") -> httpx2.Response | None:
        """The write's own call, or another about it. ``None``: the service went down meanwhile."""
        self.is_up.wait(PATIENCE_SECONDS)
        own = {"json": asked.json, "params": asked.params, "headers": {"Idempotency-Key": asked.key}}
        try:
            if path:
                return self.api.request(method, path)
            return self.api.request(asked.method, asked.path, **own)
        except httpx2.TransportError:
            time.sleep(0.1)
            return None

    def _rest(self, asked: Asked, write_id: str, deadline: float) -> Row | None:
        """The write once it is settled; what stays unclear for long is settled by a person who looks on Kwork."""
        found: Row | None = None
        began = time.monotonic()
        while time.monotonic() < deadline:
            try:
                found = self._get(write_id)
            except (httpx2.TransportError, AssertionError):
                time.sleep(_POLL_SECONDS)
                continue
            if found["settled"]:
                return found
            if time.monotonic() - began > self.patience and found["state"] == "unknown":
                self._resolve(asked, found)
            time.sleep(_POLL_SECONDS)
        return found

    def _get(self, write_id: str) -> Row:
        found: Row = self.api.call("GET", f"/writes/{write_id}")
        return found

    def _resolve(self, asked: Asked, write: Row) -> None:
        asked.by_person = True
        happened = any(done(self.stand, deed) for deed in asked.deeds)
        body = {"happened": happened, "reason": "посмотрели на двойнике"}
        self.api.request("POST", f"/writes/{write['id']}/resolve", json=body)


def _may_go_on(asked: Asked, refusal: Row) -> bool:
    """A hand-in whose upload failed for a passing reason: what was done stays done, the rest is sent."""
    passes = asked.fault is not None and asked.fault.expected == "passes"
    return asked.kind == "deliver" and passes and bool(refusal.get("retryable"))


def arrivals(entries: list[Row], deed: Deed) -> int:
    """How often the call arrived."""
    return sum(deed.arrived_in(entry) for entry in entries)


def effects(entries: list[Row], deed: Deed) -> int:
    """How often Kwork did it."""
    return sum(deed.done_in(entry) for entry in entries)


def done(stand: Stand, deed: Deed) -> int:
    return effects(stand.journal(surface=deed.surface, path=deed.path), deed)


def arrived(stand: Stand, deed: Deed) -> int:
    return arrivals(stand.journal(surface=deed.surface, path=deed.path), deed)
