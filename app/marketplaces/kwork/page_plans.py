"""Writes done on Kwork's own pages in a browser, as plans: the page, what is typed there, what it must send then.

``Invalid`` for what Kwork cannot take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from app.domain.errors import Invalid
from app.domain.kwork import Surface
from app.domain.writing import Encoding, OutgoingFile, PlannedCall
from app.marketplaces.kwork.outgoing import BIGGEST_FILE, MOST_FILES, MOST_ORDER_FILES, message_text
from app.marketplaces.kwork.web import paths
from app.marketplaces.kwork.web.plans import create_offer

Files = Sequence[OutgoingFile]


def offer(
    project_id: int, *, title: str, message: str, price_kopecks: int, duration_days: int, files: Files = ()
) -> PlannedCall:
    """The form of an offer: as ``web.plans.create_offer``, which the page sends by itself [LIVE]."""
    call = create_offer(
        project_id, title=title, message=message, price_kopecks=price_kopecks, duration_days=duration_days
    )
    page = f"{paths.OFFER_FORM}?project={project_id}"
    return replace(call, surface=Surface.BROWSER, query=(), page=page, files=_sendable(files, MOST_FILES))


def message(username: str, user_id: int, text: str, *, files: Files = ()) -> PlannedCall:
    """The form of the dialog's page, which sends ``/sendmessage`` [CAP / CODE]."""
    fields = (
        ("msgto", str(user_id)),
        ("message_body", message_text(text, range(len(files)))),
    )
    return PlannedCall(
        Surface.BROWSER,
        "POST",
        paths.SEND_MESSAGE,
        fields,
        encoding=Encoding.MULTIPART,
        irrevocable=True,
        page=f"{paths.INBOX}/{quote(username, safe='')}",
        files=_sendable(files, MOST_FILES),
    )


def hand_in(order_id: int, *, stage_ids: Sequence[int] = (), files: Files = ()) -> PlannedCall:
    """The order's page. Which call it makes nobody has recorded: it has no path here [unverified]."""
    return PlannedCall(
        Surface.BROWSER,
        "POST",
        "",
        tuple(("stageIds[]", str(number)) for number in dict.fromkeys(stage_ids)),
        irrevocable=True,
        page=f"{paths.TRACK}?id={order_id}",
        files=_sendable(files, MOST_ORDER_FILES),
    )


def _sendable(files: Files, most: int) -> tuple[OutgoingFile, ...]:
    if len(files) > most:
        raise Invalid(f"Приложить можно не больше {most} файлов.", field="files")
    if any(not 0 < file.size <= BIGGEST_FILE for file in files):
        raise Invalid("Файл пуст или больше 100 МБ.", field="files")
    return tuple(files)
