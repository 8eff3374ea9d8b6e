"""Calls that belong together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def all_or_none(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results; when one raises, the others are over before it goes on."""
    tasks = [asyncio.create_task(call) for call in calls]
    if not tasks:
        return []
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
