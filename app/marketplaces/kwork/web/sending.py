"""Carrying out planned calls on the site: once, with the page's CSRF key, a yes only when the answer says so."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, cast

from app.domain.errors import (
    AuthExpired,
    Blocked,
    ChallengeRequired,
    LayoutChanged,
    ServiceError,
    VendorError,
)
from app.domain.kwork import Surface
from app.domain.writing import Answered, Encoding, Marker, PlannedCall
from app.marketplaces.kwork import values
from app.marketplaces.kwork.errors import SessionLostMidway, unclear_answer
from app.marketplaces.kwork.multipart import deadline_of, multipart
from app.marketplaces.kwork.transport import Answer, ForbiddenPath, Leave
from app.marketplaces.kwork.values import drifted
from app.marketplaces.kwork.web import csrf, paths
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.fetch import Fetch, leads_to_login
from app.marketplaces.kwork.web.guards import PageKind, kind_of, refuse_walls
from app.marketplaces.kwork.web.verdict import answered, is_refusal, refused, verdict

_WITHOUT_FIELD = (paths.QUICK_FAQ, paths.TEMPLATE_CHECK, paths.UPLOAD)
"""Calls whose body carries no CSRF key [LIVE]; the header goes with all of them."""
_NUMBERS = ("wantid",)
"""Fields of JSON bodies that are numbers [LIVE]."""
_AJAX = {"X-Requested-With": "XMLHttpRequest", "Accept": "application/json, text/plain, */*"}


async def carry_out(fetch: Fetch, call: PlannedCall, marker: Marker | None) -> Answered:
    """Sends a planned call once.

    Raises ``ForbiddenPath`` and ``AuthExpired`` (nobody is signed in) before the marker. For a call that
    cannot be taken back everything but a clear yes or no is ``Ambiguous``.
    """
    marked = Leave(paths.allows(call.method, call.path)) is Leave.MARKED
    if call.surface is not Surface.WEB or call.irrevocable is not marked:
        raise ForbiddenPath(call.method)
    fetch.need_session()
    key = await _key(fetch)
    with ExitStack() as opened:
        answer = await fetch.transport.send(
            call.method,
            call.path,
            write=marked,
            params=call.query or None,
            headers={**_AJAX, csrf.HEADER: key, "Referer": _referer(fetch, call)},
            marker=marker,
            deadline_seconds=deadline_of(call),
            **_content(call, key, opened),
        )
    try:
        return settled(answer) if marked else _repeatable(fetch, answer)
    except VendorError as error:
        error.detail = error.detail.replace(key, "***")
        error.args = (error.detail,)
        raise


async def _key(fetch: Fetch) -> str:
    """Known from a page or a cookie, else from a private page, which tells a lost session, too."""
    if fetch.csrf.value is None:
        answer = await fetch.get(paths.SELLER)
        if leads_to_login(answer):
            raise AuthExpired("Kwork отправляет на страницу входа.")
        if answer.redirect is not None:
            answer = await fetch.get(paths.HOME)
        document = Document(answer.body)
        refuse_walls(kind_of(document))
        if document.signed_in is False:
            raise AuthExpired("Kwork показывает страницу для тех, кто не вошёл.")
        fetch.csrf.saw(document)
    key = fetch.csrf.value
    if key is None:
        raise drifted("csrftoken", "is in no page and no cookie")
    return key


def _content(call: PlannedCall, key: str, opened: ExitStack) -> dict[str, Any]:
    if call.encoding is Encoding.JSON:
        return {"json": {name: int(value) if name in _NUMBERS else value for name, value in call.fields}}
    pairs = [] if call.path in _WITHOUT_FIELD else [(csrf.FIELD, key)]
    pairs += call.fields
    if call.encoding is Encoding.MULTIPART:
        return {"files": multipart(pairs, call.file, opened)}
    return {"form": pairs} if call.encoding is Encoding.FORM else {}


def _referer(fetch: Fetch, call: PlannedCall) -> str:
    """The page a person would be on."""
    fields = dict(call.fields)
    project = fields.get("wantId") or fields.get("projectId") or fields.get("wantid")
    path = f"{paths.OFFER_FORM}?project={project}" if project else paths.PROJECTS
    pages = {paths.SEND_MESSAGE: paths.INBOX, paths.START_GIG: paths.GIGS, paths.PAUSE_GIG: paths.GIGS}
    if call.path == paths.SAVE_GIG:
        path = f"{paths.GIG_FORM}?id={dict(call.query).get('id', '')}"
    return fetch.transport.base_url + pages.get(call.path, path)


def _repeatable(fetch: Fetch, answer: Answer) -> Answered:
    if answer.status == 401:
        raise AuthExpired("Kwork отвечает 401: нужно войти заново.")
    body = fetch.json(answer)
    if not isinstance(body, dict):
        raise drifted("answer", "is no object")
    if is_refusal(body):
        raise refused(body)
    return answered(body)


def settled(answer: Answer) -> Answered:
    """What the answer to a call that cannot be taken back means."""
    if leads_to_login(answer) or answer.status == 401:
        raise SessionLostMidway
    if answer.redirect is not None:
        raise unclear_answer()
    if answer.body.lstrip()[:1] != b"{":
        raise _instead_of_json(answer)
    try:
        body = values.parse_json(answer.body, "answer")
    except LayoutChanged:
        raise unclear_answer() from None
    return verdict(cast("Mapping[str, Any]", body))


def _instead_of_json(answer: Answer) -> ServiceError:
    """A page: only the block page and a captcha in the way are a clear no."""
    document = Document(answer.body)
    kind = kind_of(document)
    try:
        refuse_walls(kind)
    except (Blocked, ChallengeRequired) as error:
        return error
    except VendorError:
        return unclear_answer()
    lost = kind is PageKind.LOGIN or document.signed_in is False
    return SessionLostMidway() if lost else unclear_answer()
