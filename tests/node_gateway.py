"""A gateway in front of the service: the one of `tests/gateway_proxy`, or with REAL_GATEWAY `deploy/gateway/kwork.ts` itself.

REAL_GATEWAY names the folder that `scripts/try-gateway` fills: Express, http-proxy-middleware, tsx and the route.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import httpx2
import jwt
import pytest

from tests.service import Service
from tests.stand import ROOT

PREFIX = "/api/v1/kwork"
PATIENCE_SECONDS = 30.0
SECRET = "a secret of the gateway and the service, long enough"
FOLDER = ROOT / "tests" / "gateway_proxy"
_OF_THE_WAY = {"date", "server", "connection", "keep-alive", "transfer-encoding", "ratelimit"}


class Gateway:
    """A Node process on loopback that leads ``/api/v1/kwork/*`` to the service."""

    def __init__(self, service: str) -> None:
        real = os.environ.get("REAL_GATEWAY")
        node = shutil.which("node")
        if node is None:
            pytest.skip("no Node.js on this machine: the gateway of the tests is a program of it")
        self.is_real = real is not None
        program = ["--import", "tsx", "real.ts"] if real else ["proxy.mjs"]
        self._process = subprocess.Popen(
            [node, *program, service, SECRET],
            cwd=real or FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        hello = self._process.stdout.readline()
        assert hello, "the gateway did not start"
        self.port = json.loads(hello)["port"]
        self.url = f"http://127.0.0.1:{self.port}{PREFIX}"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()

    def sockets(self) -> int:
        """How many connections to the service it has opened."""
        found: int = httpx2.get(f"http://127.0.0.1:{self.port}/sockets").json()["sockets"]
        return found


class Caller:
    """Asks the service, or the gateway before it, as a user of a tenant."""

    def __init__(self, base: str, tenant: str, **claims: Any) -> None:
        self.client = httpx2.Client(base_url=base, timeout=60)
        self.client.headers["Authorization"] = f"Bearer {token(tenant, **claims)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def ask(self, method: str, path: str, *habits: str, **given: Any) -> httpx2.Response:
        """`habits` are what the gateway is to do; one it does not know skips the test."""
        headers: Mapping[str, str] = given.pop("headers", {})
        named = {"X-Habits": ", ".join(habits)} if habits else {}
        answer = self.client.request(method, path, headers={**headers, **named}, **given)
        if "x-unknown-habit" in answer.headers:
            pytest.skip(f"the real gateway does not do this: {', '.join(habits)}")
        return answer


def token(tenant: str, **changes: Any) -> str:
    """As the gateway's own sign-in issues it."""
    now = int(time.time())
    claims = {
        "sub": "user-1",
        "email": "user@example.com",
        "tenant_id": tenant,
        "role": "ADMIN",
        "type": "access",
        "iat": now,
        "exp": now + 600,
        **changes,
    }
    return jwt.encode(claims, SECRET, algorithm="HS256")


def seen(answer: httpx2.Response) -> tuple[int, dict[str, str], bytes]:
    """What of an answer must be the same on every way: all but what belongs to a connection."""
    headers = {name: value for name, value in answer.headers.items() if name not in _OF_THE_WAY}
    return answer.status_code, headers, answer.content


def pieces(data: bytes, size: int = 1000) -> Any:
    """A body without a length."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def raw(gateway: Gateway, request: str, *headers: str) -> socket.socket:
    """A connection on which this head was sent."""
    sent = socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
    sent.sendall("\r\n".join([f"{request} HTTP/1.1", "Host: gateway", *headers, "", ""]).encode())
    return sent


def described(body: bytes) -> list[str]:
    """Headers of that JSON body, of a user of a tenant of its own."""
    return [
        f"Authorization: Bearer {token('by-hand')}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]


def read_until(sent: socket.socket, end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        byte = sent.recv(1)
        assert byte, found
        found += byte
    return found


@contextmanager
def listening(caller: Caller, *habits: str) -> Iterator[httpx2.Response]:
    """The stream of events; a reader that has just left may still count for a moment."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with caller.client.stream("GET", "/events", headers={"X-Habits": ", ".join(habits)}) as answer:
            if "x-unknown-habit" in answer.headers:
                habits = ()
            elif answer.status_code == 200:
                yield answer
                return
            assert time.monotonic() < deadline, answer.status_code
        time.sleep(0.02)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kept_bytes(service: Service) -> int:
    """On the service's disk, of whole and of half files."""
    files = service.folder / "data" / "files"
    return sum(path.stat().st_size for path in files.rglob("*") if path.is_file())
