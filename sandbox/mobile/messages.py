"""Messages of a dialog: pages, the cursor that mixes them with order events, sending, reading marks."""

from __future__ import annotations

from typing import Any

from sandbox.mobile import message_rows, tracks
from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.dialogs import active_orders, may_write, order_row
from sandbox.mobile.envelope import (
    Answer,
    bad_values,
    dialog_forbidden,
    done,
    found,
    listing,
    missing_parameters,
)
from sandbox.mobile.tracks import around_cursor
from sandbox.world import changes, queries
from sandbox.world.model import Message, Order, StoredFile, Track, User
from sandbox.world.order_flow import MESSAGE_TRACK, add_track
from sandbox.world.texts import as_stored

MESSAGES_PER_PAGE = 20  # not known
LONGEST_TEXT = 4000  # the web form's limit [CODE]
MOST_FILES = 10  # [CAP]
MASS_MAILING_AFTER = 5  # equal texts in an hour that bring the warning; the real number is not known
Mixed = tuple[float, int, Message | tuple[Order, Track]]


def inboxes(call: Call) -> Answer:
    """Pages are numbered from the OLDEST; the last one is the newest and full, page 1 may be short [LIVE].

    Without `page` the newest page comes [CODE]."""
    person = _named_user(call)
    messages = _messages(call, person)
    pages = _pages(len(messages))
    asked = call.parameters.integer("page")
    page = pages if asked is None else call.faults.drift().page(max(asked, 1), pages)
    rows = [message_rows.message_row(call, one, page) for one in _page_from_oldest(messages, page)]
    paging = {"page": page, "total": len(messages), "limit": MESSAGES_PER_PAGE, "pages": pages}
    return listing(rows, paging)


def _messages(call: Call, person: User) -> list[Message]:
    dialog = call.world.dialogs.get((call.me().user_id, person.user_id))
    return dialog.messages if dialog else []


def _pages(count: int) -> int:
    return max(1, -(-count // MESSAGES_PER_PAGE))


def _page_from_oldest(messages: list[Any], page: int) -> list[Any]:
    """Cut from the newest end, so that what is left over stands on page 1."""
    end = len(messages) - (_pages(len(messages)) - page) * MESSAGES_PER_PAGE
    return messages[max(0, end - MESSAGES_PER_PAGE) : end] if 0 < end <= len(messages) else []


def _page_of_place(count: int, place: int) -> int:
    return _pages(count) - (count - 1 - place) // MESSAGES_PER_PAGE


def _named_user(call: Call) -> User:
    call.me()
    number = call.parameters.integer("userId")
    if number:
        return call.user(number)
    named = call.world.by_username.get(call.parameters.needed_text("username").lower())
    if named is None:
        raise bad_values()
    return named


def inbox_tracks(call: Call) -> Answer:
    """By `userId` or `username`; the cursor is `lastConversationId` with `direction`, or else `page`."""
    person = _named_user(call)
    everything = _mixed(call, person)
    pages = _pages(len(everything))
    page = call.parameters.integer("page") or pages
    if "page" in call.parameters and "lastConversationId" not in call.parameters:
        chosen = _page_from_oldest(everything, page)
    else:
        chosen = around_cursor(call, everything, "lastConversationId", lambda item: item[1])
    rows = [_mixed_row(call, item, page) for item in chosen]
    paging = {"page": page, "total": len(everything), "limit": MESSAGES_PER_PAGE, "pages": pages}
    beside = {
        "user": {
            "user_id": person.user_id,
            "username": person.username,
            "last_online_timestamp": int(person.live_at),
            "avatar_image_path": call.picture(person),
        },
        "orders": [order_row(order) for order in active_orders(call, person)],
    }
    return listing(rows, paging, **beside)


def _mixed(call: Call, person: User) -> list[Mixed]:
    mixed: list[Mixed] = [
        (one.at, message_rows.conversation_id(one.id), one) for one in _messages(call, person)
    ]
    for order in queries.orders_of(call.world, call.me().user_id):
        if order.payer_id == person.user_id:
            mixed += [(one.at, tracks.conversation_id(one.id), (order, one)) for one in order.tracks]
    return sorted(mixed, key=lambda item: item[:2])


def _mixed_row(call: Call, item: Mixed, page: int) -> dict[str, Any]:
    what = item[2]
    if isinstance(what, Message):
        return message_rows.mixed_message_row(call, what, page)
    return message_rows.mixed_track_row(call, *what, page)


def inbox_message(call: Call) -> Answer:
    """Takes `messageId`; a list of one."""
    wanted, mine = call.parameters.needed_integer("messageId"), call.me().user_id
    for dialog in queries.dialogs_of(call.world, mine):
        for place, message in enumerate(dialog.messages):
            if message.id == wanted:
                page = _page_of_place(len(dialog.messages), place)
                return found([message_rows.message_row(call, message, page) | {"page": page}])
    raise bad_values()


def create(call: Call) -> Answer:
    """Writes to the dialog, or with `order_id` into the order's thread; never drops a repeated `message_key`."""
    person = call.user(call.parameters.needed_integer("user_id"))
    files = call.own_files("uploaded_files")
    text = call.parameters.text("text")
    if not text.strip() and not files:
        raise missing_parameters()
    if len(text) > LONGEST_TEXT or len(files) > MOST_FILES or person.user_id == call.me().user_id:
        raise bad_values()
    if not may_write(call, person):
        raise dialog_forbidden()
    later = call.faults.take("asked", name="expire_time")
    if later:
        raise dialog_forbidden(response={"expire_time": int(later.params.get("seconds", 60))})
    number = call.parameters.integer("order_id")
    return _to_order(call, person, text, files) if number else _to_dialog(call, person, text, files)


def _to_order(call: Call, person: User, text: str, files: list[StoredFile]) -> Answer:
    order = call.order("order_id")
    if {order.worker_id, order.payer_id} != {call.me().user_id, person.user_id}:
        raise bad_values()
    key = call.parameters.text("message_key")
    track = add_track(
        call.world,
        order,
        MESSAGE_TRACK,
        from_id=call.me().user_id,
        text=as_stored(text),
        unread=True,
        files=files,
        message_key=key,
    )
    call.entry.act("track message sent", order_id=order.id, track_id=track.id, message_key=key)
    page = _pages(len(order.tracks))
    return _sent("track", track.id, tracks.conversation_id(track.id), page, track.at, warn=False)


def _to_dialog(call: Call, person: User, text: str, files: list[StoredFile]) -> Answer:
    key = call.parameters.text("message_key")
    message = changes.add_message(
        call.world,
        call.me().user_id,
        person.user_id,
        text,
        files=files,
        quote_id=_quoted_id(call, person),
        message_key=key,
    )
    call.entry.act("message sent", to_id=person.user_id, message_id=message.id, message_key=key)
    page, number = _pages(len(_messages(call, person))), message_rows.conversation_id(message.id)
    return _sent("message", message.id, number, page, message.at, warn=_looks_like_mailing(call, message))


def _quoted_id(call: Call, person: User) -> int | None:
    wanted = call.parameters.integer("reply_message_id")
    if wanted and all(one.id != wanted for one in _messages(call, person)):
        raise bad_values()
    return wanted or None


def _looks_like_mailing(call: Call, message: Message) -> bool:
    own = queries.dialogs_of(call.world, message.from_id)
    same = (
        one
        for dialog in own
        for one in dialog.messages
        if one.from_id == message.from_id and one.text == message.text and one.at > call.now - 3600
    )
    return sum(1 for _ in same) > MASS_MAILING_AFTER


def _sent(kind: str, number: int, conversation: int, page: int, at: float, *, warn: bool) -> Answer:
    return found(
        {
            "id": number,
            "conversation_id": conversation,
            "type": kind,
            "page": page,
            "time": int(at),
            "mass_mailing_notification": warn,
        }
    )


def inbox_read(call: Call) -> Answer:
    """Takes `user_id`; with `messages[]` only those."""
    person = call.user(call.parameters.needed_integer("user_id"))
    wanted = set(call.parameters.integers("messages"))
    if not wanted:
        changes.mark_read(call.world, call.me().user_id, person.user_id)
    for message in _messages(call, person):
        if message.id in wanted and message.to_id == call.me().user_id:
            message.unread = False
    call.world.changed()
    call.entry.act("dialog marked read", user_id=person.user_id)
    return done()


def mark_tracks_read(call: Call) -> Answer:
    """Takes `userId` and `conversationIds[]`, of messages and order events alike."""
    person = call.user(call.parameters.needed_integer("userId"))
    wanted = set(call.parameters.integers("conversationIds"))
    if not wanted:
        raise missing_parameters()
    for _, number, what in _mixed(call, person):
        item = what if isinstance(what, Message) else what[1]
        if number in wanted and item.from_id != call.me().user_id:
            item.unread = False
    call.world.changed()
    return done()


METHODS: Methods = {
    "inboxes": Method(inboxes),
    "getInboxTracks": Method(inbox_tracks),
    "inboxMessage": Method(inbox_message),
    "inboxCreate": Method(create),
    "inboxRead": Method(inbox_read),
    "markInboxTracksAsRead": Method(mark_tracks_read),
}
