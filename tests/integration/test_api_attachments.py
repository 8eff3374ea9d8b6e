"""Files of Kwork's messages, orders and projects, passed through with the account's session; the stand-in's journal tells."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest

from app.core.database import Database
from app.domain.accounts import Account, AccountState
from app.domain.kwork import Surface
from app.domain.listing import OrderId
from app.marketplaces.kwork.browser import KworkBrowser
from app.repositories.accounts import Accounts as AccountRows
from app.repositories.chats import Chats
from app.repositories.orders import Orders, PageReading
from app.services.kwork_client import KworkClient
from tests.accounts import TENANT, Accounts, accounts_at
from tests.api import Api, add_project, build_api, token
from tests.stand import Row, Stand

MIB = 2**20
GONE = "/files/uploaded/aa/bb/0000/gone.pdf"


class Desk:
    """The API with one account connected at the stand, and what was read from it in the store."""

    def __init__(self, api: Api, accounts: Accounts, account: Account, owner: asyncpg.Connection) -> None:
        self.api, self.accounts, self.account, self.owner = api, accounts, account, owner
        self.stand = accounts.stand

    async def get(self, path: str, tenant: str = TENANT, **claims: Any) -> httpx2.Response:
        async with self.api.client(token(tenant, **claims)) as client:
            return await client.get(f"/api/v1/{path}")

    async def refused(self, path: str, status: int, code: str) -> None:
        answer = await self.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text

    async def read_orders(self) -> Row:
        """Reads an order that has files, and the list it is in; returns the order as the stand knows it."""
        order = next(one for one in self.stand.orders(self.stand.username) if one["files"])

        async def work(client: KworkClient) -> None:
            page, details = await client.orders(), await client.order_details(order["id"])
            async with self.api.database.tenant(TENANT) as scope:
                await Orders(scope).save(self.account.id, [*page.items, details.order])
                await Orders(scope).save_page(order["id"], PageReading(details, True, None, False))

        await self.accounts.use_cases.with_client(TENANT, self.account.id, work)
        self.stand.clear_journal()
        return order

    async def read_messages(self) -> tuple[UUID, Row]:
        """Reads a dialog with a file in it; returns its id and the message as the stand knows it."""
        message = next(one for one in self.stand.messages(self.stand.username) if one["files"])
        partner = message["from_id"] if message["to_id"] == self.stand.user_id else message["to_id"]

        async def work(client: KworkClient) -> None:
            dialogs = await client.dialogs()
            dialog = next(one for one in dialogs.items if one.user.id == partner)
            page = await client.messages(dialog.user.username)
            pages = [page, *[await client.messages(dialog.user.username, n) for n in range(1, page.number)]]
            async with self.api.database.tenant(TENANT) as scope:
                chats = Chats(scope)
                await chats.save_dialogs(self.account.id, [dialog])
                stored = (await chats.stale_dialogs(self.account.id))[0]
                for one in pages:
                    await chats.save_messages(
                        stored.id, one.items, read_at=datetime.now(UTC), seen=stored.newest
                    )

        await self.accounts.use_cases.with_client(TENANT, self.account.id, work)
        self.stand.clear_journal()
        return await self.owner.fetchval("SELECT id FROM dialogs"), message

    async def order_with(self, url: str, *, name: str = "a.pdf") -> str:
        """An order with one more file at that address; returns the path of the API to it."""
        order = await self.read_orders()
        file = json.dumps({"files": [{"id": "made-up", "name": name, "url": url, "size": 1}]})
        await self.owner.execute("UPDATE orders SET details = details || $1::text::jsonb", file)
        return f"orders/{order['id']}/files/made-up"

    def downloads(self) -> list[Row]:
        return self.stand.journal(surface="web", path="/files/*")

    async def state(self) -> AccountState:
        return (await self.accounts.now(self.account)).state


@pytest.fixture
async def desk(
    *,
    kwork_stand: Stand,
    database: Database,
    stand_browser: KworkBrowser,
    owner: asyncpg.Connection,
    tmp_path: Path,
) -> Desk:
    accounts = accounts_at(kwork_stand, database, stand_browser, mobile=True, kwork_sign_in_pause_minutes=0)
    account = await accounts.connected()
    api = build_api(database, accounts=accounts.use_cases, data_dir=tmp_path, kwork_web_url=kwork_stand.web)
    return Desk(api, accounts, account, owner)


def content(stand: Stand, file: Row) -> bytes:
    """What the stand makes up for a file nobody uploaded."""
    return (file["hash"].encode() * (file["size"] // len(file["hash"]) + 1))[: file["size"]]


async def test_a_messages_file_comes_with_the_session_once_and_to_be_saved(desk: Desk) -> None:
    dialog_id, message = await desk.read_messages()
    (file,) = message["files"]
    shown = (await desk.get(f"chat/{dialog_id}/messages?limit=200")).json()["items"]
    (told,) = next(one["files"] for one in shown if one["id"] == message["id"])
    answer = await desk.get(f"chat/{dialog_id}/messages/{message['id']}/files/{told['id']}", role="USER")
    assert answer.status_code == 200, answer.text
    assert answer.content == content(desk.stand, file)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(file["size"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert answer.headers["content-disposition"].endswith(
        "filename*=UTF-8''%D1%81%D0%BD%D0%B8%D0%BC%D0%BE%D0%BA%20%D1%8D%D0%BA%D1%80%D0%B0%D0%BD%D0%B0.png"
    )
    (entry,) = desk.downloads()
    assert (entry["account"], entry["decided"]) == (desk.stand.username, ["file given"])


async def test_an_orders_own_file_and_one_of_its_thread_come(desk: Desk) -> None:
    order = await desk.read_orders()
    (file,) = order["files"]
    answer = await desk.get(f"orders/order-{order['id']}/files/{file['id']}")
    assert (answer.status_code, answer.content) == (200, content(desk.stand, file))
    event = json.dumps({"files": [{"id": "in-thread", "name": "", "url": file["path"], "size": None}]})
    await desk.owner.execute(
        "INSERT INTO order_events (tenant_id, order_id, id, kind, at, details) "
        "VALUES ($1, $2, 1, 'message', now(), $3::text::jsonb)",
        TENANT,
        order["id"],
        event,
    )
    answer = await desk.get(f"orders/{order['id']}/files/in-thread")
    assert answer.content == content(desk.stand, file)
    assert ".pdf" in answer.headers["content-disposition"]  # no name was told: the address has one


async def test_a_projects_file_comes_through_the_named_account_or_the_first_one(desk: Desk) -> None:
    project = next(one for one in desk.stand.projects(everything=True) if one["files"])
    (file,) = project["files"]
    details = {"files": [{"id": str(file["id"]), "name": file["name"], "url": desk.stand.web + file["path"]}]}
    await add_project(desk.owner, project["id"], details=details)
    path = f"orders/project-{project['id']}/files/{file['id']}"
    for query in ("", f"?account_id={desk.account.id}"):
        answer = await desk.get(path + query)
        assert (answer.status_code, answer.content) == (200, content(desk.stand, file))
    assert [entry["account"] for entry in desk.downloads()] == [desk.stand.username] * 2
    await desk.refused(path + "?account_id=00000000-0000-4000-8000-000000000000", 404, "not_found")
    await desk.owner.execute("INSERT INTO tenants (id, name) VALUES ('other', 'other')")
    other = await desk.get(path, tenant="other")
    assert (other.status_code, other.json()["code"]) == (409, "no_account_connected")
    foreign = await desk.get(f"{path}?account_id={desk.account.id}", tenant="other")
    assert foreign.status_code == 404
    assert len(desk.downloads()) == 2


async def test_what_is_not_stored_is_not_found_and_not_asked_for(desk: Desk) -> None:
    order = await desk.read_orders()
    dialog_id, message = await desk.read_messages()
    for path in (
        f"orders/{order['id']}/files/1",
        f"orders/9/files/{order['files'][0]['id']}",
        f"orders/project-1/files/{order['files'][0]['id']}",
        f"chat/{dialog_id}/messages/{message['id']}/files/1",
        f"chat/{dialog_id}/messages/1/files/{message['files'][0]['id']}",
        f"chat/nobody/messages/1/files/{message['files'][0]['id']}",
    ):
        await desk.refused(path, 404, "not_found")
    await desk.refused(f"orders/{order['id']}/files/a%20b", 422, "validation_failed")
    assert desk.downloads() == []


async def test_a_lost_session_is_had_again_once_and_the_file_comes(desk: Desk) -> None:
    order = await desk.read_orders()
    desk.stand.sign_out()
    answer = await desk.get(f"orders/{order['id']}/files/{order['files'][0]['id']}")
    assert (answer.status_code, answer.content) == (200, content(desk.stand, order["files"][0]))
    assert [entry["decided"][0] for entry in desk.downloads()] == [
        "a file that is not public: to the login page",
        "file given",
    ]
    assert desk.accounts.sign_ins() == ["/api/user/login"]


async def test_a_renewed_cookie_is_kept_for_the_next_time(desk: Desk) -> None:
    """The short session is gone, the long cookie lives: the stand renews the session as it gives the file."""
    order = await desk.read_orders()
    async with desk.api.database.tenant(TENANT) as scope:
        before = await AccountRows(scope).sessions(desk.account.id)
    desk.stand.sign_out(forget=False)
    answer = await desk.get(f"orders/{order['id']}/files/{order['files'][0]['id']}")
    assert answer.status_code == 200
    async with desk.api.database.tenant(TENANT) as scope:
        after = await AccountRows(scope).sessions(desk.account.id)
    assert after[Surface.WEB] != before[Surface.WEB]
    assert desk.accounts.sign_ins() == []


async def test_a_file_that_kwork_has_deleted_is_gone(desk: Desk) -> None:
    await desk.refused(await desk.order_with(GONE), 404, "attachment_gone")
    assert await desk.state() is AccountState.CONNECTED


async def test_a_file_without_an_address_says_so(desk: Desk) -> None:
    path = await desk.order_with("")
    await desk.refused(path, 404, "attachment_without_address")


@pytest.mark.parametrize("url", ["https://evil.example/files/a.pdf", "/logout", "http://127.0.0.1:1/files/a"])
async def test_an_address_that_is_not_kworks_is_never_asked(desk: Desk, url: str) -> None:
    await desk.refused(await desk.order_with(url), 502, "attachment_foreign")
    assert desk.stand.journal() == []
    assert await desk.state() is AccountState.CONNECTED


@pytest.mark.parametrize(
    ("fault", "status", "code", "state"),
    [
        ({"kind": "block_403"}, 409, "kwork_blocked", AccountState.BLOCKED),
        ({"kind": "maintenance"}, 503, "kwork_maintenance", AccountState.CONNECTED),
        ({"kind": "html_instead_of_json"}, 502, "attachment_refused", AccountState.CONNECTED),
        ({"kind": "error_500"}, 503, "unavailable", AccountState.CONNECTED),
        ({"kind": "drop", "when": "before"}, 503, "kwork_unreachable", AccountState.CONNECTED),
        ({"kind": "error", "status": 429}, 429, "rate_limited", AccountState.CONNECTED),
    ],
)
async def test_a_bad_day_at_kwork_is_told_as_what_it_is(
    desk: Desk, fault: dict[str, Any], status: int, code: str, state: AccountState
) -> None:
    order = await desk.read_orders()
    desk.stand.fault(**fault, surface="web", path="/files/*")
    try:
        await desk.refused(f"orders/{order['id']}/files/{order['files'][0]['id']}", status, code)
    finally:
        desk.stand.clear_faults()
    assert await desk.state() is state
    assert len(desk.downloads()) == 1


async def test_a_file_cut_in_the_middle_never_looks_whole(desk: Desk) -> None:
    order = await desk.read_orders()
    desk.stand.fault("cut", surface="web", path="/files/*")
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    try:
        await desk.api.app(
            scope_of(f"orders/{order['id']}/files/{order['files'][0]['id']}"), nobody_leaves, keep
        )
    finally:
        desk.stand.clear_faults()
    size = dict(sent[0]["headers"])[b"content-length"]
    assert int(size) == order["files"][0]["size"] > sum(len(one.get("body", b"")) for one in sent)
    assert all(one["more_body"] for one in sent[1:])
    assert attachment_tasks() == set()


async def nobody_leaves() -> Any:
    await asyncio.Event().wait()


async def test_an_account_that_must_not_be_used_asks_for_nothing(desk: Desk) -> None:
    order = await desk.read_orders()
    await desk.accounts.use_cases.pause(TENANT, desk.account.id)
    await desk.refused(f"orders/{order['id']}/files/{order['files'][0]['id']}", 409, "account_paused")
    assert desk.stand.journal() == []


async def test_an_account_without_a_web_session_says_what_it_lacks(desk: Desk) -> None:
    order = await desk.read_orders()
    await desk.owner.execute("DELETE FROM account_sessions WHERE surface = 'web'")
    await desk.refused(f"orders/{order['id']}/files/{order['files'][0]['id']}", 409, "capability_unavailable")
    assert desk.downloads() == []


def attachment_tasks() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task.get_name() == "attachment"}


async def big_file(desk: Desk, size: int) -> str:
    """A file of that size that the account uploaded itself, as an order's."""
    with httpx2.Client(base_url=desk.stand.web, timeout=60) as seller:
        seller.post(
            "/api/user/login", data={"l_username": desk.stand.login, "l_password": desk.stand.password}
        )
        form = {
            "csrftoken": seller.cookies["csrf_user_token"],
            "msgto": str(desk.stand.orders()[0]["payer_id"]),
        }
        sent = seller.post(
            "/sendmessage", data={**form, "message_body": "x"}, files={"files[]": ("b.zip", b"0" * size)}
        )
    return await desk.order_with(sent.json()["files"][0]["url"], name="b.zip")


async def test_memory_stays_flat_while_a_big_file_passes_through(desk: Desk) -> None:
    path, seen = await big_file(desk, 40 * MIB), 0

    async def count(message: Any) -> None:
        nonlocal seen
        seen += len(message.get("body", b""))

    tracemalloc.start()
    try:
        await desk.api.app(scope_of(path), nobody_leaves, count)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == 40 * MIB
    assert peak < 8 * MIB


async def test_a_caller_that_leaves_ends_the_download(desk: Desk) -> None:
    path, left = await big_file(desk, 20 * MIB), asyncio.Event()
    seen = 0

    async def leaves() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    async def take_some(message: Any) -> None:
        nonlocal seen
        seen += len(message.get("body", b""))
        if seen:
            left.set()
            await asyncio.sleep(0)

    await desk.api.app(scope_of(path), leaves, take_some)
    if tasks := attachment_tasks():
        await asyncio.wait(tasks)
    assert 0 < seen < 20 * MIB
    assert all(task.cancelled() for task in tasks)  # not only given up at its deadline
    assert await desk.state() is AccountState.CONNECTED


async def test_a_download_that_nobody_takes_ends_at_its_deadline(desk: Desk, tmp_path: Path) -> None:
    path = await big_file(desk, 20 * MIB)
    api = build_api(
        desk.api.database, accounts=desk.accounts.use_cases, data_dir=tmp_path, kwork_download_seconds=0.5
    )
    attachments = api.app.state.services.attachments
    found = await attachments.of_order(TENANT, OrderId.parse(path.split("/")[1]), "made-up")
    (task,) = attachment_tasks()
    await task
    assert found.size == 20 * MIB


def scope_of(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"/api/v1/{path}",
        "raw_path": f"/api/v1/{path}".encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", f"Bearer {token(TENANT)}".encode())],
        "client": ("192.0.2.7", 40000),
        "server": ("service.test", 80),
    }
