"""A plain HTTP visitor of the stand-in's web surface: fixtures and how to read its pages."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.stand import Stand


@pytest.fixture
def visitor(kwork_stand: Stand) -> Iterator[httpx2.Client]:
    """A browser's worth of cookies, nobody signed in."""
    with httpx2.Client(base_url=kwork_stand.web, timeout=10) as client:
        yield client


@pytest.fixture
def seller(kwork_stand: Stand, visitor: httpx2.Client) -> httpx2.Client:
    """Signed in as the main account."""
    assert sign_in(visitor, kwork_stand).json()["success"]
    return visitor


def sign_in(client: httpx2.Client, stand: Stand, password: str | None = None) -> httpx2.Response:
    form = {"l_username": stand.login, "l_password": password or stand.password, "jlog": "1"}
    return client.post("/api/user/login", data=form)


def state_of(answer: httpx2.Response) -> dict[str, Any]:
    start = answer.text.index("window.stateData=") + len("window.stateData=")
    state: dict[str, Any] = json.JSONDecoder().raw_decode(answer.text, start)[0]
    return state


def window(answer: httpx2.Response, name: str) -> Any:
    start = answer.text.index(f"window.{name}=") + len(f"window.{name}=")
    return json.JSONDecoder().raw_decode(answer.text, start)[0]


def csrf(client: httpx2.Client) -> dict[str, str]:
    return {"X-CSRF-Token": client.cookies["csrf_user_token"]}
