"""Bad days at the start of the real `python main.py`: refused with one Russian sentence, or serving without a part."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.core.embedded.guard import holders
from tests.embedded import processes_of
from tests.external_postgres import ExternalPostgres
from tests.service import Api, Service
from tests.stand import Stand

NOWHERE = "127.0.0.1:1"


def refused(service: Service, **how: Any) -> str:
    """The one sentence of a start that must be refused, leaving nothing running."""
    ended = service.command(**how)
    assert ended.returncode == 2, (ended.returncode, ended.stderr)
    assert "Traceback" not in ended.stdout + ended.stderr
    [sentence] = ended.stderr.strip().splitlines()
    assert any("а" <= letter <= "я" for letter in sentence), sentence
    assert processes_of(service.folder) == {}
    assert [holders(lock) for lock in (service.folder / "data" / "locks").glob("*") if holders(lock)] == []
    assert not (service.folder / "data" / "embedded.json").exists()
    return sentence


@pytest.fixture
def unstarted(stand: Stand, tmp_path: Path) -> Iterator[Service]:
    """A service on an empty folder, not started."""
    service = Service(tmp_path, stand)
    yield service
    service.stop()


def with_settings(service: Service, stand: Stand, **settings: str) -> Service:
    """The same folder with other settings."""
    return Service(service.folder, stand, **settings)


def test_a_taken_port_is_told_before_anything_is_made(unstarted: Service, stand: Stand) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        sentence = refused(with_settings(unstarted, stand, PORT=port))
    assert port in sentence
    assert "PORT в .env" in sentence
    assert not (unstarted.folder / "data").exists()


def test_a_host_that_is_none_is_told(unstarted: Service, stand: Stand) -> None:
    sentence = refused(with_settings(unstarted, stand, HOST="no-such-host.invalid"))
    assert "no-such-host.invalid" in sentence
    assert "HOST" in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eight thousand"),
        ("CRM_SETTINGS", "{"),
        ("CRM_SETTINGS", '{"colour": 1}'),
        ("CRM_KIND", "nearly"),
        ("REDIS_URL", "x"),
    ],
)
def test_bad_settings_are_named(unstarted: Service, stand: Stand, name: str, value: str) -> None:
    sentence = refused(with_settings(unstarted, stand, **{name: value}))
    assert name in sentence
    assert "env.template" in sentence


def test_a_dotenv_that_cannot_be_parsed_is_told_with_its_line(unstarted: Service) -> None:
    (unstarted.folder / ".env").write_text("LOG_LEVEL=INFO\n= = =\n")
    assert "2" in refused(unstarted)


def test_a_placeholder_for_a_secret_is_told_with_the_way_to_a_real_one(
    unstarted: Service, stand: Stand
) -> None:
    sentence = refused(with_settings(unstarted, stand, SECRET_KEY="your-secret-key-change-in-production"))
    assert "SECRET_KEY" in sentence
    assert "token_urlsafe" in sentence


def test_a_data_folder_that_is_a_file_is_told(unstarted: Service) -> None:
    data = unstarted.folder / "data"
    data.write_text("a file")
    sentence = refused(unstarted)
    assert str(data) in sentence
    assert "DATA_DIR" in sentence
    assert data.read_text() == "a file"


@pytest.fixture
def closed_folder() -> Iterator[tuple[Path, int | None]]:
    """A folder that may not be written, and the account to start the service as (None: this one)."""
    # Pytest's own folders are closed to other accounts altogether.
    above = Path("/tmp") / f"kwork-closed-{os.getpid()}"
    above.mkdir()
    folder = above / "closed"
    folder.mkdir(mode=0o555)
    (above / "logs").mkdir()
    (above / "logs").chmod(0o777)
    yield folder, pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    folder.chmod(0o755)
    shutil.rmtree(above)


def test_a_data_folder_that_may_not_be_written_is_told(
    unstarted: Service, stand: Stand, closed_folder: tuple[Path, int | None]
) -> None:
    folder, uid = closed_folder
    places = {"DATA_DIR": str(folder / "data"), "LOG_DIR": str(folder.parent / "logs")}
    sentence = refused(with_settings(unstarted, stand, **places), uid=uid)
    assert "нет прав" in sentence
    assert "DATA_DIR" in sentence
    assert list(folder.iterdir()) == []


def test_a_disk_that_fills_up_while_the_database_is_made_does_not_stop_the_next_start(
    unstarted: Service,
) -> None:
    # Files of more than a megabyte cannot be written, as on a disk that is nearly full.
    sentence = refused(unstarted, before=["prlimit", "--fsize=1000000"])
    assert "место на диске" in sentence
    assert not (unstarted.folder / "data" / "postgres").exists()
    unstarted.start()
    assert unstarted.user().call("GET", "/orders")["total"] == 0


def test_an_external_database_that_is_not_there_is_told(
    unstarted: Service, stand: Stand, external_postgres: ExternalPostgres
) -> None:
    host, port = NOWHERE.split(":")
    away = external_postgres.settings(POSTGRES_HOST=host, POSTGRES_PORT=port)
    sentence = refused(with_settings(unstarted, stand, **away))
    assert NOWHERE in sentence
    assert "POSTGRES_HOST" in sentence
    assert not (unstarted.folder / "data" / "postgres").exists()


def test_a_wrong_password_of_the_external_database_is_told_and_not_shown(
    unstarted: Service, stand: Stand, external_postgres: ExternalPostgres
) -> None:
    wrong = external_postgres.settings(POSTGRES_PASSWORD="canary of a password")
    sentence = refused(with_settings(unstarted, stand, **wrong))
    assert "POSTGRES_PASSWORD" in sentence
    assert "canary" not in sentence
    url = f"postgresql://kwork:canary@127.0.0.1:{external_postgres.port}/postgres"
    sentence = refused(with_settings(unstarted, stand, **{**wrong, "DATABASE_URL": url}))
    assert "DATABASE_URL" in sentence
    assert "canary" not in sentence


def test_a_database_that_does_not_exist_is_told(
    unstarted: Service, stand: Stand, external_postgres: ExternalPostgres
) -> None:
    service = with_settings(unstarted, stand, **external_postgres.settings(POSTGRES_DB="nowhere"))
    sentence = refused(service)
    assert "POSTGRES_DB" in sentence
    assert "CREATE DATABASE" in sentence


async def test_rights_that_are_missing_in_the_external_database_are_told_one_after_the_other(
    unstarted: Service, stand: Stand, external_postgres: ExternalPostgres
) -> None:
    owner = await external_postgres.connect()
    await owner.execute("DROP ROLE IF EXISTS poor, poor_service")
    await owner.execute("CREATE ROLE poor LOGIN PASSWORD 'poor'")
    poor = {"POSTGRES_USER": "poor", "POSTGRES_PASSWORD": "poor", "POSTGRES_APP_ROLE": "poor_service"}
    service = with_settings(unstarted, stand, **external_postgres.settings(**poor))
    advice = refused(service)
    assert "CREATE ROLE poor_service NOLOGIN; GRANT poor_service TO poor;" in advice
    await owner.execute("CREATE ROLE poor_service NOLOGIN; GRANT poor_service TO poor;")
    assert "GRANT CREATE, CONNECT ON DATABASE" in refused(service)
    await owner.close()


def test_an_external_database_without_secrets_is_told_what_to_set(
    unstarted: Service, stand: Stand, external_postgres: ExternalPostgres
) -> None:
    service = with_settings(
        unstarted, stand, **external_postgres.settings(SECRET_KEY="", CREDENTIALS_KEYS="")
    )
    assert "admin new-key" in refused(service)


def cookies_of_a_browser(stand: Stand) -> list[dict[str, Any]]:
    """Of somebody signed in elsewhere, here over the bridge."""
    with httpx2.Client(base_url=stand.web, follow_redirects=True) as browser:
        browser.get("/login-by-token", params={"web_auth_token": stand.web_token()})
        return [
            {"name": c.name, "value": c.value, "domain": c.domain, "path": c.path}
            for c in browser.cookies.jar
        ]


@pytest.fixture
def small_world(stand: Stand) -> Stand:
    stand.reset(seed=7, projects=30, orders=6, accounts=1, gigs=3, dialogs=2)
    stand.clear_faults()
    return stand


def test_without_chromium_redis_and_log_files_it_says_so_and_does_the_rest(
    unstarted: Service, small_world: Stand
) -> None:
    (unstarted.folder / "logs").write_text("a file where the folder should be")
    missing = {
        "CHROMIUM_PATH": "/nowhere/chromium",
        "REDIS_URL": f"redis://{NOWHERE}/0",
        "KWORK_MOBILE_KEY": "",
    }
    service = with_settings(unstarted, small_world, **missing).start()
    try:
        logs, redis, chromium = service.told()
        assert "LOG_DIR" in logs
        assert "REDIS_URL" in redis
        assert "scripts/setup" in chromium
        assert "CHROMIUM_PATH" in chromium
        ready = httpx2.get(f"{service.url}/health/ready").json()
        assert ready["status"] == "degraded"
        assert {name for name, check in ready["checks"].items() if not check["ok"]} == {"redis", "chromium"}
        shows_what_works(service.user(), small_world)
    finally:
        service.stop()


def test_with_no_chromium_to_be_found_and_a_full_disk_for_logs_it_says_so_and_does_the_rest(
    unstarted: Service, small_world: Stand, tmp_path: Path
) -> None:
    for name in ("kwork_service", "error", "access"):
        (tmp_path / "logs").mkdir(exist_ok=True)
        (tmp_path / "logs" / f"{name}.log").symlink_to("/dev/full")
    empty = tmp_path / "empty"
    empty.mkdir()
    nowhere = {"PATH": str(empty), "PLAYWRIGHT_BROWSERS_PATH": str(empty), "CHROMIUM_PATH": ""}
    service = with_settings(unstarted, small_world, KWORK_MOBILE_KEY="", **nowhere).start()
    try:
        shows_what_works(service.user(), small_world)
        chromium = [line for line in service.told() if "CHROMIUM_PATH" in line]
        assert len(chromium) == 1
        rest = [line for line in service.told() if line not in chromium]
        assert rest
        assert all("нет места на диске. Сервис работает дальше" in line for line in rest)
        assert len(rest) == len(set(rest)) <= 3, "one line a file, however many lines are lost"
    finally:
        service.stop()


def shows_what_works(api: Api, stand: Stand) -> None:
    body = {"title": "Студия", "login": stand.login, "password": stand.password}
    account = api.call("POST", "/accounts", json=body)
    assert account["sign_in_problem"]["code"] == "chromium_missing"
    assert "playwright install" in account["sign_in_problem"]["detail"]
    check = api.request("POST", f"/accounts/{account['id']}/check")
    assert check.headers["content-type"] == "application/problem+json"
    assert (check.status_code, check.json()["code"]) == (409, "chromium_missing")
    assert "CHROMIUM_PATH" in check.json()["detail"]

    assert api.sync(kinds=["project"], full=True)["state"] == "done"
    cookies = {"cookies": cookies_of_a_browser(stand)}
    brought = api.call("POST", f"/accounts/{account['id']}/session", json=cookies)
    assert brought["state"] == "connected"
    assert api.sync(kinds=["order", "gig"])["state"] == "done"
    api.settled()
    leads = [
        row for row in stand.journal(surface="crm", account=api.tenant) if "lead created" in row["decided"]
    ]
    assert len(leads) == len(stand.orders(account=stand.username)) == 6
