"""The embedded Valkey: in memory only. Losing all of it may cost time, never data."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from app.core.embedded.sockets import SocketDir

_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "save": "",
    "appendonly": "no",
    "maxmemory": "32mb",
    # Caches go first; a key without an expiry was meant to stay and is never dropped silently.
    "maxmemory-policy": "volatile-lru",
    "loglevel": "warning",
    "maxclients": "256",
}


class ValkeyServer:
    """Plan of the embedded Valkey for the supervisor."""

    name = "Valkey"

    def __init__(self, program: Path, sockets: SocketDir) -> None:
        self._program = program
        self._sockets = sockets
        self._socket = sockets.path / "valkey.sock"

    @property
    def url(self) -> str:
        """Address for redis-py."""
        return f"unix://{quote(str(self._socket))}"

    def prepare(self) -> None:
        """Only the folder: Valkey replaces the socket of a killed run by itself."""
        self._sockets.ensure()

    def command(self) -> list[str]:
        settings = {**_SETTINGS, "unixsocket": str(self._socket), "dir": str(self._sockets.path)}
        return [
            str(self._program),
            *(part for name, value in settings.items() for part in (f"--{name}", value)),
        ]

    def keep_open(self) -> Sequence[int]:
        return ()

    async def answers(self) -> bool:
        """Whether PING is answered on the socket."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError:
            return False
        try:
            writer.write(b"PING\r\n")
            return await asyncio.wait_for(reader.readline(), 2) == b"+PONG\r\n"
        except (OSError, TimeoutError):
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
