"""The set-up check of a connection: asked step by step, within a deadline, and told so that a person can act on it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from app.domain.connections import CheckReport
from app.domain.crm import CheckStep, ConnectionReport, CrmConnector, NeedsSetUp

CHECK_SECONDS: Final = 40.0


async def checked(
    connector: CrmConnector, *, set_up: bool = False, seconds: float = CHECK_SECONDS
) -> CheckReport:
    """Asks the CRM and closes the connector. With ``set_up`` it first makes there what is missing; else it only reads."""
    found: list[ConnectionReport] = []
    try:
        async with asyncio.timeout(seconds):
            if set_up and isinstance(connector, NeedsSetUp):
                found.append(await connector.set_up())
            found.append(await connector.check())
    except TimeoutError:
        found.append(_too_late(seconds))
    finally:
        await connector.aclose()
    return CheckReport.of(datetime.now(UTC), *found)


def _too_late(seconds: float) -> ConnectionReport:
    step = CheckStep(
        "deadline",
        ok=False,
        detail=f"CRM отвечает слишком медленно: проверка не уложилась в {seconds:g} с. Повторите её позже.",
    )
    return ConnectionReport((step,))
