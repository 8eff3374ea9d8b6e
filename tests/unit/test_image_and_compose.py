"""Dockerfile and compose files: what can be held against them without a Docker engine."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from app.core.crypto import new_key
from app.core.secrets import load_secrets
from app.core.settings import Settings
from sandbox.settings import parse
from tests.containers import (
    SECRETS,
    SETTINGS,
    Row,
    accepts,
    addresses,
    faults,
    image,
    image_environment,
    interpolated,
    last,
    read_yaml,
)
from tests.image.build import let_through
from tests.image.dockerfile import read_stages
from tests.stand import ROOT

WHOLE, BESIDE = "docker-compose.yml", "docker-compose.messaging.yml"
FILES = {name: read_yaml(name)[0] for name in (WHOLE, BESIDE)}
SERVICES = [(name, service) for name, file in FILES.items() for service in file["services"]]
OURS = [(name, service) for name, service in SERVICES if service.startswith("kwork-")]
OF_COMPOSE = {
    "KWORK_IMAGE", "KWORK_DEMO_IMAGE", "POSTGRES_IMAGE", "REDIS_IMAGE", "DEBIAN_IMAGE", "DEBIAN_DIGEST",
    "CRM_NETWORK", "CRM_POSTGRES_HOST", "KWORK_POSTGRES_DB", "KWORK_REDIS_URL",
}  # fmt: skip
DOTENV = {
    "SECRET_KEY": "a secret of the tests, long enough for HMAC",
    "CREDENTIALS_KEYS": new_key("k1"),
    "POSTGRES_PASSWORD": "password of the tests",
}


def told(file: str, service: str) -> Row:
    return FILES[file]["services"][service]  # type: ignore[no-any-return]


# The image -------------------------------------------------------------------------------------------


def test_hadolint_finds_nothing_in_the_dockerfile(tmp_path: Path) -> None:
    linter = shutil.which("hadolint")
    if linter is None:
        pytest.skip("no hadolint on this machine; scripts/try-dockerfile brings it")
    control = tmp_path / "Dockerfile"
    control.write_text("FROM debian\nRUN cd /tmp && sudo apt-get install curl\n")
    assert subprocess.run([linter, control], capture_output=True, check=False).returncode != 0
    ended = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_every_base_can_be_pinned_by_its_digest() -> None:
    digest = f"sha256:{'0' * 64}"
    stages = read_stages(ROOT / "Dockerfile", DEBIAN_DIGEST=digest)
    names = {stage.name for stage in stages}
    assert {stage.base for stage in stages} - names == {f"debian:trixie-slim@{digest}"}
    assert {stage.base for stage in read_stages(ROOT / "Dockerfile")} - names == {"debian:trixie-slim"}


def test_the_service_runs_without_root_and_gets_its_signals() -> None:
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last("USER"))
    entry = [one for part in image() for one in part.all("ENTRYPOINT")][-1]
    assert entry.rest.startswith("[")
    assert entry.words()[:2] == ["/usr/bin/tini", "--"]
    assert last("STOPSIGNAL") == "SIGTERM"
    assert accepts(shlex.split(last("CMD").strip("[]")))


def test_the_health_check_needs_no_program_and_asks_an_address_there_is() -> None:
    check = last("HEALTHCHECK")
    assert not re.search("curl|wget", check)
    [path] = re.findall(r"\]}(/[a-z/]+)", check)
    assert path in addresses()


def test_the_packages_bring_the_library_of_the_database_along() -> None:
    """procrastinate imports psycopg, which would look for the system's libpq: neither the image nor a fresh Debian has it."""
    assert psycopg.pq.__impl__ == "binary"


def test_what_the_image_sets_are_settings() -> None:
    environment = image_environment()
    assert set(environment) - SETTINGS == {"PATH", "HOME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert set(environment) & SECRETS == set()
    assert environment["PORT"] == last("EXPOSE")
    assert environment["DATA_DIR"] in last("VOLUME")


def test_settings_and_data_never_reach_the_builder() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    assert let_through() == {"app", "sandbox", "main.py", "requirements.txt"}
    copied = [one for part in read_stages(ROOT / "Dockerfile") for one in part.all("COPY")]
    from_here = {shlex.split(one.rest)[0] for one in copied if "--from" not in one.rest}
    assert from_here == let_through()
    assert all((ROOT / name).exists() for name in from_here)
    assert "ADD" not in {one.name for part in read_stages(ROOT / "Dockerfile") for one in part.instructions}


# Compose ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_compose_file_keeps_to_the_specification(name: str) -> None:
    assert faults("compose-spec.json", FILES[name]) == []


def test_the_specification_finds_a_misspelt_line() -> None:
    services = {**FILES[WHOLE]["services"], "bad": {"image": "x", "readonly": True, "depends_on": 1}}
    assert len(faults("compose-spec.json", {**FILES[WHOLE], "services": services})) == 2


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_a_container_has_no_more_than_it_needs(file: str, name: str) -> None:
    service = told(file, name)
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= 512
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert "privileged" not in service
    if name.startswith("kwork-"):
        assert "cap_add" not in service
    published = {"kwork-service": ["8004:8000"], "kwork-demo": ["8005:8000"]}.get(name)
    assert service.get("ports") == published


@pytest.mark.parametrize(("file", "name"), OURS)
def test_what_a_container_is_told_are_settings_the_service_takes(
    file: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    service = told(file, name)
    environment = {key: interpolated(value, DOTENV) for key, value in service["environment"].items()}
    assert set(environment) <= SETTINGS
    for key in SETTINGS:
        monkeypatch.delenv(key, raising=False)
    given = _env_template() | DOTENV if service.get("env_file") == ".env" else {}
    for key, value in {**image_environment(), **given, **environment}.items():
        if key in SETTINGS:
            monkeypatch.setenv(key, str(value))
    settings = Settings(_env_file=None)
    assert (settings.host, settings.port) == ("0.0.0.0", 8000)
    assert (str(settings.data_dir), str(settings.log_dir)[:6]) == ("/data", "/data/")
    if name != "kwork-demo":
        load_secrets(settings)
        assert not settings.embedded_postgres
        assert not settings.embedded_valkey
        assert settings.worker is (name == "kwork-worker") or "WORKER" not in environment
        stop = max(settings.shutdown_seconds, settings.worker_stop_seconds)
        assert stop + 10 <= float(service["stop_grace_period"].rstrip("s"))
    if name == "kwork-worker":
        assert f":{settings.metrics_port}/health'" in service["healthcheck"]["test"][-1]


def _env_template() -> dict[str, str]:
    lines = (ROOT / "env.template").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize("name", FILES)
def test_every_name_a_compose_file_asks_for_is_known(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    assert asked <= SETTINGS | OF_COMPOSE
    for secret in SECRETS - {"REDIS_URL", "DATABASE_URL"}:
        written = set(re.findall(rf"^ +{secret}: (\S+)", text, re.MULTILINE))
        assert written <= {"${POSTGRES_PASSWORD:-}", "sandbox-app:sandbox-app-key", "sandbox-crm-key"}, secret


@pytest.mark.parametrize(("file", "name"), SERVICES)
def test_what_a_container_waits_for_can_come(file: str, name: str) -> None:
    whole, service = FILES[file], told(file, name)
    for other, wait in service.get("depends_on", {}).items():
        if other not in whole["services"]:
            assert (file, wait["required"]) == (BESIDE, False)
            continue
        check = told(file, other).get("healthcheck", {})
        has_its_own = other.startswith("kwork-") and not check.get("disable")
        assert wait["condition"] == "service_healthy"
        assert "test" in check or has_its_own
    used = {str(place).partition(":")[0] for place in service.get("volumes", [])}
    assert used <= set(whole["volumes"])
    assert set(service["networks"]) <= set(whole["networks"])


def test_the_database_is_seen_by_nobody_outside() -> None:
    whole = FILES[WHOLE]
    assert whole["networks"]["inside"] == {"internal": True}
    assert {told(WHOLE, name)["networks"][0] for name in ("postgres", "redis")} == {"inside"}


@pytest.mark.parametrize(("file", "name"), [pair for pair in OURS if "command" in told(*pair)])
def test_a_containers_command_is_one_there_is(file: str, name: str) -> None:
    assert accepts(told(file, name)["command"])
    assert not accepts(["serv"])


def test_the_demo_finds_its_stand_ins() -> None:
    stand = parse(told(WHOLE, "stand-ins")["command"])
    demo = told(WHOLE, "kwork-demo")["environment"]
    ports = {name: urlsplit(demo[name]).port for name in demo if name.endswith("_URL")}
    assert ports == {
        "KWORK_WEB_URL": stand.web_port,
        "KWORK_API_URL": stand.api_port,
        "KWORK_NOTICE_URL": stand.notice_port,
        "CRM_API_URL": stand.crm_port,
    }
    assert {urlsplit(demo[name]).hostname for name in ports} == {"stand-ins"}
    assert stand.web_public_url == demo["KWORK_WEB_URL"]
    assert (demo["KWORK_MOBILE_KEY"], demo["CRM_API_KEY"]) == (stand.usable_mobile_key, stand.crm_key)
    assert str(stand.control_port) in told(WHOLE, "stand-ins")["healthcheck"]["test"][-1]
    assert image("demo")[-1].all("COPY")[0].rest == "sandbox sandbox"
