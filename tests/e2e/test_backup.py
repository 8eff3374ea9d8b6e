"""A backup of a running service, restored elsewhere: all is there, and nothing reaches the CRM a second time."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe

import httpx2
import pytest

from app.core.crypto import new_key
from tests.service import Service
from tests.stand import Stand

TENANT = "archive"


@pytest.fixture(scope="module")
def embedded(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    stand.reset(seed=7, projects=5, orders=16, accounts=1, gigs=2, dialogs=2)
    stand.clear_faults()
    running = Service(tmp_path_factory.mktemp("service"), stand).start()
    yield running
    running.stop()


def leads(stand: Stand) -> list[str]:
    found = httpx2.get(f"{stand.crm}/_demo/records", params={"tenant": TENANT}).json()["leads"]
    return sorted(lead["external_id"] for lead in found)


def created(stand: Stand, mark: int) -> list[str]:
    return [
        entry["path"]
        for entry in stand.journal(since=mark, surface="crm")
        if entry["method"] == "POST" and "leads" in entry["path"]
    ]


def test_what_was_sent_after_the_backup_is_found_in_the_crm_and_not_sent_again(
    embedded: Service, stand: Stand, tmp_path: Path
) -> None:
    api = embedded.user(TENANT)
    account = api.connect(stand.accounts[0])
    copy = tmp_path / "copy.tar"
    made = embedded.command("backup", str(copy))
    assert made.returncode == 0, made.stderr
    assert copy.stat().st_mode & 0o077 == 0
    assert "secrets.json" in made.stdout
    api.sync(kinds=["order"])
    api.settled()
    sent = leads(stand)
    assert len(sent) == 16

    again = embedded.command("backup", str(copy))
    assert (again.returncode, "уже есть" in again.stderr) == (2, True)
    under_it = embedded.command("restore", str(copy), "--replace")
    assert (under_it.returncode, "Служба работает" in under_it.stderr) == (2, True)

    other = Service(tmp_path, stand)
    without_keys = other.command("restore", str(copy))
    assert (without_keys.returncode, "Нет ключей" in without_keys.stderr) == (2, True)
    (tmp_path / "data").mkdir()
    shutil.copy(embedded.folder / "data" / "secrets.json", tmp_path / "data")
    back = other.command("restore", str(copy))
    assert back.returncode == 0, back.stderr
    assert "тенантов 1" in back.stdout
    full = other.command("restore", str(copy))
    assert (full.returncode, "База не пуста" in full.stderr) == (2, True)
    embedded.stop()

    mark = stand.mark()
    other.start()
    try:
        api = other.user(TENANT)
        (found,) = api.call("GET", "/accounts")["items"]
        assert (found["id"], found["state"]) == (account["id"], "connected")
        assert api.sync(kinds=["order"])["state"] == "done"
        api.settled()
        assert leads(stand) == sent
        assert created(stand, mark) == []
        late = stand.add_order()
        api.sync(kinds=["order"])
        api.settled()
        assert len(leads(stand)) == 17, late
    finally:
        other.stop()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not ours", "tar of another"])
def test_what_is_no_backup_is_refused_in_one_sentence(
    stand: Stand, tmp_path: Path, content: bytes | str
) -> None:
    given = tmp_path / "given.tar"
    if isinstance(content, bytes):
        given.write_bytes(content)
    else:
        with tarfile.open(given, "w") as tar:
            tar.add(__file__, "../../outside.py")
    keys = {"SECRET_KEY": token_urlsafe(48), "CREDENTIALS_KEYS": new_key("k1")}
    refused = Service(tmp_path, stand, **keys).command("restore", str(given))
    assert refused.returncode == 2
    assert "не резервная копия" in refused.stderr, refused.stderr
    assert not (tmp_path.parent / "outside.py").exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"DATABASE_URL": "postgresql://kwork:x@127.0.0.1:9/kwork"}, "База данных"), ({}, "сохранять нечего")],
    ids=["nobody there", "nothing there"],
)
def test_what_cannot_be_saved_is_told_in_one_sentence(
    stand: Stand, tmp_path: Path, settings: dict[str, str], told: str
) -> None:
    keys = {"SECRET_KEY": token_urlsafe(48), "CREDENTIALS_KEYS": new_key("k1")}
    refused = Service(tmp_path, stand, **keys, **settings).command("backup", str(tmp_path / "copy.tar"))
    assert (refused.returncode, told.lower() in refused.stderr.lower()) == (2, True), refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "copy.tar").exists()
