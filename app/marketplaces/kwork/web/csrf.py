"""The key each change on the site must carry: ``window.csrftoken`` of a page, the same in a cookie [CAP / CODE]."""

from __future__ import annotations

from app.marketplaces.kwork.transport import Transport
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.fields import Window

COOKIE = "csrf_user_token"  # [CODE]
FIELD = "csrftoken"  # [CAP / LIVE] of forms
HEADER = "X-CSRF-Token"  # [CODE]


class Csrf:
    """The newest value that Kwork told, in a page or by a cookie. A secret."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._cookie = self._value = self._in_jar()

    def saw(self, document: Document) -> None:
        """A page was read; one without the key changes nothing."""
        told = document.window.get(Window.CSRF)
        if isinstance(told, str) and told:
            self._cookie, self._value = self._in_jar(), told

    @property
    def value(self) -> str | None:
        """``None`` when neither page nor cookie told one."""
        in_jar = self._in_jar()
        if in_jar != self._cookie:
            self._cookie = self._value = in_jar
        return self._value

    def _in_jar(self) -> str | None:
        found = (str(one["value"]) for one in self._transport.cookies if one["name"] == COOKIE)
        return next((value for value in found if value), None)
