"""What a gateway may tell of a request, and how long connections with it last."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from app.commands import server_config
from tests.api import settings_for_tests

GATEWAY = "172.20.0.5"


async def client_of(peer: str, forwarded: str, **settings: Any) -> str:
    """The address the application sees of a request that ``peer`` hands on."""
    seen: list[str] = []

    async def application(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["client"][0])

    config = server_config(application, settings_for_tests(**settings))  # type: ignore[arg-type]
    config.load()
    headers = [(b"x-forwarded-for", forwarded.encode())]
    scope = {"type": "http", "headers": headers, "client": (peer, 1), "scheme": "http"}
    await config.loaded_app(scope, None, None)  # type: ignore[arg-type]
    return seen[0]


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "client"),
    [
        (GATEWAY, "203.0.113.9", "172.16.0.0/12", "203.0.113.9"),
        (GATEWAY, "203.0.113.9", "172.20.0.5", "203.0.113.9"),
        # Somebody else's word does not count, nor what a client wrote before the gateway added the truth.
        ("198.51.100.7", "203.0.113.9", "172.16.0.0/12", "198.51.100.7"),
        (GATEWAY, "203.0.113.9", "127.0.0.1", GATEWAY),
        (GATEWAY, "1.1.1.1, 203.0.113.9", "172.16.0.0/12", "203.0.113.9"),
        (GATEWAY, "203.0.113.9, 172.20.0.9", "172.16.0.0/12", "203.0.113.9"),
    ],
)
async def test_the_clients_address_is_the_gateways_word_where_it_is_trusted(
    peer: str, forwarded: str, trusted: str, client: str
) -> None:
    assert await client_of(peer, forwarded, trusted_proxies=trusted) == client


@pytest.mark.parametrize("value", ["*", "gateway", "10.0.0.0/33", "10.0.0.0/8;192.168.0.0/16"])
def test_only_addresses_and_networks_are_trusted(value: str) -> None:
    with pytest.raises(ValidationError, match="нужны адреса или сети через запятую"):
        settings_for_tests(trusted_proxies=value)


def test_idle_connections_outlive_those_of_common_gateways() -> None:
    """Nginx and load balancers of clouds keep theirs for 60 seconds: the server must not be the first to close."""
    settings = settings_for_tests()
    assert settings.keep_alive_seconds > 60
    assert server_config(None, settings).timeout_keep_alive == settings.keep_alive_seconds  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "kept"), [("/kwork/", "/kwork"), ("/api/v1/kwork", "/api/v1/kwork"), ("/", "")]
)
def test_the_prefix_has_no_slash_at_its_end(given: str, kept: str) -> None:
    assert settings_for_tests(root_path=given).root_path == kept


@pytest.mark.parametrize("value", ["kwork", "https://crm.example.ru/kwork", "//evil.example", "/a b", '/"x'])
def test_a_prefix_that_is_no_path_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="нужен путь вида"):
        settings_for_tests(root_path=value)
