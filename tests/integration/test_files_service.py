"""Files through the real service as a process: over real connections, on a real disk."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from tests.service import Api, Service
from tests.stand import Stand
from tests.uploads import BOUNDARY, TEXT, part

MIB = 2**20
WAIT_SECONDS = 60.0


@pytest.fixture(scope="module")
def orphan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that an earlier process left, in a data folder where the service has not started yet."""
    path = tmp_path_factory.mktemp("files") / "data" / "files" / ("0" * 32) / str(uuid4())
    path.parent.mkdir(parents=True)
    path.write_bytes(b"left behind")
    os.utime(path, (time.time() - 86_400, time.time() - 86_400))
    return path


@pytest.fixture(scope="module")
def service(stand: Stand, orphan: Path) -> Iterator[Service]:
    stand.reset(seed=7, projects=30, orders=16, accounts=2, gigs=12, dialogs=8)
    stand.clear_faults()
    running = Service(orphan.parents[3], stand).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def api(service: Service) -> Api:
    return service.user(role="operator")


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def on_disk(service: Service) -> list[Path]:
    return [path for path in (service.folder / "data" / "files").rglob("*") if path.is_file()]


def peak_of(service: Service, *, anew: bool = False) -> int:
    """The most memory the process held, in bytes; ``anew``: from now on (its start took more than it needs since)."""
    assert service.process is not None
    if anew:
        Path(f"/proc/{service.process.pid}/clear_refs").write_text("5", encoding="ascii")
    status = Path(f"/proc/{service.process.pid}/status").read_text(encoding="ascii")
    line = next(one for one in status.splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def zeros(size: int) -> Iterator[bytes]:
    for _ in range(size // MIB):
        yield b"0" * MIB
    if size % MIB:
        yield b"0" * (size % MIB)


def test_what_an_earlier_process_left_is_swept_when_the_service_starts(api: Api, orphan: Path) -> None:
    until(lambda: not orphan.exists())


def test_100_mb_come_in_and_go_out_without_the_process_growing_by_them(service: Service, api: Api) -> None:
    api.call("POST", "/files", content=zeros(MIB), params={"name": "small.txt"})
    before = peak_of(service, anew=True)
    (file,) = api.call("POST", "/files", content=zeros(100 * MIB), params={"name": "big.txt"})["items"]
    answer = api.request("GET", f"/files/{file['id']}/content")
    assert (file["size"], len(answer.content)) == (100 * MIB, 100 * MIB)
    assert peak_of(service) - before < 48 * MIB
    api.call("DELETE", f"/files/{file['id']}")


def test_one_byte_more_is_told_to_the_client_that_sends_it(service: Service, api: Api) -> None:
    kept = len(on_disk(service))
    answer = api.request("POST", "/files", content=zeros(100 * MIB + 1), params={"name": "big.txt"})
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    assert len(on_disk(service)) == kept


def test_a_connection_that_breaks_in_the_middle_leaves_nothing(service: Service, api: Api) -> None:
    kept = set(on_disk(service))
    listed = api.call("GET", "/files")["total"]
    head = (
        f"POST /api/v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: {api._client.headers['Authorization']}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: 50000000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(head.encode() + part("a.txt", TEXT) + part("b.txt", TEXT * 20_000))
        until(lambda: len(set(on_disk(service)) - kept) == 2)
    until(lambda: set(on_disk(service)) == kept)
    assert api.call("GET", "/files")["total"] == listed
    assert "Traceback" not in service.output()


def test_a_messages_file_comes_through_the_service_and_a_broken_one_is_seen_as_broken(
    stand: Stand, service: Service, api: Api
) -> None:
    account = service.user(role="admin").connect(stand.accounts[0])
    assert api.sync(kinds=["dialog"], account_id=account["id"], wait=True)["state"] == "done"
    address, size = next(
        (f"/chat/{dialog['id']}/messages/{message['id']}/files/{file['id']}", file["size"])
        for dialog in api.call("GET", "/chat")["items"]
        for message in api.call("GET", f"/chat/{dialog['id']}/messages?limit=200")["items"]
        for file in message["files"]
    )
    assert len(api.request("GET", address).content) == size
    stand.fault("cut", surface="web", path="/files/*")
    try:
        with pytest.raises(httpx2.RemoteProtocolError):
            api.request("GET", address)
    finally:
        stand.clear_faults()
    assert "Traceback" not in service.output()
