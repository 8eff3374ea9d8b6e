"""Shapes of sync answers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from app.domain.content import plain
from app.repositories.crm_problems import CrmProblem
from app.repositories.failures import Failure
from app.repositories.runs import Run
from app.services.sync_history import ConnectionStatus, SyncStatus

_PARKED = ("id", "entity", "external_id", "reason_code", "reason", "attempts", "created_at")


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
        "checkpoint": run.checkpoint,
        "started_at": run.started_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "duration_seconds": (run.finished_at - run.started_at).total_seconds() if run.finished_at else None,
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
                "waiting": stream.waiting,
                "parked": stream.parked,
                "oldest_unsettled_seconds": stream.oldest_unsettled_seconds,
                "next_run_at": stream.next_run_at,
            }
            for stream in status.streams
        ],
        "deliveries": {
            "counts": status.deliveries,
            "oldest_unsettled_seconds": status.oldest_unsettled_seconds,
            "parked": [{name: getattr(one, name) for name in _PARKED} for one in status.parked],
        },
        "exchange": {"state": status.exchange_state, "read_at": plain(status.exchange_read_at)},
        "crm": {"configured": status.crm_configured, **_health(status)},
        "connections": [connection_row(one) for one in status.connections],
        "problems": [problem_row(one) for one in status.problems],
    }


def connection_row(status: ConnectionStatus) -> dict[str, Any]:
    """``ConnectionStatusOut``."""
    health = status.health
    return {
        "id": status.connection.id,
        "kind": status.connection.kind,
        "name": status.connection.name,
        **{name: getattr(health, name, None) for name in ("ok", "at", "code", "detail", "paused_until")},
        "failures": health.failures if health else 0,
        "left_alone_since": health.opened_at if health else None,
        "waiting": status.waiting,
        "parked": status.parked,
        "oldest_unsettled_seconds": status.oldest_unsettled_seconds,
    }


def problem_row(problem: CrmProblem) -> dict[str, Any]:
    """``ProblemOut``."""
    return _fields(problem)


def failure_row(failure: Failure) -> dict[str, Any]:
    """``FailureOut``."""
    shown = _fields(failure)
    payload = shown.pop("payload")
    return {**shown, "name": payload.get("name")}


def failure_card(failure: Failure) -> dict[str, Any]:
    """``FailureCard``."""
    return {**failure_row(failure), "payload": failure.payload}


def _fields(row: Failure | CrmProblem) -> dict[str, Any]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


def _health(status: SyncStatus) -> dict[str, Any]:
    first = status.connections[0].health if status.connections else None
    return {name: getattr(first, name, None) for name in ("ok", "at", "code", "detail")}
