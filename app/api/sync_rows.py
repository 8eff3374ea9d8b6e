"""Shapes of sync answers."""

from __future__ import annotations

from typing import Any

from app.domain.content import plain
from app.repositories.runs import Run
from app.services.sync import SyncStatus


def run_row(run: Run) -> dict[str, Any]:
    """A run as the API shows it."""
    return {
        "id": str(run.id),
        "account_id": str(run.account_id) if run.account_id else None,
        "stream": run.stream,
        "state": run.state,
        "counts": run.counts,
        "reason_code": run.reason_code,
        "reason": run.reason,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
    }


def status_row(status: SyncStatus) -> dict[str, Any]:
    """Everything of ``sync-status``."""
    return {
        "at": status.at.isoformat(),
        "accounts": [{**plain(account), "id": str(account.id)} for account in status.accounts],
        "streams": [
            {
                "account_id": str(stream.account_id) if stream.account_id else None,
                "stream": stream.stream,
                "last_run": run_row(stream.last_run),
                "last_success_at": plain(stream.last_success_at),
                "lag_seconds": stream.lag_seconds,
            }
            for stream in status.streams
        ],
        "deliveries": {
            "counts": status.deliveries,
            "oldest_unsettled_seconds": status.oldest_unsettled_seconds,
            "parked": [plain(row) for row in status.parked],
        },
        "exchange": {"state": status.exchange_state, "read_at": plain(status.exchange_read_at)},
        "crm": {"configured": status.crm_configured, **_health(status)},
    }


def _health(status: SyncStatus) -> dict[str, Any]:
    if status.crm is None:
        return {"ok": None, "at": None, "code": None, "detail": None}
    return {
        "ok": status.crm.ok,
        "at": plain(status.crm.at),
        "code": status.crm.code,
        "detail": status.crm.detail,
    }
