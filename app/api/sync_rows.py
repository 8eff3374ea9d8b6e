"""Shapes of sync answers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from app.repositories.crm_problems import CrmProblem
from app.repositories.failures import Failure
from app.repositories.runs import Run


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
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "duration_seconds": (run.finished_at - run.started_at).total_seconds() if run.finished_at else None,
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
