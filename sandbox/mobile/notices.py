"""Notices, the queue of push events, and the name of the websocket channel."""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, done, found, listing
from sandbox.world import queries
from sandbox.world.model import Message, Track

EVENTS_PER_PAGE = 20  # not known
_SHOWN = 20


def notifications(call: Call) -> Answer:
    """Grouped by kind; when there is nothing, `response` is absent [LIVE]."""
    groups = [group for group in (_unread_messages(call), _unread_tracks(call)) if group]
    return found(groups) if groups else done()


def _unread_messages(call: Call) -> Answer | None:
    rows = [
        {
            "id": message.id,
            "added": int(message.at),
            "entity_id": message.id,
            "link": f"/inbox/{call.world.users[message.from_id].username}",
            **_author(call, message.from_id),
        }
        for message in _unread(call)
    ]
    return _group("Новые сообщения", "inbox", rows, priority=1)


def _unread_tracks(call: Call) -> Answer | None:
    rows = [
        {
            "id": track.id,
            "added": int(track.at),
            "entity_id": track.id,
            "link": f"/track?id={order.id}",
            **_author(call, order.payer_id),
            "orderId": order.id,
            "orderTitle": order.title,
        }
        for order in queries.orders_of(call.world, call.me().user_id)
        for track in order.tracks
        if _is_news(call, track)
    ]
    return _group("События в заказах", "order", rows, priority=2)


def _is_news(call: Call, track: Track) -> bool:
    return track.unread and track.from_id != call.me().user_id


def _author(call: Call, user_id: int) -> Answer:
    person = call.world.users[user_id]
    return {
        "otherUserId": person.user_id,
        "otherUserName": person.username,
        "otherUserAvatar": call.picture(person),
        "isOtherUserOnline": person.is_online,
    }


def _group(name: str, entity: str, rows: list[Answer], priority: int) -> Answer | None:
    if not rows:
        return None
    shown = sorted(rows, key=lambda row: -row["added"])[:_SHOWN]
    return {
        "name": name,
        "description": "",
        "is_red": False,
        "priority": priority,
        "entity_type": entity,
        "notifications": shown,
    }


def _unread(call: Call) -> list[Message]:
    account = call.me()
    return [
        message
        for dialog in queries.dialogs_of(call.world, account.user_id)
        for message in dialog.messages
        if message.unread and message.to_id == account.user_id
    ]


def fetch(call: Call) -> Answer:
    """Push events not read yet; `created_at` is a string. Nothing: no `response` [LIVE]."""
    rows, paging = call.window(_unread(call), EVENTS_PER_PAGE)
    return listing([_event(call, message) for message in rows], paging)


def _event(call: Call, message: Message) -> Answer:
    return {
        "id": message.id,
        "entity_id": message.id,
        "user_id": call.me().user_id,
        "data": {"from": message.from_id, "to_user_id": message.to_id, "inbox_id": message.id},
        "created_at": datetime.fromtimestamp(message.at, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "event": "new_inbox",
    }


METHODS: Methods = {
    "notifications": Method(notifications),
    "notificationsFetch": Method(fetch),
}
