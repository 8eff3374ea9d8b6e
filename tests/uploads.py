"""Uploads under test: requests as they arrive, and what they leave in the table and on the disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx2

from tests.api import Api, token

PATH = "/api/v1/files"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
TEXT = ("Готовый макет\r\n" * 40).encode()
BOUNDARY = "limit-of-parts"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


async def upload(api: Api, *files: tuple[str, bytes], tenant: str = "a", **query: str) -> httpx2.Response:
    """A form with these files."""
    form = [("files", (name, content, "application/octet-stream")) for name, content in files]
    async with api.client(token(tenant)) as client:
        return await client.post(PATH, files=form, params=query)


async def send(api: Api, content: Any, *, tenant: str = "a", **request: Any) -> httpx2.Response:
    """A body as it is; an async iterator comes in pieces, without a length."""
    async with api.client(token(tenant)) as client:
        return await client.post(PATH, content=content, **request)


async def uploaded(api: Api, *files: tuple[str, bytes], tenant: str = "a") -> list[dict[str, Any]]:
    """The rows of an upload that went well."""
    answer = await upload(api, *files, tenant=tenant)
    assert answer.status_code == 201, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def part(name: str, content: bytes) -> bytes:
    """One file of a form, with the limit before it."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    """A body that comes in these pieces."""
    for chunk in chunks:
        yield chunk


def on_disk(api: Api) -> list[str]:
    """Every file below the data folder."""
    root = api.settings.data_dir / "files"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def rows(owner: asyncpg.Connection) -> int:
    """Rows of all tenants, in whatever state."""
    found: int = await owner.fetchval("SELECT count(*) FROM files")
    return found


async def assert_nothing_kept(api: Api, owner: asyncpg.Connection) -> None:
    assert (await rows(owner), on_disk(api)) == (0, [])
