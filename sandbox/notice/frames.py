"""Frames as Kwork sends them: JSON whose `text` is JSON itself, now and then URL-encoded or prefixed `data:` [CAP]."""

import itertools
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

from sandbox.world.model import Message, Order, Track
from sandbox.world.world import World

Wrap = Callable[[str], str]
# All the spellings that clients are known to meet, and their combinations.
_WRAPS: tuple[Wrap, ...] = (
    lambda text: text,
    lambda text: f"data:{text}",
    quote_plus,
    lambda text: f"data: {quote(text)}",
    lambda text: quote(f"data:{text}"),
)
GARBAGE = (
    "",
    "null",
    "not json at all",
    '{"text": "{\\"event\\": ',
    '{"text": 17}',
    '{"no text": true}',
    '[1, 2, {"text": "%7B%22"}]',
    '{"text": "data:data:data:%25%25"}',
    '{"text": "{\\"event\\": [\\"new_inbox\\"], \\"data\\": 5}"}',
    '{"text": "{\\"event\\": \\"new_inbox\\", \\"data\\": {\\"from\\": {\\"a\\": []}}}"}',
    '{"text": "{\\"event\\": \\"never_heard_of\\", \\"data\\": {}}"}',
    "[" * 20_000,
)


class Frames:
    """Makes frames; every further one is spelled in another way."""

    def __init__(self) -> None:
        self._wraps = itertools.cycle(_WRAPS)

    def of(self, event: str, data: dict[str, Any]) -> str:
        inner = orjson.dumps({"event": event, "data": data}).decode()
        return orjson.dumps({"id": 1, "channel": "public", "text": next(self._wraps)(inner)}).decode()

    def for_message(self, world: World, message: Message) -> list[str]:
        """What the receiver's channel carries: somebody types, then the message, then the counter."""
        author = world.users[message.from_id]
        return [
            self.of("is_typing", {"from": message.from_id, "to_user_id": message.to_id}),
            self.of(
                "new_inbox",
                {
                    "from": message.from_id,
                    "to_user_id": message.to_id,
                    "inbox_id": message.id,
                    "title": f"Новое сообщение от {author.username}",
                    "inboxMessage": {"MID": message.id, "message": message.text},
                    "lastMessage": {"MID": message.id, "unread": True},
                },
            ),
            self.of("notify", {"new_message": 1, "dialog_data": [{"login": author.username}]}),
        ]

    def for_track(self, order: Order, track: Track) -> list[str]:
        """How orders are told of is not publicly known; the general notice is the likeliest [CLAIM]."""
        return [self.of("pop_up_notify", {"order_id": order.id, "type": track.type})]
