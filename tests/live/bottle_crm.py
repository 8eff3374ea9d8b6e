"""A real BottleCRM on a loopback port: its own PostgreSQL role and database, one organisation, one key.

`scripts/live-crm bottlecrm` installs it into a folder and names that folder in `LIVE_BOTTLECRM`. The first start
migrates (about 140 s of CPU); the migrated database stays as a template, so that a next start takes seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import httpx2

from app.core.embedded import EmbeddedServers

VERSION = "1.35.0"
ROLE, ROLE_PASSWORD = "bottlecrm", "of the live test"
TEMPLATE = f"bottlecrm_{VERSION.replace('.', '_')}"
RUN = "bottlecrm_run"
EMAIL = "owner@example.com"
START_SECONDS = 60.0
_UNTIL_WE_END = """
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{ read -r _ <&3; kill "$server"; } 2>/dev/null &
exec 3<&-
wait "$server"
"""
"""Ends the server when the pipe closes: also when the tests are killed."""


@dataclass(frozen=True)
class Postgres:
    """Where a superuser reaches PostgreSQL; `host` may be a socket's folder."""

    host: str
    port: int
    user: str
    password: str
    database: str

    @classmethod
    def of_url(cls, url: str) -> Postgres:
        parts = urlsplit(url)
        return cls(
            parts.hostname or "127.0.0.1",
            parts.port or 5432,
            unquote(parts.username or "postgres"),
            unquote(parts.password or ""),
            parts.path.lstrip("/") or "postgres",
        )

    async def connect(self, database: str | None = None) -> asyncpg.Connection:
        return await asyncpg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=database or self.database,
        )


@dataclass(frozen=True)
class BottleCrm:
    """A running one. `key` is a personal access token of the organisation."""

    url: str
    key: str
    database: Postgres

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """Past the connector, as a person's browser would."""
        headers = {"Authorization": f"Bearer {self.key}", **headers}
        async with httpx2.AsyncClient(base_url=self.url, trust_env=False, timeout=60) as client:
            return await client.request(method, path, json=body, headers=headers)

    @contextlib.asynccontextmanager
    async def without_its_database(self) -> AsyncIterator[None]:
        """Every request that needs the database fails meanwhile."""
        connection = await self.database.connect()
        try:
            await connection.execute(f"ALTER DATABASE {RUN} ALLOW_CONNECTIONS false")
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", RUN
            )
            yield
        finally:
            await connection.execute(f"ALTER DATABASE {RUN} ALLOW_CONNECTIONS true")
            await connection.close()

    async def leads(self, key: str) -> list[dict[str, Any]]:
        """All leads with this key, as the database has them: open, closed and converted."""
        connection = await self.database.connect(RUN)
        try:
            rows = await connection.fetch(
                "SELECT id::text, status, email FROM lead WHERE custom_fields->>'kwork_key' = $1", key
            )
        finally:
            await connection.close()
        return [dict(row) for row in rows]


@contextlib.asynccontextmanager
async def running(home: Path, postgres_url: str | None = None) -> AsyncIterator[BottleCrm]:
    """A fresh organisation in a fresh database. Raises RuntimeError with the program's last words."""
    async with _postgres(home, postgres_url) as postgres:
        await _fresh_database(home, postgres)
        environment = _environment(postgres, RUN)
        async with _serving(home, environment) as url:
            yield BottleCrm(url, await _bootstrap(home, environment, url), postgres)


@contextlib.asynccontextmanager
async def _postgres(home: Path, url: str | None) -> AsyncIterator[Postgres]:
    if url is not None:
        yield Postgres.of_url(url)
        return
    servers = EmbeddedServers(home / "postgres", postgres=True, valkey=False)
    await servers.start()
    try:
        assert servers.postgres is not None
        found = servers.postgres
        yield Postgres(found.host, found.port, found.user, "", found.database)
    finally:
        await servers.stop()


async def _fresh_database(home: Path, postgres: Postgres) -> None:
    connection = await postgres.connect()
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE):
            await connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE_PASSWORD}'")
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", TEMPLATE):
            await _migrated(home, postgres, connection)
        await connection.execute(f"DROP DATABASE IF EXISTS {RUN} WITH (FORCE)")
        await connection.execute(f"CREATE DATABASE {RUN} TEMPLATE {TEMPLATE} OWNER {ROLE}")
    finally:
        await connection.close()


async def _migrated(home: Path, postgres: Postgres, connection: asyncpg.Connection) -> None:
    print("BottleCRM: первая миграция, около двух минут …", file=sys.stderr, flush=True)
    await connection.execute(f"DROP DATABASE IF EXISTS {RUN} WITH (FORCE)")
    await connection.execute(f"CREATE DATABASE {RUN} OWNER {ROLE}")
    await _run(home, _environment(postgres, RUN), "django-admin", "migrate", "--verbosity", "0")
    await connection.execute(f"ALTER DATABASE {RUN} RENAME TO {TEMPLATE}")


def _environment(postgres: Postgres, database: str) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", ""),
        "DJANGO_SETTINGS_MODULE": "crm.settings",
        "DBNAME": database,
        "DBUSER": ROLE,
        "DBPASSWORD": ROLE_PASSWORD,
        "DBHOST": postgres.host,
        "DBPORT": str(postgres.port),
        "SECRET_KEY": "a secret of the live test, long enough for HMAC",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "CELERY_BROKER_URL": "memory://",
        "CELERY_RESULT_BACKEND": "cache+memory://",
        "GOOGLE_CLIENT_ID": "x",
        "GOOGLE_CLIENT_SECRET": "x",
        "FRONTEND_URL": "http://127.0.0.1",
        "DOMAIN_NAME": "http://127.0.0.1",
        "CORS_ALLOWED_ORIGINS": "http://127.0.0.1",
        "ENV_TYPE": "dev",
        "LEAD_INTAKE_THROTTLE_MINUTE": "3/min",
    }


async def _run(home: Path, environment: dict[str, str], program: str, *arguments: str) -> str:
    """Standard output of one of the venv's programs."""
    process = await asyncio.create_subprocess_exec(
        home / "venv" / "bin" / program,
        *arguments,
        env=environment,
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{program} {arguments[0]}: {err.decode(errors='replace')[-1000:]}")
    return out.decode()


@contextlib.asynccontextmanager
async def _serving(home: Path, environment: dict[str, str]) -> AsyncIterator[str]:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with (home / "server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            _UNTIL_WE_END,
            "guard",
            home / "venv" / "bin" / "gunicorn",
            "crm.wsgi",
            "--bind",
            f"127.0.0.1:{port}",
            "--workers",
            "1",
            "--threads",
            "8",
            env=environment,
            cwd=home,
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            await _answers(url, process)
            yield url
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()


async def _answers(url: str, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(START_SECONDS), httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        while process.returncode is None:
            with contextlib.suppress(httpx2.TransportError):
                await client.get(f"{url}/api/leads/")
                return
            await asyncio.sleep(0.2)
    raise RuntimeError("BottleCRM не запустилась: смотрите server.log")


async def _bootstrap(home: Path, environment: dict[str, str], url: str) -> str:
    told = await _run(home, environment | {"DEBUG": "True"}, "django-admin", "devlogin", EMAIL, "--create")
    token = next(word for word in told.split() if word.count(".") == 2 and len(word) > 100)
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60) as client:

        async def post(path: str, body: dict[str, Any], bearer: str) -> dict[str, Any]:
            answer = await client.post(path, json=body, headers={"Authorization": f"Bearer {bearer}"})
            if answer.status_code not in (200, 201):
                raise RuntimeError(f"POST {path}: {answer.status_code} {answer.text[:500]}")
            found: dict[str, Any] = answer.json()
            return found

        organisation = await post("/api/org/", {"name": "Studio"}, token)
        switched = await post("/api/auth/switch-org/", {"org_id": organisation["org"]["id"]}, token)
        key = await post("/api/profile/tokens/", {"name": "kwork", "scopes": []}, switched["access_token"])
        return str(key["token"])
