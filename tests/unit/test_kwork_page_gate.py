"""What may leave a page that is filled in, and what it may say: the relay and the check of what is about to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from app.domain.errors import LayoutChanged
from app.domain.writing import PlannedCall
from app.marketplaces.kwork import page_plans
from app.marketplaces.kwork.browser.relay import Relay
from app.marketplaces.kwork.browser.sent_form import read_form, refuse_other_than
from app.marketplaces.kwork.hosts import KworkHosts
from app.marketplaces.kwork.web import paths
from tests.kwork_writing import OFFER_TEXT


@asynccontextmanager
async def site() -> AsyncIterator[tuple[str, list[str]]]:
    """A server that notes each connection's first line, answers it and waits."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readline()).decode().strip())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    server.close()


async def answered(relay: Relay, target: str, method: str = "GET") -> tuple[bytes, asyncio.StreamWriter]:
    """What comes back first through the relay; nothing: it hung up."""
    port = int(relay.address.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return await reader.read(12), writer


async def test_narrowed_the_relay_makes_one_connection_and_no_other() -> None:
    async with site() as (url, seen), Relay(KworkHosts(url)) as relay:
        before, old = await answered(relay, f"{url}/a")
        assert (before, relay.carried) == (b"HTTP/1.1 200", False)
        relay.narrow()
        assert relay.carried is False
        once, only = await answered(relay, f"{url}/b")
        assert (once, relay.carried) == (b"HTTP/1.1 200", True)
        again, refused = await answered(relay, f"{url}/c")
        assert again == b""
        relay.widen()
        later, last = await answered(relay, f"{url}/d")
        assert later == b"HTTP/1.1 200"
        assert [line.split()[1] for line in seen] == [f"{url}/a", f"{url}/b", f"{url}/d"]
        for writer in (old, only, refused, last):
            writer.close()


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "http://evil.example/"),
        ("CONNECT", "evil.example:443"),
        ("CONNECT", "127.0.0.1:22"),
        ("GET", "file:///etc/passwd"),
        ("GET", "nonsense"),
    ],
)
async def test_the_relay_leads_to_kwork_alone(method: str, target: str) -> None:
    async with site() as (url, seen), Relay(KworkHosts(url)) as relay:
        told, writer = await answered(relay, target, method)
        writer.close()
        assert (told, seen) == (b"", [])


def multipart(**fields: str) -> dict[str, Any]:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    file = '--b\r\nContent-Disposition: form-data; name="files[]"; filename="a.txt"\r\n\r\nmsgto\r\n'
    body = ("".join(parts) + file + "--b--\r\n").encode()
    return {"headers": {"content-type": "multipart/form-data; boundary=b"}, "post_data_buffer": body}


def request(url: str = "https://kwork.ru/x", **given: Any) -> Any:
    return SimpleNamespace(url=url, **{"headers": {}, "post_data_buffer": None, **given})


MESSAGE = page_plans.message("ivan", 77, 'Цена "та же" < 500 ₽\n\nвторая строка')
OFFER = page_plans.offer(5, title="Бот", message=OFFER_TEXT, price_kopecks=500_000, duration_days=7)
TYPED = "Цена «та же» &lt; 500 ₽<br>вторая строка"


def offer_fields(**changes: str) -> dict[str, str]:
    return {**dict(OFFER.fields), "csrftoken": "k", **changes}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (MESSAGE, multipart(msgto="77", message_body=TYPED)),
        (MESSAGE, {"post_data_buffer": None}),
        (OFFER, multipart(**offer_fields())),
        (page_plans.hand_in(5), multipart(anything="x")),
    ],
)
def test_what_was_asked_may_leave_however_the_page_spells_it(call: PlannedCall, told: dict[str, Any]) -> None:
    refuse_other_than(call, request(**told))


@pytest.mark.parametrize(
    ("call", "told", "path"),
    [
        (MESSAGE, multipart(msgto="78", message_body=TYPED), "page.request.msgto"),
        (MESSAGE, multipart(msgto="77", message_body="Другое"), "page.request.message_body"),
        (MESSAGE, multipart(message_body=TYPED), "page.request.msgto"),
        (OFFER, multipart(**offer_fields(kwork_price="50000")), "page.request.kwork_price"),
        (OFFER, multipart(**offer_fields(kwork_duration="")), "page.request.kwork_duration"),
        (OFFER, multipart(**offer_fields(wantId="6")), "page.request.wantId"),
        (page_plans.hand_in(5), {"url": "https://kwork.ru/api/order/cancelByWorker"}, "page.request"),
        (page_plans.hand_in(5), {"url": "https://kwork.ru/pay_order"}, "page.request"),
    ],
)
def test_another_recipient_price_text_or_purpose_never_leaves(
    call: PlannedCall, told: dict[str, Any], path: str
) -> None:
    with pytest.raises(LayoutChanged) as refused:
        refuse_other_than(call, request(**told))
    assert refused.value.path == path


def test_forms_are_read_as_they_travel() -> None:
    assert read_form("application/x-www-form-urlencoded", b"a=1&b=%D0%B4") == [("a", "1"), ("b", "д")]
    assert read_form("application/json", b'{"a": 1}') == [("a", "1")]
    assert read_form("application/json", b"[") == []
    assert read_form("multipart/form-data", b"garbage") == []
    assert read_form("multipart/form-data; boundary=b", multipart(a="да\nнет")["post_data_buffer"]) == [
        ("a", "да\nнет")
    ]


def test_nothing_that_counts_is_harmless() -> None:
    counting = ["/api/offer/createoffer", "/sendmessage", "/save_kwork", "/track/send_for_approval", "/pay"]
    assert not any(paths.is_harmless("POST", path) for path in counting)
    assert all(paths.is_harmless("POST", path) for path in paths.OF_THE_PAGE)
