"""README word for word: its examples run in a shell against the real service, its lists name what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest

from app.core.settings import Settings
from app.models.account_schemas import SessionIn
from app.models.schemas import OrderQuery
from app.models.search_schemas import PreviewIn, SearchIn
from app.models.write_schemas import (
    DeliverIn,
    MessageIn,
    OrderStageIn,
    ResolveIn,
    RespondIn,
    TenantSettingsIn,
)
from tests.service import Service
from tests.stand import ROOT, Stand

README = (ROOT / "README.md").read_text(encoding="utf-8")
WRITTEN_AT = "http://127.0.0.1:8000"
EMAIL, PASSWORD = "you@example.com", "ваш-пароль"
NOBODY = "00000000-0000-4000-8000-000000000000"


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def commands(title: str) -> str:
    blocks = re.findall(r"```bash\n(.*?)```", section(title), re.DOTALL)
    assert blocks, title
    return "\n".join(blocks)


def with_slashes(text: str) -> str:
    """Every route of the API with a slash at its end."""
    changed, count = re.subn(rf"({WRITTEN_AT}/api/v1/[a-z/-]+[a-z])(?=[\s\"?]|$)", r"\1/", text)
    assert count == text.count(f"{WRITTEN_AT}/api/v1/")
    return changed


def routes() -> set[tuple[str, str]]:
    """Method and path of every route the README's table names."""
    found: set[tuple[str, str]] = set()
    methods: list[str] = []
    for cell in re.findall(r"^\| (`[^|]+) \|", section("Маршруты"), re.MULTILINE):
        for named in re.findall(r"`([^`]+)`", cell):
            verbs, _, path = named.rpartition(" ")
            methods = re.findall(r"[A-Z]+", verbs) or (["GET"] if path.startswith("/") else methods)
            found |= {(method, path if path.startswith("/") else f"/api/v1/{path}") for method in methods}
    return found


@pytest.fixture(scope="module")
def running(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the user and the Kwork account that the examples speak of."""
    stand.reset(seed=7, projects=120, orders=8, accounts=1, gigs=3, dialogs=2)
    stand.clear_faults()
    stand.change_account(stand.username, login="seller@example.com", password="пароль-от-kwork")
    service = Service(tmp_path_factory.mktemp("readme"), stand).start()
    created = commands("Запуск").splitlines()[-1]
    assert created == f"python main.py admin create --email {EMAIL}"
    made = service.command(*created.split()[2:], typed=PASSWORD)
    assert made.returncode == 0, made.stderr
    yield service
    service.stop()


def in_a_shell(service: Service, text: str, folder: Path) -> list[Any]:
    """Runs the examples; the JSON answers in their order. An answer of 400 and above ends it."""
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("no curl or no bash on this machine")
    (folder / ".curlrc").write_text("fail-with-body\nsilent\n")
    # `python` as the reader has it after activating their environment.
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "CURL_HOME": str(folder)}
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text.replace(WRITTEN_AT, service.url)],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr
    answers, rest = [], ended.stdout.strip()
    while rest:
        answer, end = json.JSONDecoder().raw_decode(rest)
        answers.append(answer)
        rest = rest[end:].lstrip()
    return answers


@pytest.mark.parametrize("slashes", [False, True], ids=["as written", "with trailing slashes"])
def test_the_examples_do_what_they_say(running: Service, stand: Stand, tmp_path: Path, slashes: bool) -> None:
    text = commands("Примеры")
    assert text.count("curl") == 6
    text = with_slashes(text) if slashes else text
    account, synced, listed, contacts, status = in_a_shell(running, text, tmp_path)
    assert (account["state"], account["login"]) == ("connected", "seller@example.com")
    assert synced["state"] == "done"
    assert {run["stream"] for run in synced["runs"]} == {"orders", "projects"}
    assert listed["items"], "the filters of the example must find something"
    assert {row["lead"]["state"] for row in listed["items"]} == {"synced"}
    assert contacts["state"] == "done"
    assert status["crm"]["ok"] is True
    assert status["accounts"][0]["state"] == "connected"
    made = [
        row for row in stand.journal(surface="crm", account="default") if "lead created" in row["decided"]
    ]
    assert len(made) >= len(stand.orders(account=stand.username))

    headers = {"Authorization": f"Bearer {_token(running)}"}
    gone = httpx2.delete(f"{running.url}/api/v1/accounts/{account['id']}/", headers=headers)
    assert gone.status_code == 204, "the next run connects it anew"


def _token(service: Service) -> str:
    body = {"email": EMAIL, "password": PASSWORD}
    token: str = httpx2.post(f"{service.url}/api/v1/auth/login", json=body).json()["access_token"]
    return token


def test_the_table_names_every_route_and_no_other(running: Service) -> None:
    document = httpx2.get(f"{running.url}/openapi.json").json()
    there = {(verb.upper(), path) for path, verbs in document["paths"].items() for verb in verbs}
    assert routes() - {("GET", "/docs"), ("GET", "/metrics")} == there


def test_every_route_answers_the_same_with_and_without_a_slash(running: Service) -> None:
    headers = {"Authorization": f"Bearer {_token(running)}"}
    with httpx2.Client(base_url=running.url, headers=headers, timeout=60) as client:
        for method, path in sorted(routes() - {("POST", "/api/v1/auth/logout")}):
            place = re.sub(r"\{[^}]+\}", NOBODY, path)
            body = (
                {"content": b"{}", "headers": {"Content-Type": "application/json"}} if method != "GET" else {}
            )
            query = {"follow": "false"} if path.endswith("/events") else None  # it would go on for ever
            plain, slashed = (client.request(method, place + end, params=query, **body) for end in ("", "/"))
            assert plain.status_code == slashed.status_code, (method, path)
            assert plain.headers["content-type"] == slashed.headers["content-type"], (method, path)
            if plain.status_code >= 400:
                assert plain.json()["code"] == slashed.json()["code"], (method, path)
                if path != "/api/v1/crm/events/{secret}":  # a secret nobody has is like no address at all
                    assert plain.json()["code"] not in ("unknown_route", "method_not_allowed"), (method, path)
        for end in ("/", ""):
            signed = {"Authorization": f"Bearer {_token(running)}"}
            assert client.post(f"/api/v1/auth/logout{end}", headers=signed).status_code == 204


def test_the_filters_are_those_of_the_route() -> None:
    listed = (
        section("Маршруты").partition("Фильтры `GET orders`:")[2].partition("\n\n")[0].partition("Ошибки")[0]
    )
    named = set(re.findall(r"`([a-z_]+)`", listed)) - {"project", "order"}
    assert named == set(OrderQuery.model_fields)


def test_the_bodies_that_help_an_account_in_are_taken() -> None:
    text = section("Настоящий аккаунт")
    bodies = re.findall(r"`(\{[^`]+\})`", text)
    assert len(bodies) == 3
    for body in bodies:
        full = body.replace('"storage_state": …', '"storage_state": {"cookies": [], "origins": []}').replace(
            "[…]", "[]"
        )
        SessionIn.model_validate_json(full)


TAKES = {
    "respond": RespondIn,
    "stage": OrderStageIn,
    "deliver": DeliverIn,
    "send": MessageIn,
    "settings": TenantSettingsIn,
    "resolve": ResolveIn,
}


def test_the_bodies_of_answers_to_kwork_are_taken() -> None:
    text = commands("Ответить на Kwork").replace("\\\n", " ").replace("id из POST files", NOBODY)
    found = re.findall(r"/api/v1/\S*?(\w+) .*?-d '(\{.*\})'", text)
    assert [name for name, _ in found] == list(TAKES)
    for name, body in found:
        TAKES[name].model_validate_json(body)


@pytest.mark.parametrize("place", ["README.md", "docs/searches.md"])
def test_the_bodies_of_searches_are_taken(place: str) -> None:
    text = (ROOT / place).read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"/api/v1/(searches\S*) .*?-d '(\{.*\})'", text)
    assert [path for path, _ in found] == ["searches/preview", "searches"]
    for model, (_, body) in zip((PreviewIn, SearchIn), found, strict=True):
        model.model_validate_json(body)


def test_every_action_on_an_order_is_named() -> None:
    listed = section("Ответить на Kwork").partition("Действия `PATCH")[2].partition("невозможное")[0]
    actions = get_args(get_args(OrderStageIn.model_fields["action"].annotation)[0])
    assert set(re.findall(r"`([a-z_]+)`", listed)) == set(actions)


def test_the_template_explains_every_setting() -> None:
    template = (ROOT / "env.template").read_text(encoding="utf-8")
    assert set(re.findall(r"^([A-Z_]+)=", template, re.MULTILINE)) == {
        name.upper() for name in Settings.model_fields
    }


@pytest.mark.parametrize("name", ["README.md", "README.en.md"])
def test_what_the_text_points_to_is_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target.startswith("https://") or (ROOT / target).exists(), target
    programs = re.findall(r"(scripts/[\w-]+|(?<=python )\w+\.py|tests/[\w/]+\.py)", text)
    assert programs
    for program in programs:
        assert (ROOT / program).exists(), program


def test_the_commands_it_names_are_known() -> None:
    for named in re.findall(r"python main\.py ([a-z][a-z -]+[a-z])", README):
        words = named.split()
        ended = subprocess.run(
            [sys.executable, str(ROOT / "main.py"), *words, "--help"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, (named, ended.stderr)
