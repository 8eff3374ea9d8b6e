"""The list of dialogs: ``window.chatList`` on ``/inbox`` (FACTS A8 [CAP])."""

from __future__ import annotations

from app.domain.kwork import Dialog, Page, Person, Surface
from app.marketplaces.kwork import values
from app.marketplaces.kwork.values import Drift, Fields, drifted
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.fields import Chat, Window
from app.marketplaces.kwork.web.reading import Reading, Rows, Way

DIALOGS_PER_PAGE = 50
"""[CAP]"""


def read_inbox(document: Document, *, lenient: bool = False) -> Reading[Page[Dialog]]:
    """The newest dialogs. An empty list is known to be empty only on a signed-in page.

    ``last`` and ``total`` are known only when the page is not full: how further pages are asked for is not.
    """
    if Window.CHAT_LIST not in document.window:
        raise drifted(Window.CHAT_LIST, "is missing or unreadable")
    drift = Drift(lenient=lenient)
    read = Rows(document.window[Window.CHAT_LIST], Window.CHAT_LIST, _dialog, drift)
    window = Fields(document.window, "", drift)
    size = window.may(values.identifier, Window.CHATS_PER_PAGE) or DIALOGS_PER_PAGE
    whole = read.count < size
    page = Page(
        items=read.items,
        number=1,
        last=1 if whole else None,
        total=read.count if whole else None,
        surface=Surface.WEB,
    )
    return Reading(page, Way.STATE, drift.paths, read.unreadable)


def _dialog(row: Fields) -> Dialog:
    last = row.maybe_inner(Chat.LAST)
    return Dialog(
        user=Person(
            id=row.need(values.identifier, *Chat.USER_ID),
            username=row.need(values.label, *Chat.USERNAME),
        ),
        unread=row.need(values.count, *Chat.UNREAD),
        last_message=row.may(values.text, *Chat.MESSAGE) or last.may(values.text, *Chat.MESSAGE),
        last_message_at=row.expect(values.unix, *Chat.TIME) or last.may(values.unix, *Chat.TIME),
        last_message_id=last.may(values.identifier, *Chat.LAST_ID)
        or row.may(values.identifier, *Chat.LAST_ID),
        online=row.may(values.truth, *Chat.ONLINE),
        archived=row.may(values.truth, *Chat.ARCHIVED),
        starred=row.may(values.truth, *Chat.STARRED),
        can_write=row.may(values.truth, *Chat.ALLOWED),
        has_active_order=row.may(values.truth, *Chat.ORDER),
    )
