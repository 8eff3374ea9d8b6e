"""``python test_kwork_parser.py``: exit codes, JSON on stdout, Russian for people beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import test_kwork_parser as program
from app.core.settings import Settings
from tests.fixtures.kwork import pages
from tests.stand import Stand

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(content: str | bytes, name: str = "page.html") -> Path:
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return write


def run(capsys: pytest.CaptureFixture[str], *files: Path) -> tuple[int, Any, str]:
    code = program.main([part for file in files for part in ("--html", str(file))])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


@pytest.mark.parametrize(
    ("source", "kind", "items"),
    [
        (pages.projects_page(), "projects", 2),
        (pages.projects_page(cards=True), "projects", 2),
        (pages.as_chrome_source(pages.projects_page()), "projects", 2),
        (pages.as_firefox_source(pages.projects_page(cards=True)), "projects", 2),
        (pages.page(state={"wantData": pages.want()}), "project", 1),
        (pages.page(state=pages.gigs_state(), user_id=5), "gigs", 3),
        (pages.page(state={"groups": None, "posts": None, "pagingdata": None}, user_id=5), "gigs", 0),
        (pages.inbox_page(), "inbox", 2),
        (pages.ORDERS_SHELL, "orders", 0),
        (pages.RENDERED_ORDERS, "orders", 1),
        (json.dumps(pages.orders_answer()), "orders", 2),
        (pages.TRACK, "order", 1),
        (pages.USER, "user", 1),
        (pages.HOME, "other", 0),
        (pages.LOGIN_RAW, "login", 0),
        (pages.LOGIN_DRAWN, "login", 0),
        (pages.MAINTENANCE, "maintenance", 0),
        (pages.BLOCKED, "blocked", 0),
        (pages.CAPTCHA, "captcha", 0),
    ],
)
def test_a_good_page_is_recognised_and_ends_with_0(
    save: Save, capsys: pytest.CaptureFixture[str], source: str, kind: str, items: int
) -> None:
    code, found, _ = run(capsys, save(source))
    assert (code, found["kind"], len(found["items"]), found["drift"]) == (0, kind, items, [])


def drifted_sources() -> list[tuple[str, str, int]]:
    rows = [pages.want(1), pages.want(2), pages.want(3)]
    for row in rows[:2]:
        row["priceLimit"] = None
    moved = pages.exchange_state([pages.want(1)])
    moved["wantsV2"] = moved.pop("wants")
    return [
        (pages.projects_page(rows), "wants[1].priceLimit", 1),
        (pages.page(state=moved), "wants", 1),
        (pages.projects_page([pages.want(1)], total=2), "wants", 1),
        (pages.projects_page([], total=24), "wants", 0),
        (pages.projects_page().replace("stateData={", "pageState={"), "page", 0),
        (
            pages.projects_page(cards=True).replace("want-card--list", "x-9f2c"),
            "div.want-card.want-card--list",
            2,
        ),
        (pages.projects_page()[:2500], "page", 0),
        (pages.inbox_page([pages.chat(1), {"user": 2}]), "chatList[1].user_id", 1),
        (pages.USER.replace("data-user-id", "data-x"), "user.id", 0),
        (json.dumps(pages.orders_answer([], ordersCount=4)), "data.orderListData", 0),
    ]


@pytest.mark.parametrize(("source", "path", "items"), drifted_sources())
def test_a_drifted_page_names_the_place_shows_the_rest_and_ends_with_1(
    save: Save, capsys: pytest.CaptureFixture[str], source: str, path: str, items: int
) -> None:
    code, found, told = run(capsys, save(source))
    assert (code, len(found["items"])) == (1, items)
    assert path in found["drift"]
    assert "РАЗМЕТКА ИЗМЕНИЛАСЬ" in told


@pytest.mark.parametrize(
    "content", ["", "   \n", "<html><title>Пример</title></html>", b"\x89PNG\r\n", '{"a": 1}', "{"]
)
def test_what_is_no_page_of_kwork_ends_with_2(
    save: Save, capsys: pytest.CaptureFixture[str], content: str | bytes
) -> None:
    assert run(capsys, save(content))[0] == 2


def test_a_missing_file_and_a_folder_end_with_2_beside_a_good_file(
    save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found, told = run(capsys, save(pages.HOME), tmp_path / "нет.html", tmp_path)
    assert (code, [entry["kind"] for entry in found]) == (2, ["other", None, None])
    assert told.count("файл не читается") == 2


def test_moments_are_utc_and_money_is_kopecks_in_the_output(
    save: Save, capsys: pytest.CaptureFixture[str]
) -> None:
    item = run(capsys, save(pages.projects_page()))[1]["items"][0]
    assert (item["active_at"], item["price_kopecks"], item["buyer"]["username"]) == (
        "2026-05-20T11:05:59Z",
        150_000,
        "buyer_one",
    )


def test_without_arguments_it_checks_itself_against_the_stand_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main([]) == 0
    out, told = capsys.readouterr()
    assert all(row["good"] for row in json.loads(out))
    assert "биржа без входа" in told


def test_live_without_credentials_says_which_settings_are_missing_and_ends_with_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KWORK_TEST_USERNAME", raising=False)
    assert program.main(["--live"]) == 2
    assert "KWORK_TEST_USERNAME" in capsys.readouterr().err


@pytest.fixture
def live_stand(kwork_stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """The stand in the place of Kwork; needs a Chromium that can start."""
    if find_spec("app.marketplaces.kwork.browser") is None:
        pytest.skip("the browser's sign-in is not there")
    from app.marketplaces.kwork.browser import KworkBrowser

    if not KworkBrowser(Settings()).can_start:
        pytest.skip("no Chromium on this machine")
    monkeypatch.setenv("KWORK_WEB_URL", kwork_stand.web)
    monkeypatch.setenv("KWORK_REQUESTS_PER_SECOND", "0")
    monkeypatch.setenv("KWORK_TEST_USERNAME", kwork_stand.login)
    monkeypatch.setenv("KWORK_TEST_PASSWORD", kwork_stand.password)
    return kwork_stand


def test_live_signs_in_reads_four_lists_and_changes_nothing(
    live_stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["--live"]) == 0
    out, told = capsys.readouterr()
    assert [row["kind"] for row in json.loads(out)] == ["projects", "gigs", "inbox", "orders"]
    assert "вход выполнен; прочитано: 12" in told
    assert live_stand.password not in out + told
    changing = {e["path"] for e in live_stand.journal(surface="web") if e["method"] != "GET"}
    assert changing == {"/api/user/login"}


@pytest.mark.parametrize(
    ("fault", "sentence"), [("captcha", "пройти капчу"), ("maintenance", "Прочитать не удалось")]
)
def test_live_that_cannot_go_on_says_why_and_ends_with_2(
    live_stand: Stand, capsys: pytest.CaptureFixture[str], fault: str, sentence: str
) -> None:
    live_stand.fault(fault, surface="web")
    assert program.main(["--live"]) == 2
    assert sentence in capsys.readouterr().err
