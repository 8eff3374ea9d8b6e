"""Mappings, previews and moves as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from app.domain.listing import OrderKind, public_id
from app.services.manage_mapping import KeptMapping
from app.services.preview_delivery import RecordPreview


def mapping_row(kept: KeptMapping) -> dict[str, Any]:
    """``MappingOut``."""
    return {
        "connection_id": kept.connection_id,
        "mapping": kept.mapping.model_dump(mode="json"),
        "stages": None if kept.stages is None else [asdict(stage) for stage in kept.stages],
    }


def preview_row(connection_id: UUID, records: list[RecordPreview]) -> dict[str, Any]:
    """``PreviewOut``."""
    return {"connection_id": connection_id, "records": [_record(one) for one in records]}


def move_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """``MoveOut``."""
    shown = (
        "id",
        "stage",
        "changed_at",
        "action",
        "state",
        "write_id",
        "write_state",
        "code",
        "reason",
        "seen_at",
    )
    return {"order": public_id(OrderKind.ORDER, row["order_id"]), **{name: row[name] for name in shown}}


def _record(one: RecordPreview) -> dict[str, Any]:
    return {
        "entity": one.entity.value,
        "external_id": one.external_id,
        "action": one.action,
        "code": one.code,
        "reason": one.reason,
        "crm_id": one.crm_id,
        "record": one.record,
        "differences": [asdict(difference) for difference in one.differences],
        "requests": [asdict(request) for request in one.requests],
    }
