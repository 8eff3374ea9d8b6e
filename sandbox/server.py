"""Runs several ASGI apps on their ports in one event loop, ends on SIGTERM or with the parent."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

PARENT_CHECK_SECONDS = 1.0


class PortTakenError(OSError):
    """Another program listens on the port."""


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises PortTakenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only then: without it an answer waits 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(512)
    except OSError as error:
        sock.close()
        raise PortTakenError(error.errno, f"{host}:{port}") from error
    sock.setblocking(False)
    return sock


def url_of(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Signals are handled once for all servers, not by each."""

    @contextlib.contextmanager
    def capture_signals(self):
        yield


async def serve(
    apps: list[tuple[ASGIApp, socket.socket]], on_ready: Callable[[], None], parent: int | None
) -> None:
    """Runs until SIGTERM or SIGINT, or until the parent is gone when its `parent` id is given."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    servers = [_Server(_config(app)) for app, _ in apps]
    running = [
        asyncio.create_task(server.serve(sockets=[sock]))
        for server, (_, sock) in zip(servers, apps, strict=True)
    ]
    watch = asyncio.create_task(_watch_parent(stop, parent)) if parent else None
    while not all(server.started for server in servers):  # noqa: ASYNC110 uvicorn has no event for it
        await asyncio.sleep(0.01)
    on_ready()
    await stop.wait()
    for server in servers:
        server.should_exit = server.force_exit = True
    await asyncio.wait(running, timeout=2)
    if watch:
        watch.cancel()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=True,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )


async def _watch_parent(stop: asyncio.Event, parent: int) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 a death signal would follow the parent's thread
        await asyncio.sleep(PARENT_CHECK_SECONDS)
    stop.set()
