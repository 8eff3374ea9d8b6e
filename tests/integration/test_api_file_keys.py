"""Uploads that are sent again, and what the audit tells of files."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import httpx2
import pytest

from tests.api import Api, stock, token
from tests.uploads import PATH, PNG, TEXT, on_disk

ONE = (("a.txt", TEXT), ("b.png", PNG))


@pytest.fixture(autouse=True)
async def tenants(api: Api, owner: asyncpg.Connection) -> None:
    await stock(owner, "a", 501)
    await stock(owner, "b", 701)
    await owner.execute("DELETE FROM files")


async def upload(
    api: Api, files: tuple[tuple[str, bytes], ...] = ONE, *, key: str | None = "k-1", tenant: str = "a"
) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    async with api.client(token(tenant), **headers) as client:
        return await client.post(PATH, files=[("files", one) for one in files])


def ids(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 201, answer.text
    return [file["id"] for file in answer.json()["items"]]


async def test_the_same_upload_under_one_key_is_the_same_files(api: Api) -> None:
    first = await upload(api)
    again = await upload(api)
    assert again.json() == first.json()
    assert len(on_disk(api)) == 2
    assert ids(await upload(api, key="k-2")) != ids(first)
    assert ids(await upload(api, key=None)) != ids(first)
    assert ids(await upload(api, tenant="b")) != ids(first)


async def test_five_at_once_under_one_key_are_one_upload(api: Api) -> None:
    answers = await asyncio.gather(*(upload(api) for _ in range(5)))
    assert len({tuple(ids(answer)) for answer in answers}) == 1
    assert len(on_disk(api)) == 2


@pytest.mark.parametrize(
    "other",
    [
        (("a.txt", TEXT + b"."), ("b.png", PNG)),
        (("c.txt", TEXT), ("b.png", PNG)),
        (("b.png", PNG), ("a.txt", TEXT)),
        (("a.txt", TEXT),),
        (*ONE, ("c.txt", TEXT)),
    ],
    ids=["contents", "name", "order", "fewer", "more"],
)
async def test_other_files_under_a_used_key_are_refused_and_leave_nothing(
    api: Api, owner: asyncpg.Connection, other: tuple[tuple[str, bytes], ...]
) -> None:
    kept = ids(await upload(api))
    answer = await upload(api, other)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert sorted(name.rpartition("/")[2] for name in on_disk(api)) == sorted(kept)
    assert await owner.fetchval("SELECT count(*) FROM files") == 2


@pytest.mark.parametrize("ended", ["deleted", "expired"])
async def test_a_key_is_free_again_once_a_file_of_it_is_gone(
    api: Api, owner: asyncpg.Connection, ended: str
) -> None:
    first, second = ids(await upload(api))
    if ended == "deleted":
        async with api.client(token("a")) as client:
            assert (await client.delete(f"{PATH}/{first}")).status_code == 204
    else:
        await owner.execute("UPDATE files SET expires_at = now() - interval '1 second' WHERE id = $1", first)
    fresh = ids(await upload(api))
    assert not {first, second} & set(fresh)
    assert ids(await upload(api)) == fresh


async def test_what_is_sent_again_takes_no_more_room(api: Api) -> None:
    api.files.receive._limits = type(api.files.receive._limits)(
        quota_bytes=len(TEXT) + len(PNG) + 10, seconds=30, keep_seconds=3600
    )
    first = ids(await upload(api))
    assert ids(await upload(api)) == first
    assert (await upload(api, key="k-2")).json()["code"] == "file_quota_exceeded"


async def test_uploads_and_deletions_stand_in_the_audit_once(api: Api, owner: asyncpg.Connection) -> None:
    first, second = ids(await upload(api))
    await upload(api)
    await upload(api, (("a.exe", b"MZ"),), key=None)
    async with api.client(token("a")) as client:
        assert (await client.delete(f"{PATH}/{first}")).status_code == 204
        assert (await client.delete(f"{PATH}/{first}")).status_code == 404
    rows: list[dict[str, Any]] = [
        dict(row)
        for row in await owner.fetch(
            "SELECT actor, action, target, details ->> 'name' AS name FROM audit WHERE action LIKE 'file.%' ORDER BY id"
        )
    ]
    assert [(row["action"], row["target"], row["name"]) for row in rows] == [
        ("file.upload", f"file:{first}", "a.txt"),
        ("file.upload", f"file:{second}", "b.png"),
        ("file.delete", f"file:{first}", "a.txt"),
    ]
    assert {row["actor"] for row in rows} == {"user@example.com"}
