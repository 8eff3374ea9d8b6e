"""Lists: pages, the search that lags, filters that may be ignored."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.amocrm.account import Account, Record
from sandbox.amocrm.answers import hal
from sandbox.faults import RequestFaults
from sandbox.incoming import Incoming

MOST = 250


def page(request: Request, name: str, rows: list[Record], default: int = 50) -> Response:
    """One page under `_embedded`; 204 when it is empty, as the vendor answers."""
    query = incoming(request).query
    limit = min(_number(query.get("limit"), default), MOST)
    number = _number(query.get("page"), 1)
    shown = rows[(number - 1) * limit : number * limit]
    if not shown:
        return Response(status_code=204)
    links: dict[str, Any] = {"self": {"href": str(request.url)}}
    if len(rows) > number * limit:
        links["next"] = {"href": str(request.url.include_query_params(page=number + 1))}
    return hal({"_page": number, "_links": links, "_embedded": {name: [shown_of(row) for row in shown]}})


def selected(request: Request, account: Account, entity: str) -> list[Record]:
    """What a list request asks for, as far as this account takes its parameters in."""
    query = incoming(request).query
    rows = list(account.records[entity].values())
    if account.habits.filters_work and (ids := _ids(query)):
        rows = [row for row in rows if row["id"] in ids]
    if account.habits.query_works and (words := query.get("query")):
        seen_until = account.now() - _search_lag(request)
        rows = [row for row in rows if row["_born"] <= seen_until and _holds(row, str(words))]
    orders = [re.fullmatch(r"order\[(\w+)\]", name) for name in query]
    for order in filter(None, orders):
        rows.sort(key=lambda row: row[order[1]], reverse=query[order[0]] == "desc")
    return rows


def shown_of(row: Record) -> Record:
    return {name: value for name, value in row.items() if not name.startswith("_") or name == "_embedded"}


def incoming(request: Request) -> Incoming:
    return request.state.incoming


def _holds(row: Record, words: str) -> bool:
    """The search looks into names and custom values, for a part of them, in any case."""
    values = [value["value"] for one in row["custom_fields_values"] for value in one["values"]]
    return any(words.lower() in str(text).lower() for text in (row.get("name", ""), *values))


def _ids(query: dict[str, Any]) -> set[int]:
    given = query.get("filter[id][]", query.get("filter[id]", []))
    return {int(one) for one in (given if isinstance(given, list) else [given]) if str(one).isdigit()}


def _search_lag(request: Request) -> float:
    faults: RequestFaults = request.state.faults
    lag = faults.take("asked", name="search_lag") if faults.found else None
    return float(lag.params.get("seconds", 20)) if lag else 0.0


def _number(text: Any, default: int) -> int:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() and int(text) else default
