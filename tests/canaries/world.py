"""The real service at DEBUG with secrets that are found again wherever they lie, and everything it leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import asyncpg
import httpx2

from app.core.crypto import SecretBox, new_key
from app.core.embedded.binaries import wheel_program
from app.repositories.sealed import SEALED
from tests.canaries.forms import SHORTEST
from tests.external_postgres import PASSWORD as POSTGRES_PASSWORD
from tests.external_postgres import USER, ExternalPostgres
from tests.sealed import sealed_rows
from tests.service import PASSWORD as USER_PASSWORD
from tests.service import Service
from tests.stand import ROOT, Stand

TENANT = "studio"
NO_BROWSER = "/nonexistent/chromium"
ODD = 'ключ "и\\знаки" +/=?&%<>'
"""Makes the forms of a secret differ."""
_PLAIN = {"user_agent", "expires_at", "origin", "user_id", "domain", "path", "name", "sameSite", "uad"}
"""What is sealed along with a secret and is none."""


@dataclass(slots=True)
class World:
    """``secrets``: by name. ``answers``: all that the API said, but for those that hand a secret out on purpose."""

    service: Service
    stand: Stand
    postgres: ExternalPostgres
    database: str
    keys: str
    secrets: dict[str, bytes]
    answers: list[bytes] = field(default_factory=list)
    problems: list[bytes] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)
    """What commands printed."""
    statuses: list[int] = field(default_factory=list)

    @classmethod
    @contextmanager
    def made(cls, folder: Path, stand: Stand, postgres: ExternalPostgres) -> Iterator[Self]:
        """Started in a database of its own; ends with the block."""
        database = "canaries"
        postgres.create_database(database)
        keys, secret_key = new_key("k1"), f"signs tokens {ODD} {os.urandom(12).hex()}"
        redis_password = f"redis {ODD} word"
        address = (
            f"postgresql://{USER}:{quote(POSTGRES_PASSWORD, safe='')}@127.0.0.1:{postgres.port}/{database}"
        )
        service = Service(
            folder, stand,
            DATABASE_URL=address, SECRET_KEY=secret_key, CREDENTIALS_KEYS=keys,
            REDIS_URL=f"redis://:{quote(redis_password, safe='')}@127.0.0.1:9/0",
            LOG_LEVEL="DEBUG", CHROMIUM_PATH=NO_BROWSER, CRM_ALLOWED_HOSTS="127.0.0.1",
            WEBHOOK_ALLOWED_HOSTS="127.0.0.1", KWORK_DEADLINE_SECONDS="2", RATE_LIMIT_PER_MINUTE="100000",
            LOGIN_LIMIT_PER_MINUTE="1000", CRM_SETTINGS=json.dumps({"total_timeout_seconds": 2}),
        )  # fmt: skip
        secrets = {
            "SECRET_KEY": secret_key.encode(),
            "CREDENTIALS_KEYS": keys.partition(":")[2].encode(),
            "database password": POSTGRES_PASSWORD.encode(),
            "Redis password": redis_password.encode(),
            "CRM_API_KEY": stand.crm_key.encode(),
            "KWORK_MOBILE_KEY": stand.mobile_key.encode(),
            "password of a user": USER_PASSWORD.encode(),
        }
        world = cls(service, stand, postgres, database, keys, secrets)
        try:
            service.start()
            yield world
        finally:
            service.stop()

    def secret(self, name: str, *, odd: bool = True) -> str:
        """A new one."""
        value = f"{name} {ODD if odd else ''}{os.urandom(8).hex()}".replace(" ", "-" if not odd else " ")
        self.secrets[name] = value.encode()
        return value

    def ask(
        self, method: str, path: str, *, token: str | None = None, shows: bool = False, **given: Any
    ) -> httpx2.Response:
        """``shows``: the answer hands a secret out on purpose, this once."""
        headers = {**given.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        answer = httpx2.request(method, f"{self.service.url}{path}", headers=headers, timeout=60, **given)
        self.statuses.append(answer.status_code)
        if not shows:
            self.answers.append(answer.content + repr(dict(answer.headers)).encode())
        if answer.status_code >= 400:
            self.problems.append(answer.content)
        return answer

    def command(self, *arguments: str, typed: str = "", **settings: str) -> None:
        """``python main.py …``; what it says is a surface, too."""
        environment = self.service._environment | settings
        done = subprocess.run(
            [sys.executable, str(ROOT / "main.py"), *arguments], cwd=self.service.folder, env=environment,
            input=typed, text=True, capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        self.said.append((done.stdout + done.stderr).encode())

    def unsealed(self) -> dict[str, bytes]:
        """The secrets that the service keeps sealed, opened: each leaf of each value."""
        found: dict[str, bytes] = {}
        for name, value in asyncio.run(self._open_all()):
            try:
                leaves = list(_leaves(json.loads(value)))
            except ValueError:
                leaves = [("", value.decode())]
            for place, leaf in leaves:
                if len(leaf) >= SHORTEST and not leaf.isdigit():  # a number is somebody's id
                    found[f"{name} {place}".strip()] = leaf.encode()
        return found

    async def _open_all(self) -> list[tuple[str, bytes]]:
        owner = await self._owner()
        try:
            rows = await sealed_rows(owner, TENANT)
        finally:
            await owner.close()
        box, columns = SecretBox(self.keys), {column.name: column for column in SEALED}
        return [
            (f"{name} {number}", box.unseal(sealed, columns[name].place(TENANT, *key)))
            for number, ((name, key), sealed) in enumerate(rows.items())
            if sealed
        ]

    async def _owner(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            host="127.0.0.1", port=self.postgres.port, user=USER, password=POSTGRES_PASSWORD,
            database=self.database, server_settings={"search_path": "kwork"},
        )  # fmt: skip

    def surfaces(self) -> dict[str, bytes]:
        """Everything that was left behind, by where it lies."""
        metrics = self.ask("GET", "/metrics")
        logs = {path.name: path.read_bytes() for path in (self.service.folder / "logs").iterdir()}
        return {
            "stdout": self.service.output().encode(),
            **{f"logs/{name}": text for name, text in logs.items()},
            "API answers": b"\n".join(self.answers),
            "problems": b"\n".join(self.problems),
            "commands": b"\n".join(self.said),
            "/metrics": metrics.content,
            **asyncio.run(self._tables()),
            "pg_dump": self._dump(),
        }

    async def _tables(self) -> dict[str, bytes]:
        owner = await self._owner()
        try:
            return {
                f"table {table}": "\n".join(
                    row[0] for row in await owner.fetch(f"SELECT t::text FROM {table} t")
                ).encode()
                for table in (
                    "audit",
                    "deliveries",
                    "procrastinate_jobs",
                    "procrastinate_events",
                    "kwork_writes",
                    "crm_problems",
                )
            }
        finally:
            await owner.close()

    def _dump(self) -> bytes:
        """As a backup has it: text, so that what is stored plainly shows plainly."""
        done = subprocess.run(
            [str(wheel_program("pg_dump")), "--host", "127.0.0.1", "--port", str(self.postgres.port), "--username", USER,
             "--inserts", self.database],
            env={**os.environ, "PGPASSWORD": POSTGRES_PASSWORD}, capture_output=True, check=True, timeout=120,
        )  # fmt: skip
        assert b"kwork.accounts" in done.stdout
        return done.stdout


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, one in value.items():
            if name not in _PLAIN:
                yield from _leaves(one, f"{place}.{name}".strip("."))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _leaves(one, f"{place}.{number}".strip("."))
    elif isinstance(value, str):
        yield place, value
