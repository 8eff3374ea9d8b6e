"""Logging as the service configures it, for one test; everything is put back afterwards."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.log_cap import set_cap
from app.core.logging import configure_logging, stop_logging
from app.core.settings import Settings


class Logs:
    """``configure`` once; ``lines`` writes what waits and reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def configure(self, **settings: Any) -> None:
        configure_logging(Settings(_env_file=None, **{"log_dir": self.folder, **settings}))

    def lines(self, name: str = "kwork_service") -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text(name).splitlines()]

    def text(self, name: str = "kwork_service") -> str:
        stop_logging()
        path = self.folder / f"{name}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield Logs(tmp_path / "logs")
    stop_logging()
    set_cap(0)
    root.handlers[:], _ = before[0], root.setLevel(before[1])
