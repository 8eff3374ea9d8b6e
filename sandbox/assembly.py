"""The sandbox as a whole: one world, one journal, one fault registry, and an app per surface.

A reset replaces the world and rebuilds the surfaces; addresses stay.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.control.app import build as build_control
from sandbox.faults import Faults
from sandbox.journal import Journal
from sandbox.notice.app import build as build_notice
from sandbox.notice.hub import Hub
from sandbox.settings import Settings
from sandbox.world import Clock, Size, World, make_world


class Sandbox:
    """Built once per process; surfaces are found as `sandbox.<folder>.app.build`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = Faults()
        self.world: World = _world_of(settings)
        self.journal = Journal(self._now)
        self.hub = Hub(self.faults)
        self._surfaces: dict[str, ASGIApp] = {}
        self._build()

    def reset(self, size: Size) -> None:
        """A fresh world on fresh time; journal and faults are emptied, everybody is signed out."""
        self.world = make_world(size, Clock())
        self.settings.size = size
        self.journal.clear()
        self.faults.clear()
        self.hub.cut()
        self._build()

    def app(self, surface: str) -> ASGIApp:
        """An app that goes on working over resets."""

        async def current(scope: Scope, receive: Receive, send: Send) -> None:
            await self._surfaces[surface](scope, receive, send)

        return current

    def account_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "login": a.login,
                "password": a.password,
                "user_id": a.user_id,
                "username": a.username,
                "phone_digits": a.phone_digits,
            }
            for a in self.world.accounts.values()
        ]

    def _now(self) -> float:
        return self.world.clock.now()

    def _build(self) -> None:
        world = (self.world, self.journal, self.faults, self.settings)
        self._surfaces = {
            "web": _surface("sandbox.web.app")(*world),
            "api": _surface("sandbox.mobile.app")(*world),
            "crm": _surface("sandbox.crm.app")(*world[1:]),
            "control": build_control(self),
            "notice": build_notice(self.world, self.journal, self.faults, self.hub),
        }
        self.hub.watch(self.world)


def _world_of(settings: Settings) -> World:
    """The same `born` gives the same world again, times included; its clock then tells the real time."""
    clock = Clock()
    if settings.born:
        clock.move(settings.born - clock.now())
    world = make_world(settings.size, clock)
    clock.offset = 0.0
    return world


def _surface(module: str) -> Callable[..., ASGIApp]:
    """The surface's `build`; where its folder is not there, an app that knows no route."""
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        found = None
    return import_module(module).build if found else lambda *_: Starlette()
