"""Places where tests and fault runs let a process die, as ``kill -9`` does. Off unless ``KWORK_FAILPOINT`` names one.

``KWORK_FAILPOINT=write.marked`` dies at the first pass, ``write.marked:3`` at the third.
"""

from __future__ import annotations

import os
import signal

NAMES = frozenset(
    {
        "write.added",
        "write.taken",
        "write.checked",
        "write.marked",
        "write.answered",
        "write.settled",
        "write.finished",
        "write.found",
        "parent.begun",
        "parent.between_steps",
    }
)

_name, _, _number = os.environ.get("KWORK_FAILPOINT", "").partition(":")
_passes_left = int(_number or 1)


def failpoint(name: str) -> None:
    """Ends the process here and now when this failpoint is armed and its turn has come."""
    global _passes_left  # noqa: PLW0603 - one counter for the process, by design
    if name != _name:
        return
    _passes_left -= 1
    if _passes_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
