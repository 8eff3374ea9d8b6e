"""Places where tests and fault runs let a process die or freeze. Nothing happens unless the environment arms one.

``KWORK_FAILPOINT=write.marked`` dies at the first pass as ``kill -9`` does, ``write.marked:3`` at the third,
``push.calling:3:stop`` freezes there as SIGSTOP does. ``KWORK_FAILPOINT_FILE`` names a file with such a word, to arm
processes that run: the first of them that gets there takes the file away, so that only one falls.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

WRITES = frozenset(
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
SYNC = frozenset(
    {
        "run.storing",
        "run.intents",
        "run.checkpointed",
        "run.stored",
        "push.claimed",
        "push.calling",
        "push.answered",
        "push.settling",
        "push.settled",
    }
)
_SIGNALS = {"": signal.SIGKILL, "kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class _Failpoint:
    """The one that this process is armed with."""

    def __init__(self, word: str, file: Path | None = None) -> None:
        self.word, self._file = word, file
        self._name, _, rest = word.partition(":")
        number, _, action = rest.partition(":")
        self._passes_left, self._signal = int(number or 1), _SIGNALS[action]

    def passed(self, name: str) -> None:
        if name != self._name:
            return
        self._passes_left -= 1
        if self._passes_left == 0 and self._is_ours():
            os.kill(os.getpid(), self._signal)

    def _is_ours(self) -> bool:
        if self._file is None:
            return True
        try:
            self._file.unlink()
        except FileNotFoundError:
            return False
        return True


_path = os.environ.get("KWORK_FAILPOINT_FILE")
_file = Path(_path) if _path else None
_armed = _Failpoint(os.environ.get("KWORK_FAILPOINT", ""))


def failpoint(name: str) -> None:
    """Ends or freezes the process here and now when this failpoint is armed and its turn has come."""
    if _file is not None:
        _take_up(_file)
    if _armed.word:
        _armed.passed(name)


def _take_up(file: Path) -> None:
    global _armed  # noqa: PLW0603 - one for the process, by design
    try:
        word = file.read_text()
    except OSError:
        word = ""
    if word != _armed.word:
        _armed = _Failpoint(word, file)
