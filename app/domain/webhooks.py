"""Webhooks in the words of Standard Webhooks (https://www.standardwebhooks.com), and when a failed one is tried again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix
_SECRET_BYTES = 32

WAITS = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 18000.0, 36000.0, 36000.0)
"""Seconds before each further try: eleven tries over 28 hours 43 minutes, jitter aside."""

HOLDING_TRIES = 3
"""So often a delivery is tried before those behind it may pass: order first, but one that is never taken blocks none."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a tenant wants to be told. ``types`` empty: of everything."""

    id: UUID
    url: str
    description: str
    types: tuple[str, ...]
    active: bool
    disabled_code: str | None
    """Why the service switched it off: ``gone`` (410) or ``failing``."""
    disabled_detail: str | None
    """The same as a Russian sentence."""
    disabled_at: datetime | None
    failures: int
    """Attempts that failed in a row."""
    failing_since: datetime | None
    retry_at: datetime | None
    created_at: datetime
    waiting: int = 0
    """Deliveries that wait."""
    secret_ends_at: datetime | None = None
    """Until when the old secret of a rotation signs, too."""

    @property
    def works(self) -> bool:
        return self.active and self.disabled_at is None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one webhook, with its last attempt."""

    id: UUID
    webhook_id: UUID
    event_id: int | None
    """``None``: sent by the test button."""
    type: str
    state: str
    """``pending``, ``delivered`` or ``failed`` (given up)."""
    attempts: int
    due_at: datetime
    created_at: datetime
    attempted_at: datetime | None
    milliseconds: int | None
    status: int | None
    answer: str | None
    error: str | None

    @property
    def message_id(self) -> str:
        """``webhook-id``: the same at every try, so that a receiver can tell a repetition."""
        return f"msg_{self.id.hex}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    ok: bool
    status: int | None
    answer: str
    error: str | None
    milliseconds: int
    asked_to_wait: float = 0.0
    """Seconds the receiver asked for (``Retry-After``)."""

    @property
    def gone(self) -> bool:
        """The receiver wants no more: 410."""
        return self.status == 410


def new_secret() -> str:
    """``whsec_`` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signatures(keys: Iterable[str], message_id: str, timestamp: int, body: bytes) -> str:
    """``webhook-signature``: one ``v1,…`` per live secret, separated by spaces, newest secret first."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return " ".join(f"v1,{_hmac(base64.b64decode(key.removeprefix(SECRET_PREFIX)), signed)}" for key in keys)


def headers(keys: Iterable[str], message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """Everything a delivery carries beside its body."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "KworkService-Webhooks/1",
        "Accept-Encoding": "identity",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures(keys, message_id, timestamp, body),
    }


def wait_after(failures: int) -> float | None:
    """Seconds until the next try after so many failed ones; ``None``: there is none."""
    return WAITS[failures - 1] if failures <= len(WAITS) else None


def body_of_test(webhook_id: UUID, at: datetime) -> Mapping[str, Any]:
    """What the test button sends: shaped like an event, of no log."""
    return {
        "id": 0,
        "type": "webhook.test",
        "timestamp": at,
        "subject": str(webhook_id),
        "account_id": None,
        "data": {"text": "Проверка вебхука: ничего не случилось."},
    }


def _hmac(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
