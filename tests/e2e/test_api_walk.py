"""`python test_api.py`, as a user runs it: everything against the stand-in, and reading only beside somebody's data."""

from __future__ import annotations

import httpx2
import pytest

from test_api import run
from tests.service import PASSWORD, Service
from tests.stand import Stand
from tests.walk import Walk


def test_the_walk_passes_whole_and_then_reading_only(
    service: Service, stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    service.user("walker")
    for world in (stand, None):
        with httpx2.Client(base_url=service.url, timeout=120) as client:
            passed = run(Walk(client, "admin-walker@example.com", PASSWORD, world))
        assert passed, capsys.readouterr().out
