"""`scripts/demo`: the stand-in, the demo CRM and the real service, walked through once as a user would.

What it keeps (database, the moment the world was born, the CRM's records) lies in `data/demo`, so that a
second run meets the same world and creates nothing new.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx2

ROOT = Path(__file__).resolve().parent.parent
TENANT = "default"
EMAIL = "demo@example.com"
READY_SECONDS = 60.0
SYNC_SECONDS = 600.0
Row = dict[str, Any]


class DemoError(Exception):
    """Ends the demo; the message says what failed."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description="Kwork Service в работе на учебном стенде."
    )
    parser.add_argument("--once", action="store_true", help="показать таблицу и закончить")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "demo", help="где хранить данные показа")
    parser.add_argument("--projects", type=int, default=571)
    parser.add_argument("--orders", type=int, default=120)
    parser.add_argument("--port", type=int, default=0, help="порт сервиса, 0 — любой свободный")
    given = parser.parse_args()
    demo = Demo(given.data.absolute())
    try:
        demo.start(given.projects, given.orders, given.port)
        table = demo.walk()
        print(table, flush=True)
        if not given.once:
            print("\nВсё работает дальше. Остановить: Ctrl+C", flush=True)
            demo.wait()
    except DemoError as error:
        print(f"Показ не удался: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nОстанавливаю…")
    finally:
        demo.stop()
    return 0


class Demo:
    """The three programs and the steps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept_path = folder / "demo.json"
        self._kept: Row = {}
        self._sandbox: subprocess.Popen[bytes] | None = None
        self._service: subprocess.Popen[bytes] | None = None
        self._hello: Row = {}
        self._url = ""
        self._api = httpx2.Client(timeout=120)
        self._mark = 0
        self._steps: list[tuple[str, str, float]] = []

    # Starting and stopping --------------------------------------------------------------------------

    def start(self, projects: int, orders: int, port: int) -> None:
        """Sandbox, the CRM's earlier records, the administrator, the service."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DemoError(
                f"папку {self._folder} не создать ({error.strerror}). Укажите другую: --data"
            ) from error
        self._kept = self._read_kept()
        started = time.monotonic()
        self._start_sandbox(projects, orders)
        self._restore_crm()
        self._start_service(port)
        self._note("Запуск", "двойник Kwork, демо-CRM, PostgreSQL, Valkey и сервис", started)

    def _read_kept(self) -> Row:
        try:
            found: Row = json.loads(self._kept_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = {"born": time.time(), "password": secrets.token_urlsafe(18), "crm": {}}
            self._write_kept(found)
        return found

    def _write_kept(self, kept: Row) -> None:
        fresh = self._kept_path.with_suffix(".new")
        fresh.write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")
        fresh.chmod(0o600)
        fresh.replace(self._kept_path)

    def _start_sandbox(self, projects: int, orders: int) -> None:
        command = [
            sys.executable,
            "-m",
            "sandbox",
            "--die-with-parent",
            "--seed",
            "7",
            "--born",
            str(self._kept["born"]),
        ]
        command += ["--projects", str(projects), "--orders", str(orders)]
        # The addresses of the last run where they are still free: Kwork's links stand in the CRM.
        ports = self._kept.get("ports", {})
        again = [f"--{name}-port={port}" for name, port in ports.items() if _is_free(port)]
        self._sandbox = subprocess.Popen([*command, *again], cwd=ROOT, stdout=subprocess.PIPE)
        assert self._sandbox.stdout is not None
        line = self._sandbox.stdout.readline()
        if not line:
            raise DemoError("двойник Kwork не запустился")
        self._hello = json.loads(line)
        self._kept["ports"] = {
            name: urlsplit(self._hello[name]).port for name in ("web", "api", "crm", "control", "notice")
        }
        self._write_kept(self._kept)

    def _start_service(self, port: int) -> None:
        port = port or _free_port()
        self._url = f"http://127.0.0.1:{port}"
        environment = {
            **{name: value for name, value in os.environ.items() if name not in _SERVICE_SETTINGS},
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DATA_DIR": str(self._folder / "service"),
            "LOG_DIR": str(self._folder / "logs"),
            "DEFAULT_TENANT_ID": TENANT,
            "KWORK_WEB_URL": self._hello["web"],
            "KWORK_API_URL": self._hello["api"],
            "KWORK_MOBILE_KEY": self._hello["mobile_key"],
            # The stand-in needs no sparing; the real Kwork does, and the defaults spare it.
            "KWORK_REQUESTS_PER_SECOND": "0",
            "KWORK_ORDER_PAGES_PER_RUN": "1000",
            "KWORK_SIGN_IN_PAUSE_MINUTES": "0",
            "KWORK_SIGN_INS_PER_DAY": "1000",
            "RATE_LIMIT_PER_MINUTE": "6000",
            "POLL_SECONDS": "0",  # the walk reads by itself
            "CRM_API_URL": self._hello["crm"],
            "CRM_API_KEY": self._hello["crm_key"],
        }
        # In a folder of its own, so that a .env of the project does not mix in.
        command = [sys.executable, str(ROOT / "main.py")]
        made = subprocess.run(
            [*command, "admin", "create", "--email", EMAIL, "--tenant", TENANT],
            cwd=self._folder, env=environment, input=self._kept["password"], text=True, capture_output=True, check=False,
        )  # fmt: skip
        if made.returncode != 0 and "уже есть" not in made.stderr:
            raise DemoError(made.stderr.strip() or made.stdout.strip()[-500:])
        log: IO[bytes] = (self._folder / "service.out").open("wb")
        self._service = subprocess.Popen(command, cwd=self._folder, env=environment, stdout=log, stderr=log)
        self._wait_ready()

    def _wait_ready(self) -> None:
        assert self._service is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._service.poll() is not None:
                raise DemoError(f"сервис не запустился: {self._last_words()}")
            try:
                if self._api.get(f"{self._url}/health/ready").status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.05)
        raise DemoError(f"сервис не отвечает {READY_SECONDS:.0f} с: {self._last_words()}")

    def _last_words(self) -> str:
        return (self._folder / "service.out").read_text(encoding="utf-8", errors="replace")[-600:]

    def wait(self) -> None:
        """Until Ctrl+C, or until one of the programs ends by itself."""
        while True:
            for process, name in ((self._service, "сервис"), (self._sandbox, "двойник Kwork")):
                if process is not None and process.poll() is not None:
                    raise DemoError(f"{name} остановился")
            time.sleep(0.5)

    def stop(self) -> None:
        """The service first, then the CRM's records are kept, then the stand-in."""
        _end(self._service)
        if self._sandbox is not None and self._sandbox.poll() is None and self._hello:
            try:
                records = self._api.get(
                    f"{self._hello['crm']}/_demo/records", params={"tenant": TENANT}
                ).json()
                self._write_kept({**self._kept, "crm": records})
            except (httpx2.HTTPError, OSError, ValueError) as error:
                print(f"Записи CRM не сохранены: {type(error).__name__}", file=sys.stderr)
        _end(self._sandbox)
        self._api.close()

    def _restore_crm(self) -> None:
        headers = {"X-API-Key": self._hello["crm_key"], "X-Tenant-ID": TENANT}
        for kind in ("contacts", "leads"):
            for record in self._kept["crm"].get(kind, []):
                body = {name: value for name, value in record.items() if name not in _CRM_OWN}
                answer = self._api.post(f"{self._hello['crm']}/api/v1/{kind}", json=body, headers=headers)
                if answer.status_code >= 300 or answer.json().get("id") != record["id"]:
                    raise DemoError(f"прежние записи CRM не восстановить: {answer.text[:200]}")
        journal = self._api.get(f"{self._hello['control']}/journal", params={"limit": 1}).json()
        self._mark = journal[-1]["seq"] if journal else 0

    # The walk ---------------------------------------------------------------------------------------

    def walk(self) -> str:
        """Sign in, connect the account, sync; returns the table."""
        self._log_in()
        account = self._connect()
        self._sync(account)
        return self._table()

    def _log_in(self) -> None:
        answer = self._call("POST", "/auth/login", {"email": EMAIL, "password": self._kept["password"]})
        self._api.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def _connect(self) -> str:
        started = time.monotonic()
        known = self._call("GET", "/accounts")["items"]
        if known:
            account = self._call("POST", f"/accounts/{known[0]['id']}/session", {})
        else:
            account = self._call(
                "POST", "/accounts",
                {"title": "Студия", "login": self._hello["login"], "password": self._hello["password"]},
            )  # fmt: skip
        if account["state"] != "connected":
            raise DemoError(f"аккаунт не подключён: {account['state']}: {account.get('state_detail')}")
        name = account.get("username") or account["login"]
        self._note("Вход в Kwork", f"{self._way_in()}, аккаунт {name}", started)
        return str(account["id"])

    def _way_in(self) -> str:
        """By the stand-in's journal: without Chromium the mobile API opens the site, too."""
        form = {"surface": "web", "path": "/api/user/login", "since": self._mark}
        if self._api.get(f"{self._hello['control']}/journal", params=form).json():
            return "браузером"
        return "мобильным API, без браузера (Chromium не найден)"

    def _sync(self, account_id: str) -> None:
        started = time.monotonic()
        body = {
            "kinds": ["order", "project", "gig", "dialog"],
            "full": True,
            "filters": {"category": "programming", "min_price": 20000},
        }
        runs = self._finished(self._call("POST", "/crm-sync/sync-orders", body))
        counts = _sum(runs)
        self._note(
            "Прочитано проектов", f"{counts['projects_read']} (страниц {counts['pages_read']})", started
        )
        self._note("Прочитано заказов", f"{counts['orders_read']}, новых {counts['orders_new']}", None)
        self._note("Прочитано кворков", f"{counts['gigs_read']}, новых {counts['gigs_new']}", None)
        self._note("Диалогов и новых сообщений", f"{counts['dialogs_read']} и {counts['messages_new']}", None)
        self._note("Лиды в CRM", _outcomes(counts, "leads"), None)
        self._note("Контакты в CRM", _outcomes(counts, "contacts"), None)
        started = time.monotonic()
        contacts = _sum(
            self._finished(self._call("POST", "/crm-sync/sync-contacts", {"account_id": account_id}))
        )
        self._note(
            "Профили покупателей",
            f"прочитано {contacts['profiles_read']}; {_outcomes(contacts, 'contacts')}",
            started,
        )

    def _finished(self, answer: Row) -> list[Row]:
        """Waits for the runs of an answer; a failed one ends the demo."""
        deadline = time.monotonic() + SYNC_SECONDS
        runs = {run["id"]: run for run in answer["runs"]}
        while any(run["state"] == "running" for run in runs.values()):
            if time.monotonic() > deadline:
                raise DemoError("синхронизация не закончилась")
            time.sleep(0.3)
            for stream in self._call("GET", "/crm-sync/sync-status")["streams"]:
                run = stream["last_run"]
                if run["id"] in runs:
                    runs[run["id"]] = run
        for run in runs.values():
            if run["state"] != "done":
                raise DemoError(f"синхронизация {run['stream']}: {run['reason'] or run['state']}")
        return list(runs.values())

    def _table(self) -> str:
        crm = self._hello["crm"]
        records = self._api.get(f"{crm}/_demo/records", params={"tenant": TENANT}).json()
        for kind in ("leads", "contacts"):
            keys = Counter(record["external_id"] for record in records[kind])
            doubled = [key for key, number in keys.items() if number > 1]
            if doubled:
                raise DemoError(f"в CRM записи дважды: {', '.join(doubled[:5])}")
        arrived = self._api.get(
            f"{self._hello['control']}/journal", params={"surface": "crm", "since": self._mark}
        ).json()
        made = Counter(word for row in arrived for word in row["decided"])
        self._note(
            "Журнал CRM",
            f"создано лидов {made['lead created']}, контактов {made['contact created']}; "
            f"всего в CRM {len(records['leads'])} и {len(records['contacts'])}",
            None,
        )
        width = max(len(name) for name, _, _ in self._steps)
        lines = [
            f"  {name:<{width}}  {text}" + (f"  ({seconds:.1f} с)" if seconds else "")
            for name, text, seconds in self._steps
        ]
        places = [
            f"  CRM: лиды и контакты   {crm}/",
            f"  API и документация     {self._url}/docs",
            f"  Вход в API             {EMAIL} / {self._kept['password']}",
            f"  Kwork (двойник)        {self._hello['web']}/projects",
        ]
        return "\n".join(["", "Что произошло", *lines, "", "Где посмотреть", *places])

    def _call(self, method: str, path: str, body: Row | None = None) -> Row:
        answer = self._api.request(method, f"{self._url}/api/v1{path}", json=body)
        if answer.status_code >= 400:
            raise DemoError(f"{method} {path}: {answer.status_code} {answer.text[:400]}")
        found: Row = answer.json()
        return found

    def _note(self, name: str, text: str, started: float | None) -> None:
        self._steps.append((name, text, time.monotonic() - started if started is not None else 0.0))
        print(f"· {name}: {text}", flush=True)


_CRM_OWN = ("id", "created_at", "updated_at")
_SERVICE_SETTINGS = (
    "POSTGRES_HOST", "DATABASE_URL", "REDIS_URL", "SECRET_KEY", "CREDENTIALS_KEYS", "ROOT_PATH", "DEBUG",
    "CRM_SETTINGS", "POSTGRES_BIN_DIR",
)  # fmt: skip


def _sum(runs: list[Row]) -> Counter[str]:
    total: Counter[str] = Counter()
    for run in runs:
        total.update(run["counts"])
    return total


def _outcomes(counts: Counter[str], entity: str) -> str:
    words = {
        "created": "создано",
        "updated": "обновлено",
        "adopted": "найдено",
        "waiting": "ждёт",
        "parked": "отложено",
    }
    found = [
        f"{text} {counts[f'{entity}_{word}']}" for word, text in words.items() if counts[f"{entity}_{word}"]
    ]
    return ", ".join(found) or "ничего нового"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


if __name__ == "__main__":
    sys.exit(main())
