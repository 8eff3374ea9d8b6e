"""The application behind a real port of loopback, served by the loop of the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

from app.api.wire import BoundedHttp


@asynccontextmanager
async def served(app: FastAPI, http: type[BoundedHttp] = BoundedHttp) -> AsyncIterator[str]:
    """Its address. Clients that block belong in a thread."""
    config = uvicorn.Config(
        app, port=0, http=http, log_config=None, lifespan="off", ws="none", server_header=False
    )
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
        assert not running.done()
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running


@contextmanager
def _no_signals() -> Iterator[None]:
    yield
