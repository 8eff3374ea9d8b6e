"""PostgreSQL and Valkey that the service brings along (see docs/adr/0001-embedded-servers.md)."""

from app.core.embedded.addresses import EmbeddedPostgres, RunningServers, find_running
from app.core.embedded.errors import DataDirBusyError, EmbeddedServerError
from app.core.embedded.servers import EmbeddedServers

__all__ = [
    "DataDirBusyError",
    "EmbeddedPostgres",
    "EmbeddedServerError",
    "EmbeddedServers",
    "RunningServers",
    "find_running",
]
