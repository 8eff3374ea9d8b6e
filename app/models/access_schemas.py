"""What ``/api-keys`` and ``/audit`` take and give."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from app.domain.access import Role, Scope
from app.models.schemas import MAX_LIMIT, Exact, Line, Moment, Text

_KEY_ID = "3f0c2b9e-0d4e-4d39-9c1c-0b8f8e0e4a11"


class ApiKeyIn(Exact):
    """A new key. Its role bounds what it sees, its scopes what it may do with that."""

    name: Line = Field(
        max_length=100, description="What uses it; once per tenant.", examples=["CRM, сервер 1"]
    )
    role: Role = Field(Role.VIEWER, description="`viewer` reads, `operator` acts, `admin` manages.")
    scopes: list[Scope] = Field(
        default_factory=lambda: [Scope.READ],
        min_length=1,
        max_length=3,
        description="`read`; `write`: what operators change; `admin`: what only admins may.",
        examples=[["read", "write"]],
    )
    expires_in_days: int | None = Field(
        365, ge=1, le=3650, description="`null`: it lives until it is revoked.", examples=[90]
    )


class ApiKeyOut(BaseModel):
    """A key, without what opens the door."""

    id: UUID = Field(examples=[_KEY_ID])
    name: str = Field(examples=["CRM, сервер 1"])
    prefix: str = Field(description="How the key begins.", examples=["kws_Q3xv0aTk"])
    role: Role
    scopes: list[Scope]
    created_at: datetime
    created_by: str = Field(examples=["admin@example.com"])
    expires_at: datetime | None
    expired: bool
    last_used_at: datetime | None = Field(description="To five minutes; null: never.")


class ApiKeyMade(ApiKeyOut):
    """A fresh key."""

    key: str = Field(
        description="Shown this once, kept nowhere: `Authorization: Bearer …` or `X-API-Key`.",
        examples=["kws_Q3xv0aTkJ1y0cSg2mVxB7nWqPzRtLhE5dUoI8fKaY4M"],
    )


class ExportForm(StrEnum):
    """How an export is written."""

    NDJSON = "ndjson"
    CSV = "csv"


class AuditFilterQuery(BaseModel):
    """All that are given must hold."""

    actor: Text | None = Field(
        None, max_length=320, description="Who, exactly.", examples=["admin@example.com"]
    )
    action: Text | None = Field(
        None,
        max_length=100,
        description="What: `api_key.created`, or `api_key` for all of that family.",
        examples=["login.failed"],
    )
    target: Text | None = Field(
        None, max_length=400, description="To what, exactly.", examples=[f"api_key/{_KEY_ID}"]
    )
    since: Moment | None = Field(None, description="ISO 8601; without a zone it is UTC. Inclusive.")
    until: Moment | None = Field(None, description="The same; exclusive.")


class AuditQuery(AuditFilterQuery):
    """Which rows to show."""

    limit: int = Field(50, ge=1, le=MAX_LIMIT, description="Rows a page.")
    cursor: Text | None = Field(None, max_length=200, description="`next_cursor` of the previous answer.")


class ExportQuery(AuditFilterQuery):
    """Which rows to take out, and how."""

    format: ExportForm = Field(
        ExportForm.NDJSON, description="`ndjson`: a JSON object a line; `csv`: for spreadsheets."
    )


class AuditOut(BaseModel):
    """One deed. Never with a secret."""

    id: int = Field(examples=[1042])
    at: datetime
    actor: str = Field(
        description="A person's e-mail, `key:<id>` of a machine, the gateway's `sub`, `cli:<user>` of the command "
        "line, or the service itself.",
        examples=["admin@example.com"],
    )
    action: str = Field(examples=["api_key.created"])
    target: str = Field(examples=[f"api_key/{_KEY_ID}"])
    details: dict[str, Any] = Field(examples=[{"name": "CRM", "role": "viewer", "scopes": ["read"]}])
