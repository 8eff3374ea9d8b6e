"""Gigs (кворки): cards, groups, details, start and pause."""

from __future__ import annotations

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.catalog import category_of
from sandbox.mobile.envelope import Answer, bad_values, done, found, listing
from sandbox.world import model
from sandbox.world.changes import set_gig_running
from sandbox.world.model import Gig, User
from sandbox.world.queries import gigs_of, orders_of

GIGS_PER_PAGE = 10  # [LIVE] for userKworks

# Eight groups; 0, 1, 2 and 7 are known [LIVE], a paused gig is told by the word «пауз» or «останов» in the name.
GROUPS = (
    (0, "Все"),
    (model.GIG_ACTIVE, "Активные"),
    (model.GIG_MODERATION, "На модерации"),
    (model.GIG_NEEDS_FIXES, "Требуют исправления"),
    (model.GIG_PAUSED, "Остановленные"),
    (model.GIG_REJECTED, "Отклонённые"),
    (model.GIG_DRAFT, "Черновики"),
    (6, "Удалённые"),
)
_NAMES = dict(GROUPS)


def public_gigs(call: Call, user_id: int) -> list[Gig]:
    return gigs_of(call.world, user_id, model.GIG_ACTIVE)


def short_user(call: Call, person: User) -> Answer:
    return {
        "id": person.user_id,
        "username": person.username,
        "fullname": person.fullname,
        "profilepicture": call.picture(person),
        "rating": person.rating,
        "reviews_count": person.reviews_good + person.reviews_bad,
        "rating_count": person.reviews_good + person.reviews_bad,
        "is_online": person.is_online,
    }


def card(call: Call, gig: Gig) -> Answer:
    category = category_of(call, gig.category_id)
    return {
        "id": gig.id,
        "category_id": gig.category_id,
        "category_name": category.title if category else "",
        "classification_id": category.attributes[0].id if category and category.attributes else 0,
        "status_id": gig.group,
        "status_name": _NAMES[gig.group],
        "title": gig.title,
        "image_url": gig.photo,
        "price": gig.price,
        "is_price_from": True,
        "is_best": False,
        "is_hidden": False,
        "is_favorite": False,
        "is_viewed": False,
        "isSubscription": False,
        "lang": "ru",
        "order": 0,
        "worker": short_user(call, call.world.users[gig.account_id]),
        "edits_list": ["Описание"] if gig.group == model.GIG_NEEDS_FIXES else [],
        "activity": {"views": gig.views, "orders": gig.orders, "earned": gig.orders * (gig.price - gig.fee)},
        "badges": [],
        "isBlackFriday": False,
        "not_available_for_company": False,
    }


def user_kworks(call: Call) -> Answer:
    """`user_id` is required [LIVE]; strangers see active gigs only, the owner every group."""
    person = call.user(call.parameters.needed_integer("user_id"))
    is_owner = call.account is not None and call.account.user_id == person.user_id
    gigs = gigs_of(call.world, person.user_id) if is_owner else public_gigs(call, person.user_id)
    status, category = call.parameters.integer("status_id"), call.parameters.integer("category_id")
    if is_owner and status:
        gigs = [gig for gig in gigs if gig.group == status]
    if category:
        gigs = [gig for gig in gigs if gig.category_id == category]
    rows, paging = call.window(gigs, GIGS_PER_PAGE)
    return listing([card(call, gig) for gig in rows], paging)


def status_list(call: Call) -> Answer:
    """Eight groups with the first page of each; `kworks` is a list, though the spec types one object."""
    gigs = gigs_of(call.world, call.me().user_id)
    answer = []
    for number, name in GROUPS:
        members = [gig for gig in gigs if number in (0, gig.group)]
        first = [card(call, gig) for gig in members[:GIGS_PER_PAGE]]
        answer.append({"id": number, "name": name, "kworks_count": len(members), "kworks": first})
    return found(answer)


def categories_list(call: Call) -> Answer:
    person = call.user(call.parameters.needed_integer("user_id"))
    by_category: dict[int, list[Gig]] = {}
    for gig in public_gigs(call, person.user_id):
        by_category.setdefault(gig.category_id, []).append(gig)
    answer = []
    for number, gigs in by_category.items():
        category = category_of(call, number)
        cards = [card(call, gig) for gig in gigs[:GIGS_PER_PAGE]]
        name = category.title if category else ""
        answer.append({"id": number, "name": name, "kworks_count": len(gigs), "kworks": cards})
    return found(answer)


def details(call: Call) -> Answer:
    """Takes `id`, not `kwork_id` [LIVE]. The spec calls the id a string; a number comes."""
    gig = call.world.gigs.get(call.parameters.needed_integer("id"))
    is_owner = gig is not None and call.account is not None and gig.account_id == call.account.user_id
    if gig is None or not (is_owner or gig.group == model.GIG_ACTIVE):
        raise bad_values()
    seller = call.world.users[gig.account_id]
    return found(
        {
            "id": gig.id,
            "kwork_link": f"{call.web_url}/kwork/{gig.id}",
            "image_url": gig.photo,
            "default_kwork_price": gig.price,
            "is_subscription": False,
            "term": str(gig.days),
            "orders_in_queue_count": gig.queue,
            "kwork_in_favorites_count": 0,
            "kwork_title": gig.title,
            "kwork_description": gig.description,
            "category": gig.category_id,
            "portfolio_items": [],
            "portfolio_items_count": 0,
            "short_user_info": _seller(call, seller),
            "badges": [],
            "packages": [],
            "additional_options": [],
            "files": [],
            "is_hidden": False,
            "is_favorite": False,
            "links_sites_count": 0,
            "links_sites": [],
            "reject_fields_string": "",
            "common_reject_reason": None,
            "is_kwork_rejected_with_spam_reason": False,
            "feat": int(gig.group == model.GIG_ACTIVE),
            "active": int(gig.group in (model.GIG_ACTIVE, model.GIG_PAUSED)),
        }
    )


def _seller(call: Call, seller: User) -> Answer:
    return short_user(call, seller) | {
        "description": seller.about,
        "good_reviews": seller.reviews_good,
        "bad_reviews": seller.reviews_bad,
        "level": "Продавец",
        "location": seller.location,
        "order_done_count": len(orders_of(call.world, seller.user_id, "completed")),
        "answer_time": "1 ч.",
        "registration_time": int(seller.registered_at),
        "achievments_list": [],
        "is_cashless_payment_available": True,
    }


def start(call: Call) -> Answer:
    _run(call, running=True)
    return found([{"message": "Кворк активирован"}])


def pause(call: Call) -> Answer:
    _run(call, running=False)
    return done()


def _run(call: Call, *, running: bool) -> None:
    """Takes `kwork_id` [SPEC]; starting what runs or pausing what is paused changes nothing and is no error."""
    gig = call.world.gigs.get(call.parameters.needed_integer("kwork_id"))
    if gig is None or gig.account_id != call.me().user_id or not set_gig_running(call.world, gig, running):
        raise bad_values()
    call.entry.act("gig started" if running else "gig paused", gigs=[gig.id])


METHODS: Methods = {
    "userKworks": Method(user_kworks, is_open=True),
    "kworksStatusList": Method(status_list),
    "kworksCategoriesList": Method(categories_list, is_open=True),
    "getKworkDetails": Method(details, is_open=True),
    "startKwork": Method(start),
    "pauseKwork": Method(pause),
}
