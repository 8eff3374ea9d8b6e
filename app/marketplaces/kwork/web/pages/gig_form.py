"""The form of a gig (A7): every field as a browser would submit it, and what only the page's state holds.

The form and its names are [LIVE]; how the page of an existing gig spreads them over markup and state is not
publicly known, so both are read: the markup first.
"""

from __future__ import annotations

import html
from collections.abc import Iterator

from selectolax.lexbor import LexborNode

from app.domain.errors import LayoutChanged
from app.domain.writing import GigForm
from app.marketplaces.kwork import values
from app.marketplaces.kwork.selectors import GigFormPage
from app.marketplaces.kwork.values import Fields, drifted
from app.marketplaces.kwork.web import csrf, paths
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.fields import Bounds, GigFields

_UNSENT = ("submit", "button", "image", "file", "reset")
Pair = tuple[str, str]


def read_gig_form(document: Document, gig_id: int) -> GigForm:
    """Raises ``LayoutChanged`` when there is no form, it is another gig's, or lacks what every gig has.

    Attributes that the page would load by a call of its own and holds nowhere cannot be read here.
    """
    node = document.tree.css_first(GigFormPage.FORM)
    state = Fields(document.state if document.has_state else {}, "").maybe_inner(GigFields.STATE)
    if node is None:
        raise drifted(GigFormPage.FORM, "is missing")
    shown = state.may(values.identifier, "PID", "id")
    if shown is not None and shown != gig_id:
        raise drifted(state.at("PID"), "is another gig's")
    fields = [pair for pair in _submitted(node) if pair[0] != csrf.FIELD]
    fields += _only_in_state(state, {_base(name) for name, _ in fields})
    if GigFields.MARK[0] not in {name for name, _ in fields}:
        fields.append(GigFields.MARK)
    for name in GigFields.ESSENTIAL:
        if not any(value for known, value in fields if known == name):
            raise drifted(f"form.{name}", "is missing or empty")
    return GigForm(gig_id, tuple(fields), f"{paths.SAVE_GIG}?id={gig_id}")


def price_field(form: GigForm) -> str | None:
    """The form's field of the price, the one that says something if it has both."""
    there = [name for name in GigFields.PRICES if form.value(name) is not None]
    return next((name for name in there if form.value(name)), there[0] if there else None)


def read_price_bounds(body: object) -> tuple[int, int] | None:
    """Lowest and highest price of a rubric in kopecks; ``None`` when the answer does not tell."""
    answer = Fields(body, "categorygetprices")
    data = answer.maybe_inner(Bounds.DATA)
    try:
        told = (data.may(values.kopecks, *Bounds.MIN), data.may(values.kopecks, *Bounds.MAX))
        steps = _steps(answer.maybe_inner(Bounds.PRICES).raw(Bounds.STEPS))
    except LayoutChanged:
        return None
    if told[0] is not None and told[1] is not None:
        return told[0], told[1]
    return (min(steps), max(steps)) if steps else None


def _steps(value: object) -> list[int]:
    rows = list(value.values()) if isinstance(value, dict) else value
    path = f"{Bounds.PRICES}.{Bounds.STEPS}"
    if not isinstance(rows, list):
        return []
    prices = [Fields(row, path).need(values.kopecks, *Bounds.STEP) for row in rows if isinstance(row, dict)]
    return prices or [values.kopecks(row, path) for row in rows]


def _submitted(form: LexborNode) -> Iterator[Pair]:
    """What a browser would send, in the form's order."""
    for node in form.css(GigFormPage.FIELDS):
        name = node.attributes.get("name")
        if not name or "disabled" in node.attributes:
            continue
        if node.tag == "textarea":
            yield name, (node.text() or "").replace("\r\n", "\n")
        elif node.tag == "select":
            yield from ((name, value) for value in _chosen(node))
        elif (value := _typed(node)) is not None:
            yield name, value


def _typed(node: LexborNode) -> str | None:
    kind = (node.attributes.get("type") or "text").lower()
    if kind in _UNSENT or (kind in ("checkbox", "radio") and "checked" not in node.attributes):
        return None
    value = node.attributes.get("value")
    return value if value is not None else ("on" if kind in ("checkbox", "radio") else "")


def _chosen(select: LexborNode) -> list[str]:
    options = [one for one in select.css("option") if "disabled" not in one.attributes]
    chosen = [one for one in options if "selected" in one.attributes]
    if not chosen and "multiple" not in select.attributes:
        chosen = options[:1]
    texts = [one.attributes.get("value") or "" if "value" in one.attributes else one.text() for one in chosen]
    return texts if "multiple" in select.attributes else texts[-1:]


def _only_in_state(state: Fields, in_form: set[str]) -> list[Pair]:
    found: list[Pair] = []
    for name in GigFields.KNOWN:
        value = state.raw(name)
        if name not in in_form and isinstance(value, (str, int, float)) and not isinstance(value, bool):
            found.append((name, html.unescape(str(value))))
    if GigFields.FAQ not in in_form:
        found += _flat(GigFields.FAQ, state.raw(GigFields.FAQ))
    if GigFields.ATTRIBUTE not in in_form:
        found += _flat(GigFields.ATTRIBUTE, state.raw(GigFields.ATTRIBUTES))
    return found


def _flat(name: str, value: object) -> list[Pair]:
    """Nested values as PHP reads them: ``faq[0][question]``; values of a list of plain ones repeat ``name[]``."""
    if isinstance(value, dict):
        return [pair for key, inner in value.items() for pair in _flat(f"{name}[{key}]", inner)]
    if isinstance(value, list):
        plain = not any(isinstance(item, (dict, list)) for item in value)
        marks = ["" if plain else str(at) for at in range(len(value))]
        return [
            pair for mark, inner in zip(marks, value, strict=True) for pair in _flat(f"{name}[{mark}]", inner)
        ]
    if value is None or isinstance(value, bool):
        return [] if value is None else [(name, str(int(value)))]
    return [(name, html.unescape(str(value)))]


def _base(name: str) -> str:
    return name.partition("[")[0]
