"""Streams of the real service over real sockets."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import httpx2
import pytest

from tests.service import Service
from tests.stand import Stand
from tests.streams import SseParser


@pytest.fixture
def own_service(stand: Stand, tmp_path: Path) -> Service:
    return Service(tmp_path, stand)


def test_sigterm_ends_open_streams_at_once_and_the_service_within_three_seconds(own_service: Service) -> None:
    own_service.start()
    try:
        user = own_service.user()
        parser = SseParser()
        with user._client.stream("GET", "/events") as answer:
            chunks = answer.iter_raw()
            while parser.retry is None:
                parser.feed(next(chunks))
            assert own_service.process is not None
            own_service.process.terminate()
            started = time.monotonic()
            frames = [frame for chunk in chunks for frame in parser.feed(chunk)]
            told = time.monotonic() - started
            own_service.process.wait(15)
            took = time.monotonic() - started
        assert [(frame.name, frame.data) for frame in frames] == [("end", {"reason": "shutting_down"})]
        print(f"stream told after {told:.2f} s, ended after {took:.2f} s")
        assert own_service.process.returncode == -signal.SIGTERM  # uvicorn passes it on at the end
        assert "graceful shutdown exceeded" not in own_service.output()
    finally:
        own_service.stop()


def test_a_running_sync_is_told_to_whoever_listens(own_service: Service) -> None:
    own_service.start()
    try:
        user = own_service.user()
        parser = SseParser()
        with user._client.stream("GET", "/events", params={"types": "sync_run.*"}) as answer:
            chunks = answer.iter_raw()
            while parser.retry is None:
                parser.feed(next(chunks))
            run = user.sync(kinds=["project"])["runs"][0]
            frames: list[object] = []
            while not frames:
                frames += parser.feed(next(chunks))
        assert frames[0].data["subject"] == run["id"]  # type: ignore[attr-defined]
        assert frames[0].data["data"]["state"] == "done"  # type: ignore[attr-defined]
    finally:
        own_service.stop()


def test_many_half_read_streams_do_not_keep_the_service_from_stopping(own_service: Service) -> None:
    own_service.start()
    try:
        user = own_service.user()
        with httpx2.Client(
            base_url=f"{own_service.url}/api/v1", headers=user._client.headers, timeout=60
        ) as client:
            opened = [client.stream("GET", "/events") for _ in range(15)]
            answers = [one.__enter__() for one in opened]
            assert [answer.status_code for answer in answers] == [200] * 15
            own_service.stop()
            assert own_service.process is not None
            assert own_service.process.returncode == -signal.SIGTERM  # uvicorn passes it on at the end
            for one in opened:
                one.__exit__(None, None, None)
        assert "graceful shutdown exceeded" not in own_service.output()
    finally:
        own_service.stop()
