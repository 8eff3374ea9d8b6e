"""Dialogs: lists, one, search; whether one may write; typing."""

from __future__ import annotations

from typing import Any

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, bad_values, done, found, listing
from sandbox.world import model, queries
from sandbox.world.model import Dialog, Message, Order, User

DIALOGS_PER_PAGE = 20  # not known; the web page has 50
_LAST_TEXT = 200
_MAY_WRITE, _MUST_ASK, _FORBIDDEN = 1, 2, 3  # codes of `isDialogAllow`, invented


def dialogs(call: Call) -> Answer:
    """Here `unread` is a number, unlike in `getDialog` and `searchDialogs`."""
    account = call.me()
    own = queries.dialogs_of(call.world, account.user_id)
    excluded = set(call.parameters.csv_integers("excludedIds"))
    rows, paging = call.window([one for one in own if one.user_id not in excluded], DIALOGS_PER_PAGE)
    del paging["pages"]
    counts = {
        "unread": sum(one.unread_count() > 0 for one in own),
        "archived": sum(one.archived for one in own),
    }
    return listing([_row(call, one, int) for one in rows], paging, filter_counts=counts)


def get_dialog(call: Call) -> Answer:
    """Takes `id`, the other side's."""
    dialog = call.world.dialogs.get((call.me().user_id, call.parameters.needed_integer("id")))
    if dialog is None or not dialog.messages:
        raise bad_values()
    return found(_row(call, dialog, bool))


def search_dialogs(call: Call) -> Answer:
    """By the other side's name or the text of any message; two characters at least [SPEC]."""
    query = call.parameters.needed_text("query").lower()
    if len(query) < 2:
        raise bad_values()
    excluded = set(call.parameters.csv_integers("excludedIds"))
    hits = [
        one
        for one in queries.dialogs_of(call.world, call.me().user_id)
        if one.user_id not in excluded and _mentions(call, one, query)
    ]
    rows, paging = call.window(hits, DIALOGS_PER_PAGE)
    del paging["pages"]
    return listing([_row(call, one, bool) for one in rows], paging)


def _mentions(call: Call, dialog: Dialog, query: str) -> bool:
    name = call.world.users[dialog.user_id].username.lower()
    return query in name or any(query in message.text.lower() for message in dialog.messages)


def _row(call: Call, dialog: Dialog, unread_as: type) -> dict[str, Any]:
    account, person, last = call.me(), call.world.users[dialog.user_id], dialog.messages[-1]
    unread = dialog.unread_count()
    orders = active_orders(call, person)
    row: dict[str, Any] = {
        "unread": unread_as(unread > 0),
        "unread_count": unread,
        "last_message": last.text[:_LAST_TEXT],
        "time": int(last.at),
        "user_id": person.user_id,
        "username": person.username,
        "profilepicture": call.picture(person),
        "is_online": person.is_online,
        "lastOnlineTime": int(person.live_at),
        "link": f"/inbox/{person.username}",
        "status": "active",
        "blocked_by_user": dialog.blocked,
        "allowedDialog": dialog.allowed,
        "lastMessage": _last(call, last),
        "has_active_order": bool(orders),
        "archived": dialog.archived,
        "isStarred": dialog.starred,
        "countup": -1,
        "has_answer": any(message.from_id == account.user_id for message in dialog.messages),
        "is_allow_custom_request": True,
        "disallowReason": 0 if dialog.allowed else 1,
        "is_important": False,
        "is_spam": False,
        "active_orders": [order_row(order) for order in orders],
        "draft": "",
        "not_available_for_company": False,
        "draft_details": {"message": dialog.draft, "files": []} if dialog.draft else [],
    }
    note = account.notes.get(person.user_id)
    row["note"] = {"posted_timestamp": int(call.now), "text": note} if note else []
    return row


def _last(call: Call, message: Message) -> Answer:
    author = call.world.users[message.from_id]
    return {
        "unread": message.unread,
        "fromUsername": author.username,
        "fromUserId": author.user_id,
        "type": "file" if message.files and not message.text else "text",
        "time": int(message.at),
        "message": message.text[:_LAST_TEXT],
        "profilePicture": call.picture(author),
        "originText": message.text,
    }


def active_orders(call: Call, person: User) -> list[Order]:
    orders = queries.orders_of(call.world, call.me().user_id, "all")
    opened = (model.IN_WORK, model.ON_CHECK, model.ARBITRATION, model.PAYMENT_DUE)
    return [order for order in orders if order.payer_id == person.user_id and order.status in opened]


def order_row(order: Order) -> Answer:
    return {"id": order.id, "title": order.title, "color": order.id % 8, "worker_id": order.worker_id}


def may_write(call: Call, person: User) -> bool:
    dialog = call.world.dialogs.get((call.me().user_id, person.user_id))
    return dialog is None or (dialog.allowed and not dialog.blocked)


def is_dialog_allow(call: Call) -> Answer:
    """Takes `receiverId`."""
    person = call.user(call.parameters.needed_integer("receiverId"))
    dialog = call.world.dialogs.get((call.me().user_id, person.user_id))
    return found(
        {
            "privateMessageStatuses": {"ALLOW": _MAY_WRITE, "NEED_REQUEST": _MUST_ASK, "DENY": _FORBIDDEN},
            "privateMessageStatus": _MAY_WRITE if may_write(call, person) else _FORBIDDEN,
            "showInboxAllowModal": False,
            "isPageNeedSmsVerification": False,
            "isSmsVerified": True,
            "receivedLastOnline": int(person.live_at),
            "isOnline": person.is_online,
            "currentUserTime": int(call.now),
            "isDaytime": True,
            "workTime": "",
            "responseTime": "1 ч.",
            "hasDialog": bool(dialog and dialog.messages),
            "utcOffset": 0,
            "userUtcOffset": 3,
        }
    )


def typing(call: Call) -> Answer:
    call.me()
    call.user(call.parameters.needed_integer("recipientId"))
    return done()


METHODS: Methods = {
    "dialogs": Method(dialogs),
    "getDialog": Method(get_dialog),
    "searchDialogs": Method(search_dialogs),
    "isDialogAllow": Method(is_dialog_allow),
    "typing": Method(typing),
}
