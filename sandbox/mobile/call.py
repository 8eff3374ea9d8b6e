"""One call of a mobile method as its handler sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.responses import Response

from sandbox.faults import RequestFaults
from sandbox.journal import Entry
from sandbox.mobile.envelope import Answer, Item, bad_values, page_of, sign_in_needed
from sandbox.mobile.parameters import Parameters
from sandbox.world.model import Account, Order, StoredFile, User
from sandbox.world.queries import settle_now_and_then
from sandbox.world.world import World


@dataclass(frozen=True)
class Call:
    """Everything a handler may use. `web_url` is the address of the web surface, without a slash at the end."""

    world: World
    parameters: Parameters
    web_url: str
    entry: Entry
    faults: RequestFaults
    account: Account | None = None

    @property
    def now(self) -> float:
        return self.world.clock.now()

    def me(self) -> Account:
        if self.account is None:
            raise sign_in_needed()
        return self.account

    def user(self, user_id: int) -> User:
        user = self.world.users.get(user_id)
        if user is None:
            raise bad_values()
        return user

    def order(self, name: str) -> Order:
        """The order named by a parameter; a stranger's order answers like one that does not exist."""
        settle_now_and_then(self.world)
        order = self.world.orders.get(self.parameters.needed_integer(name))
        if order is None or self.me().user_id not in (order.worker_id, order.payer_id):
            raise bad_values()
        return order

    def sold_order(self, name: str) -> Order:
        """As `order`, but only one the caller has to do."""
        order = self.order(name)
        if order.worker_id != self.me().user_id:
            raise bad_values()
        return order

    def window(self, items: Sequence[Item], limit: int) -> tuple[list[Item], Answer]:
        """The page that was asked for, and its `paging`."""
        last = max(1, -(-len(items) // limit))
        asked = self.faults.drift().page(self.parameters.page(), last)
        rows, paging = page_of(items, asked, limit)
        return rows, paging | {"page": self.parameters.page()}

    def own_files(self, name: str) -> list[StoredFile]:
        """Files uploaded before by the caller or without a token, named by a parameter `name[]`."""
        owners = (self.me().user_id, 0)
        files = [self.world.files.get(number) for number in self.parameters.integers(name)]
        if any(file is None or file.owner_id not in owners for file in files):
            raise bad_values()
        return [file for file in files if file]

    def picture(self, user: User) -> str:
        return f"{self.web_url}/files/avatar/big/{user.picture}"

    def file_url(self, file: StoredFile) -> str:
        return self.web_url + file.path


Handler = Callable[[Call], Answer | Response]


@dataclass(frozen=True)
class Method:
    """A method of the surface; `is_open` ones need the app's key only [LIVE: FACTS B4]."""

    handler: Handler
    is_open: bool = False


Methods = dict[str, Method]
