"""Profiles: the caller's own and other people's, with reviews and portfolio."""

from __future__ import annotations

from typing import Any

from sandbox.mobile import gigs
from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, bad_values, done, found, listing, unknown_error
from sandbox.world import model
from sandbox.world.model import Account, User
from sandbox.world.queries import dialogs_of, offers_of, orders_of
from sandbox.world.texts import as_stored

USERS_PER_PAGE = 10
REVIEWS_PER_PAGE = 12  # not known
PORTFOLIO_PER_PAGE = 12  # [LIVE]
MOSCOW_TIMEZONE = 13


def actor(call: Call) -> Answer:
    """Numbers as they came live; `total_amount` and `worker_status` are known from the spec only."""
    account = call.me()
    unread = [dialog.unread_count() for dialog in _dialogs(call, account)]
    answer = _profile(call, account) | {
        "email": account.email,
        "type": "worker" if account.is_worker else "payer",
        "verified": True,
        "total_amount": account.free_amount + account.hold_amount,
        "hold_amount": account.hold_amount,
        "free_amount": account.free_amount,
        "currency": "RUB",
        "inbox_archive_count": sum(dialog.archived for dialog in _dialogs(call, account)),
        "unread_dialog_count": sum(count > 0 for count in unread),
        "notify_unread_count": sum(unread),
        "red_notify": any(unread),
        "warning_inbox_count": 0,
        "app_notify_count": sum(unread),
        "unread_messages_count": sum(unread),
        "country_id": 1,
        "city_id": 1,
        "timezone_id": MOSCOW_TIMEZONE,
        "allow_mobile_push": True,
        "is_more_payer": False,
        "favourite_kworks_count": 0,
        "hidden_kworks_count": 0,
        "kworks_available_at_weekends": True,
        "worker_status": "free" if account.takes_orders else "busy",
        "has_offers": _offers_count(call, account) > 0,
        "wants_count": 0,
        "offers_count": _offers_count(call, account),
        "archived_wants_count": 0,
        "pushNotificationsSoundAllowed": True,
    }
    return found(answer)


def actor_info(call: Call) -> Answer:
    account = call.me()
    return found(
        {
            "id": account.user_id,
            "username": account.username,
            "avatar_path": f"/files/avatar/big/{account.picture}",
            "about_me_text": account.about,
            "fullname": account.fullname,
            "cover_path": "",
            "profession": account.profession or None,
            "type": "worker" if account.is_worker else "payer",
            "total_amount": account.free_amount + account.hold_amount,
            "currency": "RUB",
            "country_id": 1,
            "city_id": 1,
            "timezone_id": MOSCOW_TIMEZONE,
            "kworks_count": len(gigs.public_gigs(call, account.user_id)),
            "favourite_kworks_count": 0,
            "hidden_kworks_count": 0,
            "worker_status": "free" if account.takes_orders else "busy",
            "offers_count": _offers_count(call, account),
            "archived_wants_count": 0,
            "allow_mobile_push": True,
            "push_notifications_sound_allowed": True,
            "verified": True,
            "black_friday_for_sellers": False,
        }
    )


def user(call: Call) -> Answer:
    return found(_public(call, call.user(call.parameters.needed_integer("id"))))


def user_by_name(call: Call) -> Answer:
    named = call.world.by_username.get(call.parameters.needed_text("username").lower())
    if named is None:
        raise bad_values()
    return found(_public(call, named))


def user_search(call: Call) -> Answer:
    query = call.parameters.needed_text("query").lower()
    hits = [one for one in call.world.users.values() if query in one.username.lower()]
    rows, paging = call.window(sorted(hits, key=lambda one: one.username), USERS_PER_PAGE)
    return listing([gigs.short_user(call, one) for one in rows], paging)


def user_info(call: Call) -> Answer:
    """Answers an unknown error for plain ids [LIVE: FACTS B4]."""
    raise unknown_error()


def _profile(call: Call, person: User) -> dict[str, Any]:
    own_gigs = gigs.public_gigs(call, person.user_id)
    return {
        "id": person.user_id,
        "username": person.username,
        "status": "active",
        "profilepicture": call.picture(person),
        "description": person.about,
        "slogan": person.slogan,
        "fullname": person.fullname,
        "level_description": "Продавец" if own_gigs else "Новичок",
        "cover": "",
        "good_reviews": person.reviews_good,
        "bad_reviews": person.reviews_bad,
        "reviews_count": person.reviews_good + person.reviews_bad,
        "location": person.location,
        "rating": f"{person.rating:.1f}",  # a number that comes as a string [LIVE]
        "rating_count": person.reviews_good + person.reviews_bad,
        "addtime": int(person.registered_at),
        "achievments_list": [achievement(call, badge) for badge in person.badges],
        "completed_orders_count": len(orders_of(call.world, person.user_id, "completed")),
        "profession": person.profession or None,
        "kworks_count": len(own_gigs),
        "kworks": [gigs.card(call, gig) for gig in own_gigs],
        "portfolio_list": [],
        "reviews": [],
    }


def _public(call: Call, person: User) -> dict[str, Any]:
    dialog = _dialog_with(call, person)
    return _profile(call, person) | {
        "online": person.is_online,
        "live_date": int(person.live_at),
        "custom_request_min_budget": 500,
        "is_allow_custom_request": True,
        "order_done_persent": 98,
        "order_done_intime_persent": 97,
        "order_done_repeat_persent": 30,
        "timezoneId": MOSCOW_TIMEZONE,
        "blocked_by_user": bool(dialog and dialog.blocked),
        "allowedDialog": dialog.allowed if dialog else True,
    }


def achievement(call: Call, badge: model.Badge) -> Answer:
    return {
        "id": badge.id,
        "name": badge.title,
        "description": badge.description,
        "image_url": f"{call.web_url}/images/badge/{badge.id}s.png",
    }


def _dialogs(call: Call, account: Account) -> list[model.Dialog]:
    return dialogs_of(call.world, account.user_id)


def _dialog_with(call: Call, person: User) -> model.Dialog | None:
    return call.world.dialogs.get((call.account.user_id, person.user_id)) if call.account else None


def _offers_count(call: Call, account: Account) -> int:
    return len(offers_of(call.world, account.user_id))


def user_reviews(call: Call) -> Answer:
    """The world has counts of reviews but no texts, so the list is made from finished orders."""
    person = call.user(call.parameters.needed_integer("user_id"))
    wanted = call.parameters.needed_text("type")
    if wanted not in ("positive", "negative", "all"):
        raise bad_values()
    praised = [] if wanted == "negative" else orders_of(call.world, person.user_id, "completed")
    rows, paging = call.window(praised, REVIEWS_PER_PAGE)
    return listing([_review(call, order) for order in rows], paging)


def _review(call: Call, order: model.Order) -> Answer:
    writer = call.world.users[order.payer_id]
    return {
        "id": order.id % 1_000_000,
        "time_added": int(order.done_at or order.created),
        "text": "Всё сделано как договаривались.",
        "auto_mode": None,
        "good": True,
        "bad": False,
        "kwork": {"id": order.gig_id or 0, "title": order.title, "active": 1, "feat": True},
        "writer": {
            "id": writer.user_id,
            "username": writer.username,
            "profilepicture": call.picture(writer),
        },
    }


def portfolio(call: Call) -> Answer:
    """Nobody in this world has a portfolio: `response` holds an empty list and its paging [SPEC]."""
    call.user(call.parameters.needed_integer("user_id"))
    call.parameters.needed_text("category_id")
    _, paging = call.window([], PORTFOLIO_PER_PAGE)
    return found({"portfolio": [], "paging": paging})


def save_note(call: Call) -> Answer:
    person = call.user(call.parameters.needed_integer("user_id"))
    call.me().notes[person.user_id] = as_stored(call.parameters.text("note"))
    call.world.changed()
    return done()


def delete_note(call: Call) -> Answer:
    call.me().notes.pop(call.parameters.needed_integer("user_id"), None)
    call.world.changed()
    return done()


METHODS: Methods = {
    "actor": Method(actor),
    "getActorInfo": Method(actor_info),
    "user": Method(user, is_open=True),
    "userByUsername": Method(user_by_name, is_open=True),
    "userSearch": Method(user_search, is_open=True),
    "getUserInfo": Method(user_info, is_open=True),
    "userReviews": Method(user_reviews),
    "portfolioList": Method(portfolio, is_open=True),
    "saveUserNote": Method(save_note),
    "deleteUserNote": Method(delete_note),
}
