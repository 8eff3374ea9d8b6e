"""The real service as a process (`python main.py`), pointed at the stand-in; and a small client of its API."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest

from tests.external_servers import servers_of_a_service
from tests.stand import ROOT, Stand

READY_SECONDS = 120.0
PASSWORD = "correct horse battery"
Row = dict[str, Any]


# Imports what the start needs before it gives up root: another account may not read this interpreter.
_AS_SOMEBODY = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
import concurrent.futures.thread, encodings.idna, multiprocessing, uvloop, app.bootstrap, main
number = int(sys.argv.pop(1))
os.setgroups([])
os.setgid(number)
os.setuid(number)
sys.exit(main.main(sys.argv[1:]))
"""


class Service:
    """One running service with a data folder of its own; `stop` ends it, `kill` as `kill -9` does.

    `program` runs instead of `main.py`.
    """

    def __init__(
        self,
        folder: Path,
        stand: Stand,
        *,
        program: Sequence[str] = (str(ROOT / "main.py"),),
        **settings: str,
    ) -> None:
        self.folder = folder
        self._program = program
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._output = folder / "service.out"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("POSTGRES_", "DATABASE_", "REDIS_", "KWORK_", "CRM_"))},
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATA_DIR": str(folder / "data"),
            "LOG_DIR": str(folder / "logs"),
            "KWORK_WEB_URL": stand.web,
            "KWORK_API_URL": stand.api,
            "KWORK_MOBILE_KEY": stand.mobile_key,
            "KWORK_REQUESTS_PER_SECOND": "0",
            "KWORK_SIGN_IN_PAUSE_MINUTES": "0",
            "KWORK_SIGN_INS_PER_DAY": "1000",
            "RATE_LIMIT_PER_MINUTE": "1000000",
            "CRM_API_URL": stand.crm,
            "CRM_API_KEY": stand.crm_key,
            "CRM_SEARCH_LAG_SECONDS": "0.5",
            # Nothing is read but what a test asks for; `POLL_SECONDS`, `KWORK_NOTICE_URL` switch news on.
            "POLL_SECONDS": "0",
            "WORKER_STOP_SECONDS": "1",
            "SHUTDOWN_SECONDS": "8",
            **settings,
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """For programs that run beside it with the same settings."""
        return dict(self._environment)

    def command(
        self, *arguments: str, typed: str = "", before: Sequence[str] = (), uid: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`python main.py …` with the service's settings; `before` goes before the interpreter (`prlimit …`)."""
        program = [str(ROOT / "main.py")] if uid is None else ["-c", _AS_SOMEBODY, str(ROOT), str(uid)]
        return subprocess.run(
            [*before, sys.executable, *program, *arguments],
            cwd=self.folder if uid is None else "/", env=self._environment, input=typed, text=True, capture_output=True, timeout=180, check=False,
        )  # fmt: skip

    def beside(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """`python main.py …` running while the test goes on."""
        return subprocess.Popen(
            [sys.executable, str(ROOT / "main.py"), *arguments],
            cwd=self.folder, env={**self._environment, **settings}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def start(self, **settings: str) -> Self:
        """`settings` count for this start only."""
        self.spawn(**settings)
        assert self.process is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx2.get(f"{self.url}/health/ready", timeout=30).status_code == 200:
                    return self
            except httpx2.TransportError:
                pass
            time.sleep(0.05)
        raise RuntimeError(f"the service did not start: {self.output()[-2000:]}")

    def spawn(self, **settings: str) -> None:
        """The process only: nobody waits until it serves."""
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *self._program],
                cwd=self.folder, env={**self._environment, **settings}, stdout=output, stderr=output,
            )  # fmt: skip

    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def told(self) -> list[str]:
        """What a person at the terminal reads: the lines that are not the log's JSON."""
        return [line for line in self.output().splitlines() if line and not line.startswith("{")]

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def user(self, tenant: str = "studio", role: str = "admin") -> Api:
        """A client signed in as a new user of the tenant."""
        email = f"{role}-{tenant}@example.com"
        made = self.command(
            "admin", "create", "--email", email, "--tenant", tenant, "--role", role, typed=PASSWORD
        )
        if made.returncode != 0 and "уже есть" not in made.stderr:
            raise RuntimeError(made.stderr)
        return Api(self.url, email, tenant)


class Api:
    """Calls as a tenant's program would make them."""

    def __init__(self, url: str, email: str, tenant: str) -> None:
        self.base_url = f"{url}/api/v1"
        self._client = httpx2.Client(base_url=self.base_url, timeout=120)
        signed = self.call(
            "POST", "/auth/login", json={"email": email, "password": PASSWORD, "tenant_id": tenant}
        )
        self.token: str = signed["access_token"]
        self._client.headers["Authorization"] = f"Bearer {self.token}"
        self.tenant = tenant

    def request(self, method: str, path: str, **given: Any) -> httpx2.Response:
        return self._client.request(method, path, **given)

    def call(self, method: str, path: str, **given: Any) -> Any:
        """The JSON of an answer below 300; raises with the problem otherwise."""
        answer = self.request(method, path, **given)
        if answer.status_code >= 300:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def connect(self, account: Row) -> Row:
        """Adds a Kwork account and signs it in with the browser."""
        body = {"title": account["username"], "login": account["login"], "password": account["password"]}
        found: Row = self.call("POST", "/accounts", json=body)
        return found

    def sync(self, **body: Any) -> Row:
        found: Row = self.call("POST", "/crm-sync/sync-orders", json=body)
        return found

    def status(self) -> Row:
        found: Row = self.call("GET", "/crm-sync/sync-status")
        return found

    def settled(self, seconds: float = 120.0) -> Row:
        """The status once nothing is on its way any more."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.status()
            if found["deliveries"]["oldest_unsettled_seconds"] is None:
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


@pytest.fixture(scope="module")
def service(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for a module's tests: each takes a tenant of its own."""
    stand.reset(seed=7, projects=30, orders=16, accounts=2, gigs=12, dialogs=8)
    stand.clear_faults()
    with servers_of_a_service() as servers:
        running = Service(tmp_path_factory.mktemp("service"), stand, **servers).start()
        yield running
        running.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
