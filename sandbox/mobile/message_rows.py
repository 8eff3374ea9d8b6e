"""How a chat message, and an order's track among messages, look on the mobile surface."""

from __future__ import annotations

from typing import Any

from sandbox.mobile import tracks
from sandbox.mobile.call import Call
from sandbox.mobile.dialogs import order_row
from sandbox.mobile.envelope import Answer
from sandbox.world.clock import DAY
from sandbox.world.model import Message, Order, StoredFile, Track, User

INBOX, TRACK = 9, 10  # `entity_type` [SPEC]


def conversation_id(message_id: int) -> int:
    """One numbering for chat messages (even) and order tracks (odd)."""
    return message_id * 2


def message_row(call: Call, message: Message, page: int) -> dict[str, Any]:
    """An ordinary message has `type: null` [SPEC, in words]; an order's number comes as a string [CODE]."""
    author, reader = call.world.users[message.from_id], call.world.users[message.to_id]
    row = _sides(call, author, reader) | {
        "message_id": message.id,
        "message": message.text,
        "time": int(message.at),
        "unread": message.unread,
        "type": None if message.type == "text" else message.type,
        "status": message.status,
        "forwarded": False,
        "updated_at": int(message.updated_at) if message.updated_at else None,
        "warning_type": "",
        "countup": None,
        "files": [file_row(call, file) for file in message.files],
        "message_page": page,
    }
    if message.order_id:
        row["created_order_id"] = str(message.order_id)
    quoted = _quoted(call, message)
    if quoted:
        row["quote"] = _quote(quoted)
    if message.type.startswith("custom_request"):
        seconds = None if message.duration is None else str(message.duration * DAY)
        row["custom_request"] = {"budget": str(message.budget or 0), "not_available_for_company": False}
        row["custom_request"] |= {"duration": seconds} if seconds else {}
    return row


def mixed_message_row(call: Call, message: Message, page: int) -> dict[str, Any]:
    """A message as it stands among tracks: with its own key and the common numbering."""
    return message_row(call, message, page) | {
        "conversation_id": conversation_id(message.id),
        "entity_type": INBOX,
        "message_key": message.message_key,
    }


def mixed_track_row(call: Call, order: Order, track: Track, page: int) -> dict[str, Any]:
    author = call.world.users[track.from_id or order.payer_id]
    reader_id = order.payer_id if author.user_id == order.worker_id else order.worker_id
    return _sides(call, author, call.world.users[reader_id]) | {
        "conversation_id": tracks.conversation_id(track.id),
        "message_id": track.id,
        "entity_type": TRACK,
        "message": track.text or tracks.title_of(track.type),
        "time": int(track.at),
        "unread": track.unread,
        "type": "track",
        "status": "active",
        "forwarded": False,
        "updated_at": None,
        "warning_type": "",
        "countup": None,
        "files": [file_row(call, file) for file in track.files],
        "message_page": page,
        "message_key": track.message_key,
        "track_type": track.type,
        "track_order": order_row(order),
    }


def _sides(call: Call, author: User, reader: User) -> dict[str, Any]:
    return {
        "to_id": reader.user_id,
        "to_username": reader.username,
        "to_live_date": int(reader.live_at),
        "from_id": author.user_id,
        "from_username": author.username,
        "from_live_date": int(author.live_at),
        "from_profilepicture": call.picture(author),
        "to_profilepicture": call.picture(reader),
    }


def _quoted(call: Call, message: Message) -> Message | None:
    if message.quote_id is None:
        return None
    sides = ((message.from_id, message.to_id), (message.to_id, message.from_id))
    dialog = next((call.world.dialogs[side] for side in sides if side in call.world.dialogs), None)
    return next((one for one in dialog.messages if one.id == message.quote_id), None) if dialog else None


def _quote(quoted: Message) -> Answer:
    return {
        "reply_conversation_id": conversation_id(quoted.id),
        "reply_message_id": quoted.id,
        "reply_user_id": quoted.from_id,
        "reply_message_displayed_text": quoted.text[:200],
        "reply_message_files": [],
    }


def file_row(call: Call, file: StoredFile) -> Answer:
    return {
        "id": file.id,
        "name": file.name,
        "path": file.path,
        "size": file.size,
        "timestamp": int(file.at),
        "status": "active",
        "file_url": call.file_url(file),
        "is_voice_message": False,
    }
