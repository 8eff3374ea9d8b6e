"""The routes of webhooks: what they take, show, hide and refuse."""

from __future__ import annotations

import asyncpg
import httpx2
import pytest

from app.core.database import Database
from app.repositories.events import Events
from tests.api import Api, build_api, token
from tests.receiver import receiver


@pytest.fixture
async def hooks(database: Database) -> Api:
    async with database.shared() as connection:
        await connection.execute("INSERT INTO tenants (id, name) VALUES ('a', 'A')")
    return build_api(database, webhook_allowed_hosts=["127.0.0.1"])


async def made(client: httpx2.AsyncClient, **body: object) -> dict[str, object]:
    answer = await client.post("/api/v1/webhooks", json={"url": "https://example.com/hook?key=abc", **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_the_secret_is_shown_once_and_never_again(hooks: Api, owner: asyncpg.Connection) -> None:
    async with hooks.admin("a") as client:
        new = await made(client, types=["order.*"], description="CRM")
        secret = str(new["secret"])
        assert secret.startswith("whsec_")
        path = f"/api/v1/webhooks/{new['id']}"
        changed = await client.put(path, json={"description": "Другая"})
        texts = [(await client.get("/api/v1/webhooks")).text, (await client.get(path)).text, changed.text]
        rotated = (await client.post(f"{path}/rotate-secret", json={"keep_old_hours": 1})).json()
        texts.append((await client.get(path)).text)
    assert all(secret not in text and rotated["secret"] not in text for text in texts)
    assert (new["types"], new["active"], new["waiting"]) == (
        ["order.created", "order.event", "order.status_changed"], True, 0,
    )  # fmt: skip
    assert changed.json()["url"] == "https://example.com/hook?key=abc"
    assert rotated["old_secret_until"]
    audit = await owner.fetch("SELECT action, actor, details::text AS details FROM audit ORDER BY id")
    assert [row["action"] for row in audit] == [
        "webhook.created",
        "webhook.changed",
        "webhook.secret_rotated",
    ]
    assert {row["actor"] for row in audit} == {"user@example.com"}
    assert all(secret not in row["details"] and "abc" not in row["details"] for row in audit)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.com/", "address_not_https"),
        ("https://user:secret@example.com/", "address_has_user"),
        ("https://10.0.0.1/", "address_not_public"),
        ("https://2130706433/", "address_malformed"),
        ("https://[::ffff:10.0.0.1]/", "address_not_public"),
    ],
)
async def test_an_address_that_is_not_called_is_refused_with_its_reason(
    hooks: Api, url: str, code: str
) -> None:
    async with hooks.admin("a") as client:
        answer = await client.post("/api/v1/webhooks", json={"url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert "secret" not in answer.text
        new = await made(client)
        answer = await client.put(f"/api/v1/webhooks/{new['id']}", json={"url": url})
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_unknown_types_and_fields_are_refused(hooks: Api) -> None:
    async with hooks.admin("a") as client:
        for body in ({"types": ["order.made"]}, {"urls": "x"}, {"secret": "whsec_mine"}):
            answer = await client.post("/api/v1/webhooks", json={"url": "https://example.com/", **body})
            assert answer.status_code == 422


async def test_there_are_twenty_at_most(hooks: Api) -> None:
    async with hooks.admin("a") as client:
        for _ in range(20):
            await made(client)
        answer = await client.post("/api/v1/webhooks", json={"url": "https://example.com/"})
        assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")
        page = (await client.get("/api/v1/webhooks", params={"limit": 15})).json()
        rest = await client.get("/api/v1/webhooks", params={"limit": 15, "cursor": page["next_cursor"]})
    assert (page["total"], len(page["items"]), len(rest.json()["items"])) == (20, 15, 5)


async def test_the_test_button_tells_how_it_went(hooks: Api) -> None:
    async with receiver() as shop, hooks.admin("a") as client:
        new = await made(client, url=shop.url, active=False)
        answer = await client.post(f"/api/v1/webhooks/{new['id']}/test")
        assert answer.status_code == 200
        assert answer.json()["state"] == "delivered"
        assert shop.arrivals[0].signed_by(str(new["secret"]))
        shop.answer = lambda _: (503, "later")
        failed = (await client.post(f"/api/v1/webhooks/{new['id']}/test")).json()
        replay = await client.post(f"/api/v1/webhooks/{new['id']}/deliveries/{failed['id']}/replay")
    assert (failed["state"], failed["status"], failed["answer"], failed["due_at"]) == (
        "failed",
        503,
        "later",
        None,
    )
    assert (replay.status_code, replay.json()["code"]) == (409, "test_delivery_not_replayable")


async def test_the_log_can_be_looked_through_and_replayed(hooks: Api) -> None:
    async with receiver() as shop, hooks.admin("a") as client:
        new = await made(client, url=shop.url)
        async with hooks.database.tenant("a") as scope:
            await Events(scope).add("write.settled", "w-1", {})
            await Events(scope).add("write.settled", "w-2", {})
        deliver = hooks.app.state.services.webhooks._deliver
        await deliver.start("a")
        await deliver.settled()
        path = f"/api/v1/webhooks/{new['id']}/deliveries"
        log = (await client.get(path)).json()
        assert [(row["event_id"], row["state"]) for row in log["items"]] == [
            (2, "delivered"),
            (1, "delivered"),
        ]
        assert (await client.get(path, params={"state": "failed"})).json()["total"] == 0
        replayed = await client.post(f"{path}/{log['items'][0]['id']}/replay")
        assert (replayed.status_code, replayed.json()["state"]) == (202, "pending")
        await deliver.settled()
        await client.put(f"/api/v1/webhooks/{new['id']}", json={"active": False})
        refused = await client.post(f"{path}/{log['items'][0]['id']}/replay")
        assert (refused.status_code, refused.json()["code"]) == (409, "webhook_inactive")
        assert (await client.delete(f"/api/v1/webhooks/{new['id']}")).status_code == 204
        assert (await client.get(path)).status_code == 404
    assert shop.subjects() == ["w-1", "w-2", "w-2"]
    assert shop.arrivals[1].id == shop.arrivals[2].id == log["items"][0]["message_id"]


async def test_roles_below_do_not_see_or_change_addresses(hooks: Api) -> None:
    async with hooks.admin("a") as client:
        new = await made(client)
    async with hooks.client(token("a", role="viewer")) as client:
        assert (await client.get("/api/v1/webhooks")).status_code == 403
    async with hooks.client(token("a", role="operator")) as client:
        assert (await client.get("/api/v1/webhooks")).status_code == 200
        assert (await client.put(f"/api/v1/webhooks/{new['id']}", json={"active": False})).status_code == 403
