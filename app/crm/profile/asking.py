"""Reading queries over answers: leniently where None is an answer, strictly where it would mean absence."""

from typing import Any

from app.crm.answers import id_text
from app.crm.profile.queries import Query, QueryFailed


def ask(query: Query | None, data: object) -> Any:
    """What the query finds; None for nothing and for an answer it cannot read."""
    try:
        return None if query is None else query.of(data)
    except QueryFailed:
        return None


def ask_id(query: Query, data: object) -> str | None:
    """An id as text; None where there is none."""
    return id_text(ask(query, data))
