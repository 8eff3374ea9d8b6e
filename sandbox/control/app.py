"""Routes of the control port. JSON in and out; `GET /` lists them.

An account is named by its user name, login or user id; without a name the first account is meant. Times
are unix seconds, money is whole roubles. Errors: 400 with `{"error": …}` for a bad request, 404 for a
missing thing.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.control import actions
from sandbox.faults import UnknownFaultError
from sandbox.world.order_flow import IllegalEventError

if TYPE_CHECKING:
    from sandbox.assembly import Sandbox

Action = Callable[["Sandbox", dict[str, Any]], Any]

ROUTES: tuple[tuple[str, str, Action, str], ...] = (
    ("GET", "/state", actions.state, "counts, time, switched-on faults"),
    ("POST", "/reset", actions.reset, "a fresh world: seed, projects, orders, accounts, gigs, dialogs"),
    ("GET", "/accounts", actions.accounts, "sign-in data of all accounts"),
    ("PATCH", "/accounts/{account}", actions.change_account, "set fields, e.g. connects_active, password"),
    ("POST", "/sign-out", actions.sign_out, "end sessions of `account`, of everybody without it"),
    ("PATCH", "/settings", actions.change_settings, "strict_signin, mobile_key"),
    (
        "GET",
        "/journal",
        actions.read_journal,
        "surface, path (may end with *), method, account, since, limit",
    ),
    ("DELETE", "/journal", actions.clear_journal, "empty it"),
    ("GET", "/faults", actions.read_faults, "what is switched on, with hits"),
    ("POST", "/faults", actions.add_fault, "kind; surface, path, method, account, count; the kind's params"),
    ("DELETE", "/faults", actions.clear_faults, "all, or those of `surface`"),
    ("DELETE", "/faults/{id:int}", actions.remove_fault, "one of them"),
    ("GET", "/listeners", actions.read_listeners, "open websockets of notices"),
    ("DELETE", "/listeners", actions.cut_listeners, "close them all"),
    ("GET", "/time", actions.read_time, "the world's time"),
    ("POST", "/time", actions.move_time, "move it by `seconds`"),
    ("POST", "/users", actions.add_user, "a buyer: username, fullname, user_id"),
    ("GET", "/projects", actions.read_projects, "listed ones; all=1 for every one"),
    ("POST", "/projects", actions.add_project, "name, description, price, category_id, user_id, …"),
    ("GET", "/projects/{id:int}", actions.read_project, "one"),
    (
        "PATCH",
        "/projects/{id:int}",
        actions.change_project,
        "set fields: status, price_limit, kwork_count, …",
    ),
    ("POST", "/projects/{id:int}/reactivate", actions.reactivate, "back to the top under its old id"),
    ("GET", "/orders", actions.read_orders, "of `account`; kind=active|delivered|…"),
    (
        "POST",
        "/orders",
        actions.add_order,
        "account, payer_id, title, price, duration, stages=[[title, price]]",
    ),
    ("GET", "/orders/{id:int}", actions.read_order, "one, with tracks and stages"),
    ("PATCH", "/orders/{id:int}", actions.change_order, "set fields: title, price, note, …"),
    ("POST", "/orders/{id:int}/advance", actions.advance_order, "event, text, progress, stage_ids"),
    ("POST", "/orders/{id:int}/suggestion", actions.suggest_stages, "the buyer's: days, message, stages"),
    ("POST", "/orders/{id:int}/messages", actions.add_order_message, "text, from_id (the buyer without it)"),
    ("GET", "/messages", actions.read_messages, "of `account` with `user_id`"),
    ("POST", "/messages", actions.add_message, "from_id (a buyer), account, text"),
    ("GET", "/gigs", actions.read_gigs, "of `account`"),
    ("POST", "/gigs", actions.add_gig, "account, title, description, category_id, price, days, group"),
    ("GET", "/categories", actions.read_categories, "the rubricator"),
    ("POST", "/categories", actions.add_category, "a subrubric: id, title, slug, parent_id"),
    ("GET", "/offers", actions.read_offers, "of `account`"),
    ("POST", "/offers", actions.add_offer, "account, project_id, title, description, price, duration"),
    ("PATCH", "/offers/{id:int}", actions.change_offer, "set fields: is_read, status, order_id, …"),
    ("POST", "/bridge", actions.open_bridge, "a one-time web token for `account`, as the mobile API gives"),
)


def build(sandbox: "Sandbox") -> Starlette:
    async def listing(request: Request) -> Response:
        return _json({"routes": [f"{verb} {path} — {about}" for verb, path, _, about in ROUTES]})

    routes = [Route(path, _endpoint(sandbox, action), methods=[verb]) for verb, path, action, _ in ROUTES]
    return Starlette(routes=[Route("/", listing), *routes])


def _endpoint(sandbox: "Sandbox", action: Action) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        try:
            given = orjson.loads(body) if body else {}
            if not isinstance(given, dict):
                raise ValueError("the body must be a JSON object")
            return _json(action(sandbox, {**request.query_params, **given, **request.path_params}))
        except actions.MissingError as error:
            return _json({"error": str(error)}, 404)
        except (UnknownFaultError, IllegalEventError, ValueError, KeyError, TypeError) as error:
            return _json({"error": f"{type(error).__name__}: {error}"}, 400)

    return endpoint


def _json(data: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(data, default=str), status, media_type="application/json")
