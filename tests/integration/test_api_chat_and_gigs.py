"""Gigs, dialogs and messages as read last."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from app.models.schemas import DialogOut, GigOut, Listed, MessageOut
from tests.api import NOWHERE, Api, Shop, stock, token


@pytest.fixture
async def shop(api: Api, owner: asyncpg.Connection) -> Shop:
    return await stock(owner, "a", 501)


async def get(api: Api, path: str, status: int = 200, **claims: Any) -> dict[str, Any]:
    async with api.client(token("a", **claims)) as client:
        answer = await client.get(f"/api/v1/{path}")
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def add_gigs(owner: asyncpg.Connection, shop: Shop, *numbers: int) -> None:
    await owner.executemany(
        "INSERT INTO gigs (tenant_id, id, account_id, title, state, price_kopecks, currency, url, details, "
        "content_hash) VALUES ('a', $1, $2, 'Напишу бота', 'paused', 99950, 'RUB', 'https://kwork.ru/g', "
        "'{\"seller_share_kopecks\": 79960, \"days\": 3}', '')",
        [(number, shop.account_id) for number in numbers],
    )


async def test_gigs_are_listed_and_filtered(api: Api, shop: Shop, owner: asyncpg.Connection) -> None:
    await add_gigs(owner, shop, 601, 602)
    found = await get(api, "gigs")
    Listed[GigOut].model_validate(found, extra="forbid")
    assert [gig["id"] for gig in found["items"]] == [602, 601, 501]
    assert [gig["id"] for gig in (await get(api, "gigs?state=paused&q=БОТА"))["items"]] == [602, 601]
    assert (await get(api, f"gigs?account_id={shop.account_id}"))["total"] == 3
    assert (await get(api, "gigs?account_id=00000000-0000-0000-0000-000000000000"))["items"] == []


async def test_a_gig_shows_prices_in_roubles(api: Api, shop: Shop, owner: asyncpg.Connection) -> None:
    await add_gigs(owner, shop, 601)
    gig = await get(api, "gigs/601")
    GigOut.model_validate(gig, extra="forbid")
    assert (gig["price"], gig["seller_share"], gig["days"]) == (999.5, 799.6, 3)
    assert (await get(api, "gigs/501"))["category"]["slug"] == "script-programming"
    assert (await get(api, "gigs/9", 404))["code"] == "not_found"
    assert (await get(api, "gigs/abc", 422))["code"] == "validation_failed"
    assert (await get(api, f"gigs/{2**70}", 422))["code"] == "validation_failed"


async def test_gig_cursors_visit_every_gig_once(api: Api, shop: Shop, owner: asyncpg.Connection) -> None:
    await add_gigs(owner, shop, *range(601, 608))
    seen, cursor = [], ""
    while cursor is not None:
        page = await get(api, "gigs?limit=3" + (f"&cursor={cursor}" if cursor else ""))
        seen += [gig["id"] for gig in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [*range(607, 600, -1), 501]
    assert (await get(api, "gigs?cursor=WzEsMl0", 422))["code"] == "malformed_cursor"
    assert (await get(api, "gigs?cursor=Wy0xXQ", 422))["code"] == "malformed_cursor"


async def test_dialogs_are_listed_and_filtered(api: Api, shop: Shop) -> None:
    found = await get(api, "chat?unread=true")
    Listed[DialogOut].model_validate(found, extra="forbid")
    (dialog,) = found["items"]
    assert dialog["partner"] == {
        "id": 501,
        "username": "partner_of_a",
        "url": f"{NOWHERE}/user/partner_of_a",
    }
    assert (await get(api, "chat?unread=false"))["items"] == []


async def test_messages_are_paged_from_the_newest(api: Api, shop: Shop, owner: asyncpg.Connection) -> None:
    await owner.executemany(
        "INSERT INTO messages (tenant_id, dialog_id, id, incoming, sent_at, text, details) "
        "VALUES ('a', $1, $2, false, '2030-01-01T00:00:00Z', 'Здравствуйте', '{\"read\": true}')",
        [(shop.dialog_id, number) for number in (601, 602, 603)],
    )
    path = f"chat/{shop.dialog_id}/messages?limit=2"
    first = await get(api, path)
    Listed[MessageOut].model_validate(first, extra="forbid")
    second = await get(api, f"{path}&before={first['next_cursor']}")
    assert [one["id"] for one in first["items"] + second["items"]] == [603, 602, 601, 501]
    assert (first["total"], second["next_cursor"]) == (4, None)
    assert (await get(api, f"{path}&before=WzFd", 422))["code"] == "malformed_cursor"


@pytest.mark.parametrize("reference", ["partner_of_a", "PARTNER_OF_A", "501"])
async def test_a_dialog_is_found_by_its_partner(api: Api, shop: Shop, reference: str) -> None:
    assert (await get(api, f"chat/{reference}/messages"))["items"][0]["text"] == shop.canary


async def test_a_partner_of_two_accounts_is_ambiguous_until_the_account_is_named(
    api: Api, shop: Shop, owner: asyncpg.Connection
) -> None:
    other = await owner.fetchval(
        "INSERT INTO accounts (tenant_id, title, login) VALUES ('a', 'Second', 'second') RETURNING id"
    )
    await owner.execute(
        "INSERT INTO dialogs (tenant_id, account_id, username, unread, details, content_hash) "
        "VALUES ('a', $1, 'Partner_of_A', 0, '{}', '')",
        other,
    )
    assert (await get(api, "chat/partner_of_a/messages", 409))["code"] == "ambiguous_id"
    assert (await get(api, f"chat/partner_of_a/messages?account_id={other}"))["items"] == []


async def test_refresh_reads_the_dialog_from_kwork_first(api: Api, shop: Shop) -> None:
    await get(api, f"chat/{shop.dialog_id}/messages?refresh=true")
    assert api.read_account.read == [("a", shop.dialog_id)]
    assert (await get(api, f"chat/{shop.dialog_id}/messages?refresh=true", 403, role="USER"))[
        "code"
    ] == "role_too_low"
    assert len(api.read_account.read) == 1


@pytest.mark.parametrize(
    ("reference", "status"),
    [
        ("nobody", 404),
        ("00000000-0000-0000-0000-000000000000", 404),
        ("%00", 422),
        ("a%20b", 422),
        ("x" * 65, 422),
    ],
)
async def test_an_unknown_or_malformed_dialog_is_a_problem(
    api: Api, shop: Shop, reference: str, status: int
) -> None:
    await get(api, f"chat/{reference}/messages", status)
