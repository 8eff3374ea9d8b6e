"""Questions to the world: filters, paging, who owns what."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sandbox.world.model import (
    CANCELLED,
    DONE,
    IN_WORK,
    ON_CHECK,
    PAYMENT_DUE,
    Account,
    Category,
    Dialog,
    Gig,
    Offer,
    Order,
    Project,
    StoredFile,
)
from sandbox.world.order_flow import settle
from sandbox.world.world import World

T = TypeVar("T")

PRICE_BUCKETS = ((0, 1000), (1000, 3000), (3000, 10000), (10000, 30000), (30000, math.inf))  # ends inclusive
OFFER_BUCKETS = ((0, 5), (5, 10), (10, 15), (15, 20), (20, math.inf))

# How orders fall into the lists of both surfaces.
ORDER_FILTERS: dict[str, tuple[int, ...]] = {
    "all": (1, 2, 3, 4, 5, 6),
    "active": (1, 2),
    "delivered": (ON_CHECK,),
    "completed": (DONE,),
    "cancelled": (CANCELLED,),
    "unpaid": (PAYMENT_DUE,),
    "awaiting_receipt": (),
}


@dataclass(frozen=True, slots=True)
class ProjectFilter:
    """Prices in roubles, `offers_*` inclusive numbers of offers made, buckets by their number."""

    categories: frozenset[int] | None = None  # rubrics or subrubrics; None: the whole exchange
    keyword: str = ""
    price_from: int | None = None
    price_to: int | None = None
    hiring_from: int | None = None
    offers_from: int | None = None
    offers_to: int | None = None
    price_buckets: frozenset[int] = frozenset()
    offer_buckets: frozenset[int] = frozenset()
    attributes: frozenset[int] = frozenset()
    user_id: int | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`last` is at least 1; a page beyond it holds no items."""

    items: Sequence[T]
    number: int
    last: int
    total: int
    size: int


def page_of(items: Sequence[T], number: int, size: int) -> Page[T]:
    start = (number - 1) * size
    return Page(items[start : start + size], number, max(1, math.ceil(len(items) / size)), len(items), size)


def categories_by_id(world: World) -> dict[int, Category]:
    return {c.id: c for root in world.categories for c in (root, *root.children)}


def is_listed(world: World, project: Project) -> bool:
    return project.status == "active" and world.clock.now() < project.date_expire


def listed_projects(world: World, wanted: ProjectFilter | None = None) -> list[Project]:
    """What the exchange shows, newest `date_active` first; expired ones are gone."""
    now = world.clock.now()
    key = (world.revision, int(now))
    if world.listed is None or world.listed[0] != key:
        alive = [p for p in world.projects.values() if p.status == "active" and now < p.date_expire]
        alive.sort(key=lambda p: (-p.date_active, -p.id))
        world.listed = (key, alive)
    everything = world.listed[1]
    if wanted is None or wanted == ProjectFilter():
        return everything
    parents = {c.id: c.parent_id for c in categories_by_id(world).values()}
    return [p for p in everything if _matches(world, p, wanted, parents)]


def _matches(world: World, p: Project, f: ProjectFilter, parents: dict[int, int | None]) -> bool:
    if f.categories is not None and not f.categories & {p.category_id, parents.get(p.category_id)}:
        return False
    if f.keyword and f.keyword.lower() not in f"{p.name} {p.description}".lower():
        return False
    if f.attributes and not f.attributes & set(p.attribute_ids):
        return False
    if f.user_id is not None and p.user_id != f.user_id:
        return False
    return (
        _within(p.price_limit, f.price_from, f.price_to)
        and _within(p.kwork_count, f.offers_from, f.offers_to)
        and _within(world.users[p.user_id].hired_percent, f.hiring_from, None)
        and _in_buckets(p.price_limit, f.price_buckets, PRICE_BUCKETS)
        and _in_buckets(p.kwork_count, f.offer_buckets, OFFER_BUCKETS)
    )


def _within(value: int, low: int | None, high: int | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)


def _in_buckets(value: int, chosen: frozenset[int], buckets: tuple[tuple[float, float], ...]) -> bool:
    return not chosen or any(buckets[n][0] <= value <= buckets[n][1] for n in chosen if n < len(buckets))


def bucket_counts(projects: Sequence[Project]) -> tuple[list[int], list[int]]:
    """Projects per price bucket and per offers bucket; a value on an edge counts in both."""
    prices = [sum(low <= p.price_limit <= high for p in projects) for low, high in PRICE_BUCKETS]
    offers = [sum(low <= p.kwork_count <= high for p in projects) for low, high in OFFER_BUCKETS]
    return prices, offers


def orders_of(world: World, account_id: int, kind: str = "all") -> list[Order]:
    """The account's own orders, newest first; an unknown `kind` counts as all."""
    settle_now_and_then(world)
    statuses = ORDER_FILTERS.get(kind, ORDER_FILTERS["all"])
    own = [o for o in world.orders.values() if o.worker_id == account_id and o.status in statuses]
    return sorted(own, key=lambda o: (-o.created, -o.id))


def order_of(world: World, account_id: int, order_id: int) -> Order | None:
    """None for a missing order and for somebody else's alike."""
    settle_now_and_then(world)
    order = world.orders.get(order_id)
    return order if order and order.worker_id == account_id else None


def settle_now_and_then(world: World) -> None:
    now = world.clock.now()
    if abs(now - world.settled_at) >= 1:
        world.settled_at = now
        settle(world)


def order_counts(world: World, account_id: int) -> dict[str, int]:
    own = orders_of(world, account_id)
    return {kind: sum(o.status in statuses for o in own) for kind, statuses in ORDER_FILTERS.items()}


def gigs_of(world: World, account_id: int, group: int | None = None) -> list[Gig]:
    own = [g for g in world.gigs.values() if g.account_id == account_id and group in (None, g.group)]
    return sorted(own, key=lambda g: -g.id)


def dialogs_of(world: World, account_id: int, *, archived: bool | None = None) -> list[Dialog]:
    """Dialogs with messages, the most recently active first."""
    own = [d for (owner, _), d in world.dialogs.items() if owner == account_id and d.messages]
    chosen = [d for d in own if archived is None or d.archived == archived]
    return sorted(chosen, key=lambda d: (-d.messages[-1].at, -d.messages[-1].id))


def offers_of(world: World, account_id: int) -> list[Offer]:
    own = [o for o in world.offers.values() if o.account_id == account_id and o.status != "cancel"]
    return sorted(own, key=lambda o: -o.id)


def offer_on(world: World, account_id: int, project_id: int) -> Offer | None:
    return next((o for o in offers_of(world, account_id) if o.project_id == project_id), None)


def find_account(world: World, login: str) -> Account | None:
    """By e-mail or user name, in any case."""
    wanted = login.strip().lower()
    return next((a for a in world.accounts.values() if wanted in (a.login.lower(), a.username.lower())), None)


def has_active_order(world: World, account_id: int, user_id: int) -> bool:
    return any(
        o.worker_id == account_id and o.payer_id == user_id and o.status in (IN_WORK, ON_CHECK)
        for o in world.orders.values()
    )


def channel_of(world: World, account_id: int) -> str:
    """The name of the account's websocket channel, `cnl_…_<user id>` [CAP]; whoever knows it can listen."""
    return f"cnl_{world.size.seed:08x}_{account_id}"


def is_public_file(world: World, file: StoredFile) -> bool:
    """Files of projects are there for everybody who reads the exchange."""
    return any(one.id == file.id for project in world.projects.values() for one in project.files)


def may_read_file(world: World, account_id: int, file: StoredFile) -> bool:
    """One's own uploads, and what came in one's dialogs and orders."""
    if file.owner_id == account_id:
        return True
    orders = [order for order in world.orders.values() if account_id in (order.worker_id, order.payer_id)]
    attached = [order.files for order in orders] + [track.files for order in orders for track in order.tracks]
    dialogs = [dialog for (owner, _), dialog in world.dialogs.items() if owner == account_id]
    attached += [message.files for dialog in dialogs for message in dialog.messages]
    return any(file.id == one.id for files in attached for one in files)
