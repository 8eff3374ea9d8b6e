"""Runs the set-up check's steps one after another and tells each one's outcome."""

from collections.abc import Awaitable, Callable, Mapping

from app.domain.crm import CheckStep, ConnectionReport
from app.domain.errors import VendorError

Step = Callable[[], Awaitable[str]]


async def run_steps(steps: Mapping[str, Step]) -> ConnectionReport:
    """Every step is tried: a CRM without /health may still take leads."""
    return ConnectionReport(tuple([await _outcome(name, step) for name, step in steps.items()]))


async def _outcome(name: str, step: Step) -> CheckStep:
    try:
        return CheckStep(name, ok=True, detail=await step())
    except VendorError as error:
        return CheckStep(name, ok=False, detail=error.detail)
