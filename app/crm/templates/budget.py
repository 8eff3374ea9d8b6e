"""What one rendering may cost. Templates run on the service's own thread, so each step is paid for beforehand."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

MOST_STEPS: Final = 10_000
"""Turns of loops, filters and sums of one rendering; an ordinary one takes 30."""
MOST_CHARACTERS: Final = 262_144
"""Of any text a template makes or touches."""
CPU_SECONDS: Final = 0.5
"""Of the thread's own time, so that a busy machine cuts nothing off. An ordinary rendering takes 0.0002; a
collection of garbage that falls into it may take 0.1."""

MOST_QUERY_STEPS: Final = 50_000
"""Of one JMESPath expression over one answer; a page of 250 records takes about 2,000."""


class TooExpensive(Exception):
    """The rendering or the query was cut. The text says of what there was too much."""


class _Purse:
    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.until = time.thread_time() + CPU_SECONDS


_purse: ContextVar[_Purse] = ContextVar("purse")


@contextmanager
def allowance() -> Iterator[None]:
    """One rendering (or compiling) is paid from a purse of its own."""
    token = _purse.set(_Purse(MOST_STEPS))
    try:
        yield
    finally:
        _purse.reset(token)


def pay() -> None:
    """For one step. Raises ``TooExpensive`` when the steps or the time are used up."""
    purse = _purse.get()
    purse.steps -= 1
    if purse.steps < 0:
        raise TooExpensive(f"больше {MOST_STEPS} шагов")
    if time.thread_time() > purse.until:
        raise TooExpensive(f"дольше {CPU_SECONDS:g} с")


def pay_for_text(characters: int) -> None:
    """For a text of this length, before it is made."""
    pay()
    if characters > MOST_CHARACTERS:
        raise TooExpensive(f"текст длиннее {MOST_CHARACTERS} знаков")
