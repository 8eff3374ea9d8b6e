"""Every method of every repository, and what it is asked for: another tenant's things, by each name it takes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import app.repositories
from app.core.database import TenantConnection
from app.core.file_folder import Written
from app.domain.access import Role, Scope
from app.domain.accounts import AccountState
from app.domain.connections import CheckReport, ConnectionMode
from app.domain.crm import Entity
from app.domain.crm_moves import LinkedOrder
from app.domain.events import EventFilter
from app.domain.failures import FailureFilter
from app.domain.kwork import Dialog, Gig, GigState, Message, Order, OrderStatus, Person, Surface
from app.domain.listing import OrderFilter, OrderKind, Window
from app.domain.live import Hint
from app.domain.searches import Match, Rule, SearchFilters
from app.domain.webhooks import Outcome
from app.domain.writes import WriteAction, WriteMode, WriteState
from app.domain.writing import Offer, OfferStatus
from app.repositories.audit import AuditFilter
from app.repositories.chat_list import DialogName
from app.repositories.connections import Connections
from app.repositories.crm_health import HealthNote
from app.repositories.crm_schedule import NamedLead, TakenOfCrm
from app.repositories.deliveries import Outgoing, Settled
from app.repositories.failures import Failures
from app.repositories.files import NewFile
from app.repositories.leases import Lease
from app.repositories.news import Before
from app.repositories.orders import PageReading
from app.repositories.runs import RunFilter
from app.repositories.schedule import Taken
from app.repositories.sealed import SEALED, SealedValue, SealedValues
from app.repositories.searches import SearchDraft
from app.repositories.writes import NewWrite, Writes
from tests.api import Shop

LONG_AGO, MUCH_LATER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
HOLDER = "a worker"
_MADE: dict[str, Callable[[TenantConnection], Any]] = {
    "SealedValues": lambda scope: SealedValues(scope, SEALED[0]),
}
"""Repositories that are made of more than a tenant's scope."""

OF_NO_TENANT = {
    "Attachments.of_project": "projects of the exchange are everybody's",
    "OrderList.projects": "projects of the exchange are everybody's",
    "Offers.begin": "tells the time",
    "Orders.begin": "tells the time",
    "ProjectLeads.take_turns": "waits for a lock, named after the tenant",
    "Searches.take_turns": "waits for a lock, named after the tenant",
    "Writes.lock_account": "waits for a lock, named after the account",
}


@dataclass(frozen=True, slots=True)
class Method:
    """A public method of a class made of a tenant's scope, or a function that takes one."""

    name: str
    call: Callable[..., Awaitable[Any]]
    owner: Callable[..., Any] | None
    parameters: tuple[inspect.Parameter, ...]

    async def run(self, scope: TenantConnection, arguments: Mapping[str, Any]) -> Any:
        """What it gives back, for that tenant."""
        if self.owner is None:
            return await self.call(scope, **arguments)
        return await self.call(self.owner(scope), **arguments)


def methods() -> list[Method]:
    """All there are."""
    found = []
    for module_info in pkgutil.iter_modules(app.repositories.__path__):
        module = importlib.import_module(f"app.repositories.{module_info.name}")
        for name, one in vars(module).items():
            if name.startswith("_") or getattr(one, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(one) and "scope" in _parameters(one.__init__):
                for verb, function in vars(one).items():
                    if not verb.startswith("_") and inspect.iscoroutinefunction(function):
                        given = tuple(inspect.signature(function).parameters.values())[1:]
                        found.append(Method(f"{name}.{verb}", function, _MADE.get(name, one), given))
            elif inspect.iscoroutinefunction(one) and "scope" in _parameters(one):
                given = tuple(inspect.signature(one).parameters.values())[1:]
                found.append(Method(name, one, None, given))
    return found


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # of a builtin's
        return {}


@dataclass(frozen=True, slots=True)
class Things:
    """What the other tenant has, as repositories know it."""

    shop: Shop
    objects: Mapping[str, Any]
    """By the annotations of parameters: read as that tenant."""
    more: Mapping[str, Any]
    """Ids of rows that ``stock`` does not make."""

    @classmethod
    async def of(cls, scope: TenantConnection, shop: Shop, more: Mapping[str, Any]) -> Things:
        """Reads what is given to repositories whole."""
        objects = {
            "Write": await Writes(scope).get(more["unknown_write"]),
            "Confirmed": await Writes(scope).get(more["confirmed"]),
            "ConfirmedParent": await Writes(scope).get(more["confirmed_parent"]),
            "CrmConnection": await Connections(scope).get(shop.connection_id),
            "Failure": (await Failures(scope).by_ids([shop.failure_id]))[0],
        }
        return cls(shop, objects, more)

    def arguments(self, method: Method) -> dict[str, Any]:
        """For each parameter the other tenant's thing. Raises ``LookupError`` where nobody said what that is."""
        return {
            one.name: self._argument(method.name, one)
            for one in method.parameters
            if self._is_needed(method.name, one)
        }

    def _is_needed(self, method: str, one: inspect.Parameter) -> bool:
        known = (method, one.name) in self._special() or one.name in self._by_name()
        return one.default is inspect.Parameter.empty or known

    def _argument(self, method: str, one: inspect.Parameter) -> Any:
        special, names, kinds = self._special(), self._by_name(), self._by_kind()
        if (method, one.name) in special:
            return special[method, one.name]
        if one.name in names:
            return names[one.name]
        kind = str(one.annotation).removesuffix(" | None")
        if kind in kinds:
            return kinds[kind]
        raise LookupError(f"{method}: {one.name}: {one.annotation}")

    def _by_name(self) -> dict[str, Any]:
        shop, more = self.shop, self.more
        return {
            "account_id": shop.account_id,
            "accounts": [shop.account_id],
            "connection_id": shop.connection_id,
            "connection_ids": [shop.connection_id],
            "run_id": shop.run_id,
            "write_id": more["unknown_write"],
            "parent_id": more["parent"],
            "search_id": shop.search_id,
            "webhook_id": shop.webhook_id,
            "delivery_id": shop.delivery_id,
            "dialog_id": shop.dialog_id,
            "move_id": more["move"],
            "file_id": shop.file_id,
            "file_ids": [shop.file_id],
            "order_id": shop.order_id,
            "gig_id": shop.gig_id,
            "offer_id": shop.order_id,
            "offer_ids": [shop.order_id],
            "message_id": shop.order_id,
            "message_ids": [shop.order_id],
            "event_id": 0,
            "project_id": 5,
            "project_ids": [5, 6],
            "ids": [shop.order_id],
            "keys": [f"kwork:order:{shop.order_id}"],
            "key": "key-of-b",
            "external_id": f"kwork:order:{shop.order_id}",
            "external_ids": ["kwork:order:404", "kwork:order:406"],
            "username": shop.partner,
            "usernames": [shop.partner],
            "user_ids": [shop.order_id],
            "kwork_user_id": shop.order_id,
            "subject": f"account/{shop.account_id}",
            "holder": HOLDER,
            "stream": "news",
            "jti": more["jti"],
            "key_id": shop.api_key_id,
            "user_id": str(more["user"]),
            "secret": "a-secret-of-b",
            "attempt": more["attempt"],
            "target": f"order:{shop.order_id}",
            "name": shop.canary,
            "pairs": [(shop.dialog_id, shop.order_id)],
            "limit": 50,
            "offset": 0,
            "seconds": 60.0,
            "keep_seconds": 60.0,
            "keep_days": 0.0,
            "keep_old": 0.0,
            "position": 0,
            "epoch": 7,
            "wait": 1.0,
            "sealed": b"sealed",
            "instead_of": b"sealed",
            "entity": Entity.LEAD,
            "began": MUCH_LATER,
            "seen": [],
            "states": list(WriteState),
            "actions": list(WriteAction),
            "action": WriteAction.MARK_READ,
            "but": None,
            "before": None,
            "after": None,
        }

    def _by_kind(self) -> dict[str, Any]:
        shop = self.shop
        order = LinkedOrder(
            f"kwork:order:{shop.order_id}", "1", shop.account_id, shop.order_id, None, None, None
        )
        return {
            **self.objects,
            "str": "x",
            "int": 1,
            "float": 1.0,
            "bool": False,
            "bytes": b"x",
            "datetime": LONG_AGO,
            "UUID": UUID(int=7),
            "Surface": Surface.MOBILE,
            "Role": Role.VIEWER,
            "AccountState": AccountState.PAUSED,
            "ConnectionMode": ConnectionMode.PAUSED,
            "CheckReport": CheckReport(LONG_AGO, ok=True, steps=()),
            "HealthNote": HealthNote(True, None, None, 0, False, 0, 0.0),
            "LinkedOrder": order,
            "WriteState": WriteState.CANCELLED,
            "OrderFilter": OrderFilter(),
            "Window": Window(50),
            "DialogName": DialogName(UUID(str(shop.dialog_id)), "", None, None),
            "EventFilter": EventFilter(),
            "FailureFilter": FailureFilter(),
            "RunFilter": RunFilter(),
            "Hint": Hint(orders=True),
            "Taken": Taken(Hint(orders=True), None, 0, MUCH_LATER),
            "Lease": Lease(f"account/{shop.account_id}", 1, shop.run_id),
            "Before": Before(shop.account_id, LONG_AGO, {}),
            "Outcome": Outcome(True, 200, "", None, 1),
            "AuditFilter": AuditFilter(),
            "Sequence[Scope]": [Scope.READ],
            "Sequence[NamedLead]": [NamedLead(f"kwork:order:{shop.order_id}", LONG_AGO)],
            "TakenOfCrm": TakenOfCrm(True, None, 0, MUCH_LATER),
            "Collection[str]": ["42"],
            "Mapping[str, tuple[str | None, int]]": {},
            "NewFile": NewFile(UUID(int=8), "x", "text/plain", None, "x"),
            "NewWrite": self._new_write(),
            "SearchDraft": SearchDraft("x", False, SearchFilters(), _RULE, (shop.connection_id,)),
            "Sequence[Dialog]": [Dialog(_PERSON, 9, "x", LONG_AGO)],
            "Sequence[Message]": [Message(shop.order_id, True, "x", LONG_AGO)],
            "Sequence[Gig]": [Gig(shop.gig_id, "x", GigState.PAUSED, None, 1, "RUB", "x")],
            "Sequence[Offer]": [Offer(shop.order_id, 5, "x", 1, "RUB", None, None, state=OfferStatus.CHOSEN)],
            "Sequence[Order]": [Order(shop.order_id, "x", OrderStatus.CANCELLED, 1, "RUB", _PERSON, "x")],
            "PageReading": PageReading(None, True, (), True),
            "SealedValue": SealedValue((shop.account_id,), b"sealed"),
            "Problem": None,
            "Sequence[Outgoing]": [Outgoing(Entity.LEAD, "kwork:order:404", {"name": "x"}, b"x")],
            "Sequence[Settled]": [
                Settled(self.more["in_flight"], "done", "created", "99", b"x"),
                Settled(shop.failure_id, "done", "created", "98", b"x"),
            ],
            "Sequence[Match]": [Match(shop.search_id, 5, "x", (shop.connection_id,))],
            "Sequence[OrderKind]": list(OrderKind),
            "Sequence[str]": [],
            "tuple[str, ...]": (),
            "Mapping[str, Any]": {"note": "x"},
            "dict[str, Any]": {"note": "x"},
            "dict[str, int]": {"read": 1},
            "Mapping[int, Sequence[UUID]]": {5: [UUID(int=1)]},
            "Mapping[int, Outgoing]": {},
            "Sequence[Mapping[str, Any]]": [{"note": "x"}],
            "dict[UUID, Written]": {shop.file_id: Written(3, b"x" * 32)},
        }

    def _new_write(self) -> NewWrite:
        shop = self.shop
        return NewWrite(
            account_id=shop.account_id, action=WriteAction.MARK_READ, target=f"dialog:{shop.order_id}",
            payload={}, payload_hash=b"", actor="x", mode=WriteMode.DIRECT, lives_seconds=60.0,
        )  # fmt: skip

    def _special(self) -> dict[tuple[str, str], Any]:
        shop, more = self.shop, self.more
        return {
            ("Accounts.change_login", "login"): "another",
            ("Accounts.set_identity", "user_id"): 12345,
            ("Attachments.of_message", "file_id"): "77",
            ("Attachments.of_order", "file_id"): "77",
            ("Attachments.of_project", "file_id"): "77",
            ("Failures.by_ids", "ids"): [shop.failure_id],
            ("Failures.wake", "ids"): [shop.failure_id],
            ("Failures.discard", "ids"): [shop.failure_id],
            ("Failures.holder_of", "crm_id"): "42",
            ("Runs.by_ids", "ids"): [shop.run_id],
            ("Runs.open", "stream"): "gigs",
            ("Runs.begin", "run_id"): more["queued_run"],
            ("Runs.give_up", "run_id"): more["queued_run"],
            ("FirstReadings.since", "stream"): "offers",
            ("FirstReadings.done", "stream"): "orders",
            ("OrderList.cards", "number"): shop.order_id,
            ("OrderList.named", "number"): shop.order_id,
            ("sync_status", "receiving"): [shop.connection_id],
            ("CrmNoteMarks.take", "head"): 1,
            ("CrmNoteMarks.known_leads", "keys"): [f"kwork:order:{shop.order_id}"],
            ("CrmLinks.open_orders", "after"): "",
            ("CrmMoves.count", "external_id"): "kwork:order:2",
            ("Accounts.add", "account_id"): UUID(int=9),
            ("Chats.save_messages", "seen"): "x",
            ("CrmProblems.seen", "code"): "rejected",
            ("CrmProblems.seen", "subject"): "lead",
            ("CrmProblems.close", "subject"): "lead",
            ("Connections.named", "name"): shop.canary,
            ("Connections.default", "kind"): "native",
            ("Searches.is_named", "name"): shop.canary,
            ("Webhooks.disable", "code"): "x",
            ("Users.standing", "subject"): str(more["user"]),
            ("Users.add", "email"): "new@example.com",
            ("TenantSettings.group", "name"): "writes",
            ("TenantSettings.change", "name"): "writes",
            ("TenantSettings.change", "values"): {"offers_per_day": 3},
            ("WriteQueue.due", "limit"): 50,
            ("Connections.live", "kind"): "native",
            ("Connections.receiving", "kind"): "native",
            ("CrmProblems.page", "is_open"): None,
            ("CrmNoteMarks.lead_of_dialog", "dialog_id"): shop.dialog_id,
            ("FileRows.finish", "written"): {more["receiving"]: Written(3, b"x" * 32)},
            ("FileRows.over", "stale_seconds"): 60.0,
            ("FileRows.ready_before", "seconds"): -60.0,
            **{
                (f"News.after_{what}", "before"): Before(shop.account_id, LONG_AGO, {})
                for what in ("orders", "thread", "messages", "offers")
            },
            ("Runs.progress", "lease"): Lease(f"account/{shop.account_id}", 1, more["running"]),
            ("Runs.finish", "lease"): Lease(f"account/{shop.account_id}", 1, more["running"]),
            ("WebhookDeliveries.settle", "delivery_id"): more["pending_hook"],
            ("Writes.mark", "write"): self.objects["Confirmed"],
            ("Writes.begin_parent", "write"): self.objects["ConfirmedParent"],
            ("Writes.recent_twin", "new"): replace(
                self._new_write(), action=WriteAction.SEND_MESSAGE, target="dialog:2"
            ),
            ("Orders.moved", "ids"): [shop.order_id],
            ("Writes.get", "write_id"): shop.write_id,
            ("Writes.page", "states"): [],
            ("Writes.page", "action"): None,
            ("Writes.page", "target"): None,
            ("Writes.decide", "write_id"): shop.write_id,
            ("Writes.decide", "came_from"): [WriteState.PREPARED],
            ("Writes.settle", "came_from"): list(WriteState),
            ("Writes.settle", "state"): WriteState.RECONCILED_DONE,
            ("Writes.free_key", "write_id"): more["refused"],
            ("Writes.take", "write_id"): shop.write_id,
            ("Writes.standing_parent", "action"): WriteAction.DELIVER,
            ("Writes.reopen_parent", "write_id"): more["broken_parent"],
            ("Writes.wake", "write_id"): more["parent"],
            ("Offers.find", "statuses"): [],
            ("Offers.find", "project_id"): None,
            ("Orders.appeared", "before"): MUCH_LATER,
            ("Orders.appeared", "after"): LONG_AGO,
            ("Orders.appeared", "beyond"): 0,
            ("WebhookDeliveries.list", "state"): None,
            ("GigList.find", "state"): None,
            ("GigList.find", "text"): None,
            ("ChatList.messages", "before"): None,
            ("CrmSchedule.take", "stream"): "stages",
            ("CrmSchedule.settle", "stream"): "stages",
            ("CrmSchedule.settle", "pause"): 60.0,
            ("CrmProblems.stand", "subject"): "lead",
            ("Connections.at_place", "connection"): replace(
                self.objects["CrmConnection"], id=UUID(int=7), place="the place"
            ),
            ("Users.lock", "email"): "new@example.com",
            ("Users.set_role", "role"): Role.ADMIN,
            ("Users.set_password", "password_hash"): "another",
            ("Audit.following", "after"): 0,
            ("Audit.following", "last"): 10**9,
            ("Users.first_second", "subject"): "cut-off of b",
            ("ApiKeys.add", "days"): None,
            ("ApiKeys.add", "name"): "new key",
            ("UnreadableSecrets.mark", "place"): "x",
            ("UnreadableSecrets.keep_only", "places"): [],
        }


_PERSON = Person(77, "somebody")
_RULE = Rule(
    category_ids=(), words_any=(), words_all=(), words_none=(), price_from_kopecks=None, price_to_kopecks=None,
    offers_to=None, hired_percent_from=None, with_files=None, with_portfolio=None, open_only=False,
)  # fmt: skip
