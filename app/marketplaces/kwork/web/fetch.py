"""Fetching pages and JSON of Kwork's site, and telling what came instead of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.domain.errors import AuthExpired, NotFound, Rejected
from app.domain.kwork import WebSession
from app.marketplaces.kwork import values
from app.marketplaces.kwork.transport import Answer, Transport
from app.marketplaces.kwork.values import drifted
from app.marketplaces.kwork.web import paths
from app.marketplaces.kwork.web.csrf import Csrf
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.guards import PageKind, expect, kind_of, refuse_walls

Query = Mapping[str, str] | Sequence[tuple[str, str]]


class Fetch:
    """``session`` says whether the transport's cookies should be signed in."""

    def __init__(self, transport: Transport, session: WebSession | None) -> None:
        self.transport = transport
        self.session = session
        self.csrf = Csrf(transport)

    async def document(self, path: str, kind: PageKind, query: Query = ()) -> Document:
        """A page of the wanted kind; see ``guards.expect``. Raises ``NotFound`` for one that is gone."""
        answer = await self.get(path, query)
        if leads_to_login(answer):
            raise AuthExpired("Kwork отправляет на страницу входа.")
        if answer.status in (404, 410) or (kind is PageKind.PROJECT and answer.redirect is not None):
            refuse_walls(kind_of(Document(answer.body)))
            raise NotFound("На Kwork нет такой страницы.")
        if answer.redirect is not None:
            raise drifted("redirect", "leads away from the page")
        document = Document(answer.body)
        self.csrf.saw(document)
        expect(document, kind, with_session=self.session is not None)
        return document

    async def form(self, path: str, query: Query) -> tuple[Document, Answer]:
        """A private page with a form. One shown to a visitor who is not signed in is ``AuthExpired``.

        A redirect is the caller's to judge: its document is empty.
        """
        self.need_session()
        answer = await self.get(path, query)
        if leads_to_login(answer):
            raise AuthExpired("Kwork отправляет на страницу входа.")
        document = Document(answer.body)
        if answer.redirect is None:
            kind = kind_of(document)
            refuse_walls(kind)
            if kind is PageKind.LOGIN or document.signed_in is False:
                raise AuthExpired("Kwork показывает страницу для тех, кто не вошёл.")
            if kind is PageKind.FOREIGN:
                raise drifted("page", "is none of Kwork's")
        self.csrf.saw(document)
        return document, answer

    def json(self, answer: Answer) -> object:
        """A JSON body, or what the page shown instead of it means."""
        if leads_to_login(answer):
            raise AuthExpired("Kwork отправляет на страницу входа.")
        if answer.body.lstrip()[:1] in (b"{", b"["):
            return values.parse_json(answer.body, "answer")
        document = Document(answer.body)
        kind = kind_of(document)
        refuse_walls(kind)
        if kind is PageKind.LOGIN or document.signed_in is False:
            raise AuthExpired("Kwork показывает страницу для тех, кто не вошёл.")
        raise drifted("answer", "is no JSON")

    async def get(self, path: str, query: Query = ()) -> Answer:
        answer = await self.transport.send("GET", path, write=False, params=query or None)
        if answer.status == 401:
            raise AuthExpired("Kwork отвечает 401: нужно войти заново.")
        if answer.status >= 400 and answer.status not in (404, 410):
            raise Rejected(f"Kwork отвечает HTTP {answer.status}.")
        return answer

    def need_session(self) -> None:
        if self.session is None:
            raise AuthExpired("Для этого нужен вход на сайт Kwork.")


def leads_to_login(answer: Answer) -> bool:
    return answer.redirect is not None and answer.redirect.partition("?")[0].rstrip("/") == paths.LOGIN
