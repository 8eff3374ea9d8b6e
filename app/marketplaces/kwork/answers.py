"""What the answers to carried out calls tell. A missing detail of a clear success is ``None``, not an error."""

from __future__ import annotations

from app.domain.errors import LayoutChanged
from app.domain.writing import Answered
from app.marketplaces.kwork.values import drifted, identifier


def sent_message_id(answered: Answered) -> int | None:
    """Number of the message: ``id`` on the mobile surface [LIVE], ``MID`` on the web [CAP / CODE].

    One written into an order is an event of its thread there: see ``sent_as``.
    """
    return _number(answered, "id", "MID")


def sent_as(answered: Answered) -> str | None:
    """``message`` of a dialog or ``track`` of an order's thread [SPEC]; ``None`` when not told."""
    kind = answered.data.get("type")
    return kind if kind in ("message", "track") else None


def mass_mailing_warned(answered: Answered) -> bool:
    """Kwork found the text too like others sent of late [SPEC]."""
    return answered.data.get("mass_mailing_notification") in (True, 1, "1")


def uploaded_file_id(answered: Answered) -> int:
    """Number of the uploaded file, to be named in a message, a hand-in or an offer. Raises ``LayoutChanged``."""
    number = _number(answered, "id", "file_id")
    if number is None:
        raise drifted("upload.id", "is missing")
    return number


def report_track_id(answered: Answered) -> int | None:
    """Number of the event a report left in the order's thread [SPEC]."""
    return _number(answered, "trackId")


def looks_like_template(answered: Answered) -> bool | None:
    """Whether Kwork holds an offer's text for a template: an empty ``data`` says no [LIVE], a filled one yes."""
    found = answered.data.get("data")
    return bool(found) if isinstance(found, (list, dict)) else None


def _number(answered: Answered, *names: str) -> int | None:
    for name in names:
        value = answered.data.get(name)
        if value is not None:
            try:
                return identifier(value, name)
            except LayoutChanged:
                return None
    return None
