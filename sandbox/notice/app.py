"""The websocket of notices as an ASGI app. An unknown channel is taken, too: nothing ever comes on it.

The journal has an entry per connection: surface `notice`, method `WS`. Faults at connecting: `drop` with
`when: before` (the handshake is refused).
"""

import asyncio
import contextlib

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from sandbox.faults import Faults
from sandbox.journal import Journal
from sandbox.notice.hub import Hub, Listener, account_of_channel
from sandbox.world.world import World

PATH = "/ws/public"


def build(world: World, journal: Journal, faults: Faults, hub: Hub) -> ASGIApp:
    async def listen(socket: WebSocket) -> None:
        path = socket.url.path
        entry = journal.arrived("notice", "WS", path, headers=dict(socket.headers))
        entry.account = account_of_channel(world, socket.path_params["channel"])
        if faults.for_request("notice", "WS", path, entry.account).take("drop", when="before"):
            entry.decide("fault: drop")
            await socket.close()
            return
        await socket.accept()
        entry.decide("connected")
        listener = Listener(entry.account or "", path, socket, entry)
        hub.listeners.append(listener)
        try:
            await _serve(listener)
        finally:
            if listener in hub.listeners:
                hub.listeners.remove(listener)
            entry.answered = {"closed": True}

    return Starlette(routes=[WebSocketRoute(f"{PATH}/{{channel}}", listen)])


async def _serve(listener: Listener) -> None:
    sending = asyncio.create_task(_send(listener))
    receiving = asyncio.create_task(_receive(listener.socket))
    await asyncio.wait((sending, receiving), return_when=asyncio.FIRST_COMPLETED)
    for task in (sending, receiving):
        task.cancel()
    await asyncio.gather(sending, receiving, return_exceptions=True)


async def _send(listener: Listener) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (frame := await listener.frames.get()) is not None:
            await listener.socket.send_text(frame)
        await listener.socket.close(1012)


async def _receive(socket: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive_text()
