"""Files that wait to be sent to Kwork: they come in whole, are listed, given back and deleted."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.core.file_folder import FileFolder
from app.models.file_schemas import StoredFileOut, UploadedOut
from app.models.schemas import Listed
from tests.api import Api, stock, token
from tests.uploads import END, FORM, PATH, PNG, TEXT, on_disk, part, pieces, send, upload, uploaded


@pytest.fixture(autouse=True)
async def tenants(api: Api, owner: asyncpg.Connection) -> None:
    await stock(owner, "a", 501)
    await stock(owner, "b", 701)
    await owner.execute("DELETE FROM files")


async def get(api: Api, path: str = "", status: int = 200, tenant: str = "a", **claims: Any) -> Any:
    async with api.client(token(tenant, **claims)) as client:
        answer = await client.get(PATH + path)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_several_files_of_a_form_are_stored_in_their_order(api: Api) -> None:
    answer = await upload(api, ("Макет.png", PNG), ("список.txt", TEXT), purpose="сдача заказа 55")
    assert answer.status_code == 201
    UploadedOut.model_validate(answer.json(), extra="forbid")
    first, second = answer.json()["items"]
    assert (first["name"], first["size"], first["media_type"]) == ("Макет.png", len(PNG), "image/png")
    assert second["sha256"] == hashlib.sha256(TEXT).hexdigest()
    assert (second["purpose"], second["uploaded_by"]) == ("сдача заказа 55", "user@example.com")
    kept = datetime.fromisoformat(first["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=23) < kept <= timedelta(days=7)
    assert sorted(name.rpartition("/")[2] for name in on_disk(api)) == sorted([first["id"], second["id"]])


@pytest.mark.parametrize(
    "request_of",
    [
        {"params": {"name": "отчёт.txt"}},
        {
            "headers": {
                "Content-Disposition": "attachment; filename*=UTF-8''%D0%BE%D1%82%D1%87%D1%91%D1%82.txt"
            }
        },
        {"headers": {b"Content-Disposition": 'attachment; filename="отчёт.txt"'.encode()}},
        {
            "params": {"name": "отчёт.txt"},
            "headers": {
                "Content-Disposition": 'attachment; filename="another.exe"',
                "Content-Type": "text/plain",
            },
        },
        {"params": {"name": "отчёт.txt"}, "headers": {"Content-Type": "application/json"}},
    ],
)
async def test_the_body_itself_may_be_the_file(api: Api, request_of: dict[str, Any]) -> None:
    answer = await send(api, pieces(TEXT[:7], TEXT[7:]), **request_of)
    assert answer.status_code == 201, answer.text
    (file,) = answer.json()["items"]
    assert (file["name"], file["sha256"]) == ("отчёт.txt", hashlib.sha256(TEXT).hexdigest())


@pytest.mark.parametrize("size", [1, 2, 3, 17, 1000])
async def test_a_form_may_come_in_pieces_of_any_size(api: Api, size: int) -> None:
    content = b"a\r\n--limit-of-part\r\n--limit-of-parts?" + TEXT + b"\r\n\r\n--"
    body = part("a.txt", content) + part("b.png", PNG[:300]) + END
    cut = [body[at : at + size] for at in range(0, len(body), size)]
    answer = await send(api, pieces(*cut), headers=FORM)
    assert answer.status_code == 422  # a limit with something behind it is no limit
    body = body.replace(b"--limit-of-parts?", b"--limit-of-party?")
    cut = [body[at : at + size] for at in range(0, len(body), size)]
    answer = await send(api, pieces(*cut), headers=FORM)
    assert answer.status_code == 201, answer.text
    assert [file["sha256"] for file in answer.json()["items"]] == [
        hashlib.sha256(one).hexdigest() for one in (content.replace(b"parts?", b"party?"), PNG[:300])
    ]


async def test_fields_of_a_form_without_a_file_name_are_read_over(api: Api) -> None:
    field = b'--limit-of-parts\r\nContent-Disposition: form-data; name="comment"\r\n\r\nhello\r\n'
    answer = await send(api, field + part("a.txt", TEXT) + field + END, headers=FORM)
    assert [file["name"] for file in answer.json()["items"]] == ["a.txt"]


async def test_an_archive_that_would_swell_is_a_file_like_any_other(api: Api) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.txt", b"\x00" * 50_000_000)
    (file,) = await uploaded(api, ("bomb.zip", packed.getvalue()))
    assert file["size"] == len(packed.getvalue()) < 100_000


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("../../../etc/passwd.txt", "passwd.txt"),
        ("..\\\\..\\\\evil.txt", "evil.txt"),
        ("C:\\\\temp\\\\план.txt", "план.txt"),
        ("%00/a%0Ab.txt", "a b.txt"),
        ("con.txt", "_con.txt"),
        ("x" * 400 + ".txt", "x" * 196 + ".txt"),
    ],
)
async def test_names_of_uploads_are_made_safe(api: Api, given: str, stored: str) -> None:
    answer = await send(api, part(given, TEXT) + END, headers=FORM)
    assert answer.status_code == 201, answer.text
    (file,) = answer.json()["items"]
    assert file["name"] == stored
    assert on_disk(api)[0].rpartition("/")[2] == file["id"]


async def test_files_are_listed_newest_first_and_paged(api: Api) -> None:
    names = [f"{number}.txt" for number in range(5)]
    for name in names:
        await uploaded(api, (name, TEXT))
    first = await get(api, "?limit=2")
    Listed[StoredFileOut].model_validate(first, extra="forbid")
    second = await get(api, f"?limit=2&cursor={first['next_cursor']}")
    third = await get(api, "?limit=2&page=3")
    assert [one["name"] for page in (first, second, third) for one in page["items"]] == names[::-1]
    assert (first["total"], third["next_cursor"]) == (5, None)


async def test_a_file_comes_back_as_it_was_and_always_to_be_saved(api: Api) -> None:
    (file,) = await uploaded(api, ('Макет "главной" 100%.svg', b"<svg onload='alert(1)'/>"))
    assert await get(api, f"/{file['id']}", role="USER") == file
    async with api.client(token("a", role="USER")) as client:
        answer = await client.get(f"{PATH}/{file['id']}/content")
        for asked in ("bytes=1-3", "bytes=999-", "nonsense"):
            whole = await client.get(f"{PATH}/{file['id']}/content", headers={"Range": asked})
            assert (whole.status_code, whole.content) == (200, answer.content)
    assert answer.content == b"<svg onload='alert(1)'/>"
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == (
        'attachment; filename="_____ _________ 100_.svg"; '
        "filename*=UTF-8''%D0%9C%D0%B0%D0%BA%D0%B5%D1%82%20_%D0%B3%D0%BB%D0%B0%D0%B2%D0%BD%D0%BE%D0%B9_%20100%25.svg"
    )


async def test_a_text_comes_back_without_a_charset_made_up(api: Api) -> None:
    (file,) = await uploaded(api, ("a.txt", "Привет".encode("cp1251")))
    async with api.client(token("a")) as client:
        answer = await client.get(f"{PATH}/{file['id']}/content")
    assert answer.headers["content-type"] == "text/plain"


async def test_a_file_that_the_disk_has_lost_is_told_so(api: Api) -> None:
    (file,) = await uploaded(api, ("a.txt", TEXT))
    (api.settings.data_dir / "files" / on_disk(api)[0]).unlink()
    assert (await get(api, f"/{file['id']}/content", 404))["code"] == "file_damaged"


async def test_a_deleted_file_is_gone_from_table_and_disk(api: Api) -> None:
    (file,) = await uploaded(api, ("a.txt", TEXT))
    async with api.client(token("a")) as client:
        assert (await client.delete(f"{PATH}/{file['id']}")).status_code == 204
        assert (await client.delete(f"{PATH}/{file['id']}")).status_code == 404
    await get(api, f"/{file['id']}", 404)
    assert on_disk(api) == []


async def test_a_file_that_a_write_needs_cannot_be_deleted(api: Api) -> None:
    (file,) = await uploaded(api, ("a.txt", TEXT))
    write = uuid4()
    async with api.database.tenant("a") as scope:
        await api.files.files.mark_used(scope, [UUID(file["id"])], write)
    async with api.client(token("a")) as client:
        answer = await client.delete(f"{PATH}/{file['id']}")
        assert (answer.status_code, answer.json()["code"]) == (409, "file_in_use")
        assert (await get(api, f"/{file['id']}"))["used_by"] == str(write)
        async with api.database.tenant("a") as scope:
            await api.files.files.release(scope, write)
        assert (await client.delete(f"{PATH}/{file['id']}")).status_code == 204


async def test_an_expired_file_is_not_shown_even_before_it_is_swept(
    api: Api, owner: asyncpg.Connection
) -> None:
    (file,) = await uploaded(api, ("a.txt", TEXT))
    await owner.execute("UPDATE files SET expires_at = now() - interval '1 second'")
    assert (await get(api))["total"] == 0
    for path in ("", "/content"):
        assert (await get(api, f"/{file['id']}{path}", 404))["code"] == "not_found"


async def test_two_tenants_files_lie_apart_and_do_not_show(api: Api) -> None:
    (mine,) = await uploaded(api, ("a.txt", TEXT))
    (other,) = await uploaded(api, ("a.txt", TEXT), tenant="b")
    folders = {name.partition("/")[0] for name in on_disk(api)}
    assert len(folders) == 2
    assert [one["id"] for one in (await get(api))["items"]] == [mine["id"]]
    for path in (f"/{other['id']}", f"/{other['id']}/content"):
        await get(api, path, 404)
    path = FileFolder(api.settings.data_dir / "files").path("b", other["id"])
    assert path.read_bytes() == TEXT
    async with api.client(token("a")) as client:
        assert (await client.delete(f"{PATH}/{other['id']}")).status_code == 404
    assert path.exists()


async def test_viewers_read_and_do_not_upload_or_delete(api: Api) -> None:
    (file,) = await uploaded(api, ("a.txt", TEXT))
    async with api.client(token("a", role="USER")) as client:
        for answer in (
            await client.post(PATH, content=TEXT, params={"name": "a.txt"}),
            await client.delete(f"{PATH}/{file['id']}"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "role_too_low")
    assert (await get(api, role="USER"))["total"] == 1
