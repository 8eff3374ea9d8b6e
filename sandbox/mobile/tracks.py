"""The thread of an order: messages and events, read by a cursor.

Numbers of event types and what they mean: FACTS A6 [CAP]; 0 for a plain message is the stand-in's own.
"""

from __future__ import annotations

from typing import Any

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, Item, bad_values, done, found, object_or_list
from sandbox.world import model
from sandbox.world.model import Order, StoredFile, Track
from sandbox.world.order_flow import TAKE_WITHIN
from sandbox.world.track_titles import TITLES

TRACKS_PER_CALL = 20  # not known
MAX_PER_CALL = 100
_ACTIONS = {22: "delete_cancel_request", 31: "confirm_cancel_request", 69: "accept_stages"}


def title_of(kind: int) -> str:
    return TITLES.get(kind, "Событие заказа" if kind else "Сообщение")


def conversation_id(track_id: int) -> int:
    """One numbering for chat messages (even) and order tracks (odd)."""
    return track_id * 2 + 1


def get_tracks(call: Call) -> Answer:
    order = call.order("orderId")
    chosen = around_cursor(call, order.tracks, "trackId", lambda track: track.id)
    return found({"messages": [row(call, order, track) for track in chosen], "review": []})


def around_cursor(call: Call, items: list[Item], cursor_name: str, key: Any) -> list[Item]:
    """`items` oldest first; the cursor itself is left out except with `around`. Without one, the newest."""
    limit = call.parameters.integer("limit") or TRACKS_PER_CALL
    direction = call.parameters.text("direction") or "before"
    cursor = call.parameters.integer(cursor_name)
    if direction not in ("before", "after", "around") or not 0 < limit <= MAX_PER_CALL:
        raise bad_values()
    if not cursor:
        return items[-limit:]
    place = next((number for number, item in enumerate(items) if key(item) == cursor), None)
    if place is None:
        raise bad_values()
    if direction == "before":
        return items[max(0, place - limit) : place]
    if direction == "after":
        return items[place + 1 : place + 1 + limit]
    start = max(0, place - limit // 2)
    return items[start : start + limit]


def row(call: Call, order: Order, track: Track) -> dict[str, Any]:
    author = call.world.users.get(track.from_id) if track.from_id else None
    answer: dict[str, Any] = {
        "id": track.id,
        "sent_timestamp": int(track.at),
        "text": track.text,
        "from_id": track.from_id,
        "from_name": author.username if author else None,
        "files": [_file(call, file) for file in track.files],
        "conversation_id": conversation_id(track.id),
        "is_unread": track.unread,
        "updated_at": int(track.at),
        "quote": [],
        "type": track.type,
        "status": "active",
        "title": title_of(track.type),
        "message_key": track.message_key,
        "actions": _actions(call, order, track),
        "extras": [],
        "stages": [_stage(stage) for stage in order.stages if stage.id in track.stage_ids],
        "misc_track_params": object_or_list(_extras(order, track)),
    }
    if track.type in (23, 25) and not order.in_work and order.status == model.IN_WORK:
        answer["auto_cancel_deadline"] = int(order.created + TAKE_WITHIN)
    if track.type in (22, 31, 32) and track.deadline:
        answer["auto_completion_time"] = int(track.deadline)
    return answer


def _extras(order: Order, track: Track) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if track.progress is not None:
        extras["order_progress"] = track.progress
    if track.type in (9, 18, 27, 22, 31):
        extras["is_rating_affected"] = track.type in (9, 27)
        extras["reason_type"] = order.cancel_reason
    if track.type == 69 and order.suggestion:
        extras["stage_offers_duration_in_days"] = order.suggestion.days
        extras["stage_offers"] = [
            {"id": number, "title": stage.title, "amount": stage.price}
            for number, stage in enumerate(order.suggestion.stages, 1)
        ]
    return extras


def _actions(call: Call, order: Order, track: Track) -> list[Answer]:
    """`data` of an action is an empty object, hence `[]`."""
    is_seller = order.worker_id == call.me().user_id
    if track.type in (23, 25) and is_seller and order.status == model.IN_WORK and not order.in_work:
        return [{"id": "inprogress", "data": []}]
    asked = (track.type in (22, 31) and order.is_cancel_request) or (track.type == 69 and order.suggestion)
    return [{"id": _ACTIONS[track.type], "data": []}] if asked else []


def _stage(stage: model.Stage) -> Answer:
    return {
        "id": stage.id,
        "title": stage.title,
        "amount": stage.price,
        "status": stage.status,
        "number": stage.number,
        "currency_id": 643,
        "progress": stage.progress,
    }


def _file(call: Call, file: StoredFile) -> Answer:
    return {
        "id": file.id,
        "name": file.name,
        "file_url": call.file_url(file),
        "miniature_url": "",
        "size_in_bytes": file.size,
        "path": file.path,
        "status": True,
        "is_voice_message": False,
    }


def track_read(call: Call) -> Answer:
    """Only what the other side wrote becomes read; a stranger's track spoils the whole call."""
    wanted = set(call.parameters.integers("ids"))
    if not wanted:
        call.parameters.needed_text("ids")
    mine = call.me().user_id
    own = [order for order in call.world.orders.values() if mine in (order.worker_id, order.payer_id)]
    known = {track.id: track for order in own for track in order.tracks}
    if not wanted <= known.keys():
        raise bad_values()
    for number in wanted:
        if known[number].from_id != mine:
            known[number].unread = False
    call.world.changed()
    return done()


METHODS: Methods = {
    "getTracks": Method(get_tracks),
    "trackRead": Method(track_read),
}
