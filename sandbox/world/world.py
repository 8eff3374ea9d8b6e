"""The world as one object: everything that exists, indexed, with a revision that grows on each change."""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from sandbox.world.categories import build_categories
from sandbox.world.clock import Clock
from sandbox.world.model import (
    Account,
    Category,
    Dialog,
    Gig,
    Message,
    Offer,
    Order,
    Project,
    StoredFile,
    Track,
    User,
)
from sandbox.world.sessions import Sessions


@dataclass(frozen=True, slots=True)
class Size:
    """How big a world to make. `orders` go to the first account, the others get a share of a sixth."""

    seed: int = 7
    projects: int = 571
    orders: int = 120
    accounts: int = 2
    gigs: int = 12
    dialogs: int = 24


@dataclass(slots=True)
class World:
    """Holds state only; see `queries`, `changes` and `order_flow` for what can be done with it."""

    size: Size
    clock: Clock
    random: Random
    sessions: Sessions
    categories: list[Category] = field(default_factory=build_categories)
    accounts: dict[int, Account] = field(default_factory=dict)
    users: dict[int, User] = field(default_factory=dict)  # accounts are in here as well
    projects: dict[int, Project] = field(default_factory=dict)
    offers: dict[int, Offer] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    gigs: dict[int, Gig] = field(default_factory=dict)
    dialogs: dict[tuple[int, int], Dialog] = field(default_factory=dict)  # (account id, user id)
    files: dict[int, StoredFile] = field(default_factory=dict)
    offer_drafts: dict[tuple[int, int], str] = field(default_factory=dict)  # (account id, project id)
    revision: int = 0
    ids: dict[str, itertools.count] = field(default_factory=dict)
    by_username: dict[str, User] = field(default_factory=dict)
    listed: tuple[tuple[int, int], list[Project]] | None = None  # the exchange's list, kept by `queries`
    active_wants: tuple[int, dict[int, int]] | None = None  # listed projects per buyer, kept by the web
    settled_at: float = 0.0
    on_message: Callable[[Message], None] | None = None  # told of what people write
    on_track: Callable[[Order, Track], None] | None = None  # and of what happens to orders

    def changed(self) -> None:
        self.revision += 1

    def next_id(self, kind: str) -> int:
        return next(self.ids[kind])

    def add_user(self, user: User) -> None:
        self.users[user.user_id] = user
        self.by_username[user.username.lower()] = user
        if isinstance(user, Account):
            self.accounts[user.user_id] = user

    def new_file(self, name: str, owner_id: int, content: bytes | None = None, size: int = 0) -> StoredFile:
        number = self.next_id("file")
        digest = hashlib.md5(f"{self.size.seed}:{number}:{name}".encode()).hexdigest()
        length = size if content is None else len(content)
        stored = StoredFile(number, name, length, self.clock.now(), owner_id, digest, content=content)
        self.files[number] = stored
        return stored


def empty_world(size: Size, clock: Clock) -> World:
    random = Random(size.seed)
    world = World(size, clock, random, Sessions(clock, Random(f"sessions-{size.seed}-{clock.now()}")))
    starts = {
        "project": 3_240_200,
        "user": 16_500_000,
        "order": 5_512_000,
        "track": 90_100_000,
        "stage": 310_000,
        "gig": 41_200_000,
        "message": 77_300_000,
        "dialog": 8_800_000,
        "offer": 24_700_000,
        "file": 60_500_000,
    }
    world.ids = {kind: itertools.count(start + 1) for kind, start in starts.items()}
    return world
