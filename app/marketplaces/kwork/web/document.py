"""One page of Kwork's site, opened: its source, its scripts' variables, its markup, each read when asked."""

from __future__ import annotations

import html
import re
from functools import cached_property
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from app.marketplaces.kwork.values import drifted
from app.marketplaces.kwork.web.fields import Window
from app.marketplaces.kwork.web.state import page_source, variables

_TITLE = re.compile(r"<title[^>]*>([^<]{0,500})", re.IGNORECASE)


class Document:
    """``raw`` is what came over the wire or out of a file."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @cached_property
    def source(self) -> str:
        """The whole page as text: only for what the variables do not hold."""
        return page_source(self._raw)

    @cached_property
    def window(self) -> dict[str, Any]:
        return variables(self._raw)

    @cached_property
    def tree(self) -> LexborHTMLParser:
        """Costs some milliseconds: only for what the variables do not hold."""
        return LexborHTMLParser(self.source)

    @cached_property
    def title(self) -> str:
        found = _TITLE.search(self.source)
        return html.unescape(found.group(1)).strip() if found else ""

    @property
    def has_state(self) -> bool:
        return isinstance(self.window.get(Window.STATE), dict)

    @property
    def state(self) -> dict[str, Any]:
        """``window.stateData``; raises ``LayoutChanged`` when there is none or it cannot be read."""
        if not self.has_state:
            raise drifted(Window.STATE, "is missing or unreadable")
        state: dict[str, Any] = self.window[Window.STATE]
        return state

    @property
    def is_kwork(self) -> bool:
        """A page of Kwork's own making, not some other page or a broken file."""
        return any(name in self.window for name in Window.KNOWN) or "kwork" in self.title.lower()

    @property
    def signed_in(self) -> bool | None:
        """By ``USER_ID``, else ``actorType``, else ``csrftoken`` [CAP]; ``None`` when none of them is there."""
        if Window.USER_ID in self.window:
            return self.user_id is not None
        for name in (Window.ACTOR_TYPE, Window.CSRF):
            if name in self.window:
                return bool(self.window[name])
        return None

    @property
    def user_id(self) -> int | None:
        """Number of the signed-in user."""
        value = self.window.get(Window.USER_ID)
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
            value = int(value)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
