"""Drives the public client library `kwork` against the stand-in and prints what it saw as JSON.

Run by the library's own interpreter (see test_kwork_library). Reads its orders as JSON from stdin. The library
is not touched: it gets the API's address by its `api_host`, the web's by `base_url`, and finds that name by a
resolver that knows no other name, so nothing leaves this machine.
"""

import asyncio
import json
import socket
import sys
from typing import Any
from urllib.parse import urlparse

import aiohttp
from aiohttp.abc import AbstractResolver
from kwork import KworkClient
from kwork.exceptions import KworkException
from kwork.web_client import KworkWebClient


class OnlyTheStand(AbstractResolver):
    """The public name of the stand-in's web surface leads to its port; every other name is unknown."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[Any]:
        if host != self.name:
            raise OSError(f"unknown name {host}")
        found = {"hostname": host, "host": "127.0.0.1", "port": self.port, "family": socket.AF_INET}
        return [{**found, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass


def client_of(orders: dict[str, Any], password: str) -> KworkClient:
    client = KworkClient(orders["login"], password, api_host=orders["api"] + "/{}")
    name = urlparse(orders["public_web"]).hostname or ""
    connector = aiohttp.TCPConnector(resolver=OnlyTheStand(name, urlparse(orders["web"]).port or 80))
    client._session = aiohttp.ClientSession(connector=connector)
    client._web_client = KworkWebClient(client, base_url=orders["public_web"])
    return client


async def visit(orders: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {"wrong_password": await refusal(orders)}
    async with client_of(orders, orders["password"]) as client:
        seen |= await exchange(client, orders) | await chat(client, orders) | await deals(client, orders)
        seen["me"] = plain(await client.get_me())
        seen["categories"] = plain(await client.get_categories())
        seen["channel"] = await client.get_channel()
        seen["web"] = await web_session(client)
    return seen


async def refusal(orders: dict[str, Any]) -> str:
    async with client_of(orders, "not the password") as client:
        try:
            await client.get_me()
        except KworkException as error:
            return str(error)
    return ""


async def exchange(client: KworkClient, orders: dict[str, Any]) -> dict[str, Any]:
    return {
        "projects": plain(await client.get_projects(["all"])),
        "found_by_name": len(await client.get_projects(["all"], query=orders["query"])),
        "connects": plain(await client.get_connects()),
    }


async def chat(client: KworkClient, orders: dict[str, Any]) -> dict[str, Any]:
    partner = orders["partner"]
    return {
        "dialogs": plain(await client.get_all_dialogs()),
        "messages": plain(await client.get_dialog_with_user(partner["username"])),
        "buyer": plain(await client.get_user(partner["user_id"])),
        "sent": (await client.send_message(partner["user_id"], orders["text"]))["response"],
    }


async def deals(client: KworkClient, orders: dict[str, Any]) -> dict[str, Any]:
    number = orders["order_id"]
    seen = {
        "orders": (await client.get_worker_orders())["response"],
        "gigs": (await client.kworks_status_list())["response"],
        "order_page": (await client.get_order_details(orderId=number))["response"],
        "tracks": (await client.get_tracks(orderId=number))["response"]["messages"],
    }
    work = await client.file_upload(files={"upload_files": ("work.txt", b"done", "text/plain")})
    handed_in = await client.send_order_for_approval(orderId=number, **{"filesIds[]": work["response"]["id"]})
    return seen | {"handed_in": handed_in["success"]}


async def web_session(client: KworkClient) -> dict[str, Any]:
    result = await client.web_login(url_to_redirect="/manage_orders")
    page = await client.web.request("GET", "manage_orders")
    return {
        "status": result.status,
        "cookies": sorted(cookie.key for cookie in client.session.cookie_jar),
        "page_status": page["status"],
        "page_url": page["url"],
    }


def plain(seen: Any) -> Any:
    return [plain(row) for row in seen] if isinstance(seen, list) else seen.model_dump(mode="json")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(visit(json.load(sys.stdin))), ensure_ascii=False))
