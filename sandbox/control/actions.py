"""What the control API does, an action a function: `(sandbox, given parameters) -> JSON`."""

import random
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from sandbox.world import Size, changes, order_flow, queries
from sandbox.world.clock import moscow, utc_iso
from sandbox.world.model import GIG_ACTIVE, Account, Category, Order, Project, StageChange, StageSuggestion
from sandbox.world.stages import suggest_stages as put_suggestion
from sandbox.world.texts import as_stored

if TYPE_CHECKING:
    from sandbox.assembly import Sandbox

Given = dict[str, Any]


class MissingError(LookupError):
    """There is no such thing in the world."""


def plain(thing: Any) -> dict[str, Any]:
    """A record as JSON: its fields, and its computed properties beside them."""
    row = asdict(thing)
    for name, member in vars(type(thing)).items():
        if isinstance(member, property):
            row[name] = getattr(thing, name)
    row.pop("content", None)
    for file, stored in zip(getattr(thing, "files", ()), row.get("files", ()), strict=True):
        stored.pop("content", None)
        stored["path"] = file.path
    return row


def account_of(sandbox: "Sandbox", given: Given) -> Account:
    accounts = sandbox.world.accounts
    name = given.get("account")
    if name is None and accounts:
        return next(iter(accounts.values()))
    found = queries.find_account(sandbox.world, str(name))
    if found is None and str(name).isdecimal():
        found = accounts.get(int(str(name)))
    if found is None:
        raise MissingError(f"no account {name!r}")
    return found


def _set_fields(sandbox: "Sandbox", thing: Any, given: Given, *, but: tuple[str, ...]) -> dict[str, Any]:
    known = {f.name for f in fields(thing)}
    for name, value in given.items():
        if name in but:
            continue
        if name not in known:
            raise ValueError(f"unknown field {name!r}")
        setattr(thing, name, as_stored(value) if name in {"name", "title", "description"} else value)
    sandbox.world.changed()
    return plain(thing)


def state(sandbox: "Sandbox", given: Given) -> Any:
    world = sandbox.world
    return {
        "size": asdict(world.size),
        "now": world.clock.now(),
        "moscow": moscow(world.clock.now()),
        "revision": world.revision,
        "projects_listed": len(queries.listed_projects(world)),
        "projects": len(world.projects),
        "users": len(world.users),
        "orders": {a.username: queries.order_counts(world, a.user_id) for a in world.accounts.values()},
        "dialogs": {a.username: len(queries.dialogs_of(world, a.user_id)) for a in world.accounts.values()},
        "gigs": {a.username: len(queries.gigs_of(world, a.user_id)) for a in world.accounts.values()},
        "offers": {a.username: len(queries.offers_of(world, a.user_id)) for a in world.accounts.values()},
        "buyers": {
            a.username: len({o.payer_id for o in queries.orders_of(world, a.user_id)})
            for a in world.accounts.values()
        },
        "web_sessions": len(world.sessions.web),
        "mobile_tokens": len(world.sessions.mobile),
        "journal": len(sandbox.journal.entries),
        "faults": sandbox.faults.as_dicts(),
    }


def reset(sandbox: "Sandbox", given: Given) -> Any:
    sizes = {f.name for f in fields(Size)}
    unknown = set(given) - sizes
    if unknown:
        raise ValueError(f"unknown sizes: {sorted(unknown)}")
    sandbox.reset(replace(sandbox.settings.size, **{name: int(value) for name, value in given.items()}))
    return {"accounts": sandbox.account_rows(), **state(sandbox, {})}


def accounts(sandbox: "Sandbox", given: Given) -> Any:
    return [
        {**row, **plain(sandbox.world.accounts[row["user_id"]]), "viewed_projects": None}
        for row in sandbox.account_rows()
    ]


def change_account(sandbox: "Sandbox", given: Given) -> Any:
    account = account_of(sandbox, given)
    return {**_set_fields(sandbox, account, given, but=("account",)), "viewed_projects": None}


def sign_out(sandbox: "Sandbox", given: Given) -> Any:
    account_id = account_of(sandbox, given).user_id if given.get("account") else None
    forget = bool(given.get("forget", True))
    return {"ended": sandbox.world.sessions.close_all(account_id, forget=forget)}


def change_settings(sandbox: "Sandbox", given: Given) -> Any:
    for name, value in given.items():
        if name not in {"strict_signin", "mobile_key"}:
            raise ValueError(f"unknown setting {name!r}")
        setattr(sandbox.settings, name, value)
    return {"strict_signin": sandbox.settings.strict_signin, "mobile_key": sandbox.settings.mobile_key}


def read_journal(sandbox: "Sandbox", given: Given) -> Any:
    limit = int(given["limit"]) if given.get("limit") else None
    wanted = {name: given.get(name) for name in ("surface", "path", "method", "account")}
    found = sandbox.journal.find(**wanted, since=int(given.get("since", 0)), limit=limit)
    return [entry.as_dict() for entry in found]


def clear_journal(sandbox: "Sandbox", given: Given) -> Any:
    sandbox.journal.clear()
    return {"entries": 0}


def read_faults(sandbox: "Sandbox", given: Given) -> Any:
    return sandbox.faults.as_dicts()


def add_fault(sandbox: "Sandbox", given: Given) -> Any:
    if given.get("account") is not None and given.get("surface") != "crm":  # there it is a tenant
        given["account"] = account_of(sandbox, given).username
    return asdict(sandbox.faults.add(**given))


def clear_faults(sandbox: "Sandbox", given: Given) -> Any:
    sandbox.faults.clear(given.get("surface"))
    return sandbox.faults.as_dicts()


def remove_fault(sandbox: "Sandbox", given: Given) -> Any:
    if not sandbox.faults.remove(given["id"]):
        raise MissingError(f"no fault {given['id']}")
    return sandbox.faults.as_dicts()


def read_listeners(sandbox: "Sandbox", given: Given) -> Any:
    return [{"account": one.account, "path": one.path} for one in sandbox.hub.listeners]


def cut_listeners(sandbox: "Sandbox", given: Given) -> Any:
    return {"cut": sandbox.hub.cut()}


def read_time(sandbox: "Sandbox", given: Given) -> Any:
    now = sandbox.world.clock.now()
    return {"now": now, "utc": utc_iso(now), "moscow": moscow(now), "offset": sandbox.world.clock.offset}


def move_time(sandbox: "Sandbox", given: Given) -> Any:
    sandbox.world.clock.move(float(given["seconds"]))
    moved = order_flow.settle(sandbox.world)
    return {**read_time(sandbox, given), "orders_moved": moved}


def add_user(sandbox: "Sandbox", given: Given) -> Any:
    return plain(changes.add_buyer(sandbox.world, **given))


def _buyer_id(sandbox: "Sandbox", given: Given, name: str) -> int:
    """The user named by `name`, or any buyer of this world."""
    world = sandbox.world
    wanted = given.pop(name, None)
    if wanted is None:
        others = [number for number in world.users if number not in world.accounts]
        return random.Random(world.revision).choice(others) if others else changes.add_buyer(world).user_id
    if int(wanted) not in world.users:
        raise MissingError(f"no user {wanted}")
    return int(wanted)


def _project(sandbox: "Sandbox", given: Given) -> Project:
    project = sandbox.world.projects.get(given["id"])
    if project is None:
        raise MissingError(f"no project {given['id']}")
    return project


def read_projects(sandbox: "Sandbox", given: Given) -> Any:
    world = sandbox.world
    everything = given.get("all") in {"1", "true", True}
    return [plain(p) for p in (world.projects.values() if everything else queries.listed_projects(world))]


def add_project(sandbox: "Sandbox", given: Given) -> Any:
    basics = {"name": "Новый проект", "description": "Описание", "category_id": 41, "price": 3000}
    user_id = _buyer_id(sandbox, given, "user_id")
    extra = set(given) - set(basics) - {"is_higher_price", "at"} - {f.name for f in fields(Project)}
    if extra:
        raise ValueError(f"unknown fields: {sorted(extra)}")
    return plain(changes.add_project(sandbox.world, user_id=user_id, **{**basics, **given}))


def read_project(sandbox: "Sandbox", given: Given) -> Any:
    return plain(_project(sandbox, given))


def change_project(sandbox: "Sandbox", given: Given) -> Any:
    return _set_fields(sandbox, _project(sandbox, given), given, but=("id",))


def reactivate(sandbox: "Sandbox", given: Given) -> Any:
    return plain(changes.reactivate_project(sandbox.world, _project(sandbox, given)))


def _order(sandbox: "Sandbox", given: Given) -> Order:
    order = sandbox.world.orders.get(given["id"])
    if order is None:
        raise MissingError(f"no order {given['id']}")
    return order


def read_orders(sandbox: "Sandbox", given: Given) -> Any:
    account = account_of(sandbox, given)
    found = queries.orders_of(sandbox.world, account.user_id, given.get("kind", "all"))
    return [{**plain(order), "tracks": len(order.tracks)} for order in found]


def add_order(sandbox: "Sandbox", given: Given) -> Any:
    account = account_of(sandbox, given)
    given.pop("account", None)
    payer_id = _buyer_id(sandbox, given, "payer_id")
    stages = [(str(title), int(price)) for title, price in given.pop("stages", ())]
    basics = {"title": "Новый заказ", "price": sum(price for _, price in stages) or 5000}
    new = changes.NewOrder(account.user_id, payer_id, stages=stages, **{**basics, **given})
    return plain(changes.add_order(sandbox.world, new))


def read_order(sandbox: "Sandbox", given: Given) -> Any:
    return plain(_order(sandbox, given))


def change_order(sandbox: "Sandbox", given: Given) -> Any:
    return _set_fields(sandbox, _order(sandbox, given), given, but=("id",))


def advance_order(sandbox: "Sandbox", given: Given) -> Any:
    order = _order(sandbox, given)
    event = given.get("event", "")
    wanted = {name: given[name] for name in ("at", "text", "progress", "stage_ids") if name in given}
    track = order_flow.advance(sandbox.world, order, event, **wanted)
    return {"track": plain(track), "order": plain(order)}


def suggest_stages(sandbox: "Sandbox", given: Given) -> Any:
    """The buyer suggests stages; the seller has to answer."""
    order = _order(sandbox, given)
    wanted = [StageChange("add", str(title), int(price)) for title, price in given.get("stages", ())]
    suggestion = StageSuggestion(
        order.payer_id, int(given.get("days", 5)), str(given.get("message", "")), wanted
    )
    put_suggestion(sandbox.world, order, suggestion)
    return plain(order)


def add_order_message(sandbox: "Sandbox", given: Given) -> Any:
    order = _order(sandbox, given)
    author = int(given.get("from_id", order.payer_id))
    text = as_stored(str(given.get("text", "")))
    unread = author != order.worker_id
    kind = order_flow.MESSAGE_TRACK
    return plain(order_flow.add_track(sandbox.world, order, kind, from_id=author, text=text, unread=unread))


def read_messages(sandbox: "Sandbox", given: Given) -> Any:
    account = account_of(sandbox, given)
    dialogs = queries.dialogs_of(sandbox.world, account.user_id)
    wanted = int(given["user_id"]) if given.get("user_id") else None
    return [plain(m) for d in dialogs if wanted in (None, d.user_id) for m in d.messages]


def add_message(sandbox: "Sandbox", given: Given) -> Any:
    account = account_of(sandbox, given)
    author = _buyer_id(sandbox, given, "from_id")
    receiver = int(given.get("to_id", account.user_id))
    text = str(given.get("text", "Здравствуйте!"))
    extra = {
        name: given[name] for name in ("type", "order_id", "project_id", "budget", "at") if name in given
    }
    return plain(changes.add_message(sandbox.world, author, receiver, text, **extra))


def read_gigs(sandbox: "Sandbox", given: Given) -> Any:
    return [plain(g) for g in queries.gigs_of(sandbox.world, account_of(sandbox, given).user_id)]


def add_gig(sandbox: "Sandbox", given: Given) -> Any:
    account = account_of(sandbox, given)
    given.pop("account", None)
    basics = {"title": "Новый кворк", "description": "<p>Описание</p>", "category_id": 41, "price": 1500}
    return plain(
        changes.add_gig(sandbox.world, account.user_id, **{**basics, "days": 3, "group": GIG_ACTIVE, **given})
    )


def read_offers(sandbox: "Sandbox", given: Given) -> Any:
    return [plain(o) for o in queries.offers_of(sandbox.world, account_of(sandbox, given).user_id)]


def change_offer(sandbox: "Sandbox", given: Given) -> Any:
    offer = sandbox.world.offers.get(given["id"])
    if offer is None:
        raise MissingError(f"no offer {given['id']}")
    return _set_fields(sandbox, offer, given, but=("id",))


def add_offer(sandbox: "Sandbox", given: Given) -> Any:
    """As if made on the site."""
    account = account_of(sandbox, given)
    given.pop("account", None)
    project = _project(sandbox, {"id": int(given.pop("project_id"))})
    basics = {
        "title": project.name,
        "description": "Готов взяться",
        "price": project.price_limit,
        "duration": 3,
    }
    return plain(changes.add_offer(sandbox.world, account, project, **{**basics, **given}))


def read_categories(sandbox: "Sandbox", given: Given) -> Any:
    return [plain(root) for root in sandbox.world.categories]


def add_category(sandbox: "Sandbox", given: Given) -> Any:
    root = next((one for one in sandbox.world.categories if one.id == int(given["parent_id"])), None)
    if root is None:
        raise MissingError(f"no rubric {given['parent_id']}")
    made = Category(int(given["id"]), str(given["title"]), str(given["slug"]), parent_id=root.id)
    root.children.append(made)
    sandbox.world.changed()
    return plain(made)


def open_bridge(sandbox: "Sandbox", given: Given) -> Any:
    account = account_of(sandbox, given)
    return plain(sandbox.world.sessions.open_bridge(account.user_id, given.get("url_to_redirect", "/")))
