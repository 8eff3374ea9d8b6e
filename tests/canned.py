"""A transport that answers what it is told, for connectors whose answers are invented."""

from collections.abc import Callable

import httpx2

Answer = tuple[int, str, bytes]
"""Status, content type, body."""


class Canned(httpx2.AsyncBaseTransport):
    """`answer` gets method and path of each request."""

    def __init__(self, answer: Callable[[str, str], Answer]) -> None:
        self._answer = answer
        self.asked: list[tuple[str, str]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        call = (request.method, request.url.path)
        self.asked.append(call)
        status, kind, body = self._answer(*call)
        return httpx2.Response(status, headers={"Content-Type": kind}, content=body)
