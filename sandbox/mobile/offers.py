"""The caller's own offers to projects. Making one is possible on the web surface only."""

from __future__ import annotations

from sandbox.mobile import exchange
from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, bad_values, done, found
from sandbox.world import changes, queries
from sandbox.world.model import Offer

OFFERS_PER_PAGE = 12  # not known


def offers(call: Call) -> Answer:
    """An account without offers gets `response: []` here, unlike in other lists [LIVE]."""
    account = call.me()
    own = queries.offers_of(call.world, account.user_id)
    rows, paging = call.window(own, OFFERS_PER_PAGE)
    return found([_row(call, one) for one in rows], connects=exchange.connects(account), paging=paging)


def offer(call: Call) -> Answer:
    return found(_row(call, _own_offer(call)))


def delete_offer(call: Call) -> Answer:
    """An offer that became an order stays."""
    own = _own_offer(call)
    if own.order_id is not None:
        raise bad_values()
    changes.delete_offer(call.world, own)
    call.entry.act("offer deleted", offer=own.id)
    return done()


def _own_offer(call: Call) -> Offer:
    own = {one.id: one for one in queries.offers_of(call.world, call.me().user_id)}
    named = own.get(call.parameters.needed_integer("id"))
    if named is None:
        raise bad_values()
    return named


def _row(call: Call, one: Offer) -> Answer:
    project = call.world.projects[one.project_id]
    return {
        "id": one.id,
        "status": one.status,
        "title": one.title,
        "comment": one.description,
        "price": one.price,
        "duration": one.duration,
        "date_create": int(one.created),
        "is_actual": queries.is_listed(call.world, project),
        "is_read": one.is_read,
        "want_id": one.project_id,
        "order_id": one.order_id or 0,
        "kwork_id": 0,
        "project": exchange.card(call, project),
    }


METHODS: Methods = {
    "offers": Method(offers),
    "offer": Method(offer),
    "deleteOffer": Method(delete_offer),
}
