"""Proof of fidelity: somebody else's client of Kwork, unmodified, takes the stand-in for Kwork."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.kwork_library import LibraryUnavailableError, library_python
from tests.stand import Stand

VISIT = Path(__file__).with_name("kwork_library_visit.py")
PUBLIC_WEB = "http://stand-in.kwork.ru"  # the library follows no host with another ending
TEXT = 'Добрый день! Версия "2" <готова> & ждёт проверки'
STORED_TEXT = "Добрый день! Версия «2» &lt;готова&gt; &amp; ждёт проверки"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return library_python()
    except LibraryUnavailableError as reason:
        pytest.skip(f"the public library kwork is not to be had: {reason}")


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with Stand.start(
        *("--seed", "11", "--projects", "40", "--orders", "32", "--dialogs", "25"),
        *("--web-public-url", PUBLIC_WEB),
    ) as stand:
        yield stand


@pytest.fixture(scope="module")
def world(stand: Stand) -> Row:
    """What the stand-in's world held before the library came."""
    for _ in range(12):  # more dialogs than fit on a page
        stand.add_message("Здравствуйте! Возьмётесь?", from_id=stand.add_user()["user_id"])
    working = [row for row in stand.orders(kind="active") if row["in_work"] and row["status"] == 1]
    order = next(row for row in working if not row["stages"] and not row["is_cancel_request"])
    return {
        "projects": stand.projects(),
        "orders": stand.orders(),
        "gigs": stand.gigs(),
        "messages": stand.messages(),
        "order": stand.order(order["id"]),
    }


@pytest.fixture(scope="module")
def partner(stand: Stand, world: Row) -> int:
    """The user with the longest dialog, so that it has several pages."""
    sides = [row["from_id"] + row["to_id"] - stand.user_id for row in world["messages"]]
    return max(set(sides), key=sides.count)


@pytest.fixture(scope="module")
def seen(python: Path, stand: Stand, world: Row, partner: int) -> Row:
    """What the library saw on one visit."""
    given = {
        "api": stand.api,
        "web": stand.web,
        "public_web": PUBLIC_WEB,
        "login": stand.login,
        "password": stand.password,
        "query": world["projects"][0]["name"],
        "partner": {"user_id": partner, "username": username_of(stand, partner)},
        "order_id": world["order"]["id"],
        "text": TEXT,
    }
    visit = subprocess.run(
        [str(python), str(VISIT)],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert visit.returncode == 0, visit.stderr[-4000:]
    seen: Row = json.loads(visit.stdout)
    print(report(seen))
    return seen


def username_of(stand: Stand, user_id: int) -> str:
    name, _, key = stand.mobile_key.partition(":")
    answer = httpx2.post(f"{stand.api}/user", data={"id": user_id}, auth=(name, key))
    return str(answer.json()["response"]["username"])


def report(seen: Row) -> str:
    return "\n".join(
        [
            f"signed in as {seen['me']['username']} ({seen['me']['id']})",
            f"with a wrong password: {seen['wrong_password']}",
            f"projects: {len(seen['projects'])} on page 1, the newest «{seen['projects'][0]['title']}»",
            f"connects: {seen['connects']}",
            f"orders: {seen['orders']['filter_counts']}",
            f"dialogs: {len(seen['dialogs'])}, with {seen['buyer']['username']} {len(seen['messages'])} messages",
            f"gigs: {[(group['name'], group['kworks_count']) for group in seen['gigs']]}",
            f"categories: {len(seen['categories'])} rubrics; channel {seen['channel']}",
            f"one order: {len(seen['tracks'])} tracks; handed in: {seen['handed_in']}",
            f"web session: {seen['web']}",
        ]
    )


def test_it_is_refused_with_a_wrong_password_in_kworks_words(seen: Row) -> None:
    assert seen["wrong_password"] == "Логин или пароль указаны неверно"


def test_it_signs_in_and_knows_its_profile(seen: Row, stand: Stand) -> None:
    assert (seen["me"]["id"], seen["me"]["username"]) == (stand.user_id, stand.username)


def test_it_lists_the_newest_projects_and_its_connects(seen: Row, world: Row) -> None:
    newest = world["projects"][:12]
    assert [row["id"] for row in seen["projects"]] == [row["id"] for row in newest]
    assert [row["price"] for row in seen["projects"]] == [row["price_limit"] for row in newest]
    assert seen["found_by_name"] >= 1
    assert seen["connects"]["all_connects"] >= seen["connects"]["active_connects"] > 0


def test_it_lists_orders_with_counts(seen: Row, world: Row) -> None:
    assert [row["id"] for row in seen["orders"]["orders"]] == [row["id"] for row in world["orders"][:10]]
    assert seen["orders"]["filter_counts"]["all"] == str(len(world["orders"]))


def test_it_reads_one_order_with_its_thread_and_hands_it_in(seen: Row, world: Row, stand: Stand) -> None:
    assert seen["order_page"][0]["details"]["description"] == world["order"]["description"]
    assert [row["id"] for row in seen["tracks"]] == [row["id"] for row in world["order"]["tracks"]]
    after = stand.order(world["order"]["id"])
    assert (after["status"], after["tracks"][-1]["files"][0]["name"]) == (4, "work.txt")


def test_it_lists_dialogs_and_reads_every_message_once_in_order(
    seen: Row, world: Row, partner: int, stand: Stand
) -> None:
    sides = {row["from_id"] + row["to_id"] - stand.user_id for row in world["messages"]}
    assert {row["user_id"] for row in seen["dialogs"]} == sides
    assert len(sides) > 20  # more than one page
    talk = [row["id"] for row in world["messages"] if partner in (row["from_id"], row["to_id"])]
    assert [row["message_id"] for row in seen["messages"]] == talk
    assert len(talk) > 60


def test_its_message_arrives_as_kwork_stores_texts(seen: Row, stand: Stand, partner: int) -> None:
    last = stand.messages(user_id=partner)[-1]

    assert (last["id"], last["text"]) == (seen["sent"]["id"], STORED_TEXT)


def test_it_reads_gigs_categories_a_profile_and_its_channel(
    seen: Row, world: Row, stand: Stand, partner: int
) -> None:
    assert seen["gigs"][0]["kworks_count"] == len(world["gigs"])
    assert sum(1 + len(root["subcategories"]) for root in seen["categories"]) == 61
    assert seen["buyer"]["id"] == partner
    assert seen["channel"].endswith(f"_{stand.user_id}")


def test_it_crosses_the_bridge_to_a_web_session(seen: Row) -> None:
    assert (seen["web"]["status"], seen["web"]["page_status"]) == (200, 200)
    assert seen["web"]["page_url"] == f"{PUBLIC_WEB}/manage_orders"
    assert {"RORSSQIHEK", "slrememberme", "csrf_user_token"} <= set(seen["web"]["cookies"])


def test_nothing_forbidden_was_called(seen: Row, stand: Stand) -> None:
    calls = stand.journal(surface="api")

    assert len(calls) > 15
    assert [row["path"] for row in calls if "money method called" in row["decided"]] == []
