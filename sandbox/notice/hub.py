"""Who listens, and what is pushed to them. It outlives resets; the listeners do not."""

import asyncio
import itertools
from dataclasses import dataclass, field

from starlette.websockets import WebSocket

from sandbox.faults import Faults
from sandbox.journal import Entry
from sandbox.notice.frames import GARBAGE, Frames
from sandbox.world import queries
from sandbox.world.model import Message, Order, Track
from sandbox.world.world import World


@dataclass(eq=False)
class Listener:
    """One open connection; what is put into `frames` is sent, None closes it."""

    account: str
    path: str
    socket: WebSocket
    entry: Entry
    frames: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)


class Hub:
    """Pushes when messages and orders change. Faults of the surface `notice` at each push:

    `drop` closes the connection instead; `garbage_frame` sends nonsense in its place; `silence` sends nothing.
    """

    def __init__(self, faults: Faults) -> None:
        self.listeners: list[Listener] = []
        self._faults = faults
        self._frames = Frames()
        self._garbage = itertools.cycle(GARBAGE)

    def watch(self, world: World) -> None:
        """Tells of this world's changes from now on."""
        world.on_message = lambda message: self._message(world, message)
        world.on_track = lambda order, track: self._track(world, order, track)

    def cut(self) -> int:
        """Closes every connection; answers how many there were."""
        cut, self.listeners = self.listeners, []
        for listener in cut:
            listener.frames.put_nowait(None)
        return len(cut)

    def _message(self, world: World, message: Message) -> None:
        for number in (message.to_id, message.from_id):
            if number in world.accounts:
                self._push(world, number, self._frames.for_message(world, message))

    def _track(self, world: World, order: Order, track: Track) -> None:
        self._push(world, order.worker_id, self._frames.for_track(order, track))

    def _push(self, world: World, account_id: int, frames: list[str]) -> None:
        account = world.accounts[account_id].username
        for listener in [one for one in self.listeners if one.account == account]:
            found = self._faults.for_request("notice", "PUSH", listener.path, account)
            if found.take("drop"):
                self.listeners.remove(listener)
                listener.entry.decide("fault: drop")
                listener.frames.put_nowait(None)
            elif found.take("silence"):
                listener.entry.decide("fault: silence")
            elif found.take("garbage_frame"):
                listener.entry.decide("fault: garbage_frame")
                listener.frames.put_nowait(next(self._garbage))
            else:
                for frame in frames:
                    listener.frames.put_nowait(frame)
                listener.entry.decide("pushed")


def account_of_channel(world: World, channel: str) -> str | None:
    """The account that listens on the channel: its name alone opens it [CAP]."""
    return next(
        (a.username for a in world.accounts.values() if queries.channel_of(world, a.user_id) == channel), None
    )
