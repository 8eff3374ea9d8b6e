"""Calls of the site that change something, as plans: exact but for the cookies and the CSRF key.

``Invalid`` for what Kwork cannot take. Names without a mark are guesses: no capture of them is public.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from app.domain.errors import Invalid
from app.domain.kwork import Surface
from app.domain.writing import Encoding, GigForm, OfferForm, OutgoingFile, PlannedCall
from app.marketplaces.kwork.outgoing import BIGGEST_FILE, message_text, needed, whole_roubles
from app.marketplaces.kwork.web import paths

CUSTOM_OFFER = "custom"  # LIVE
OFFER_FILES = "files[]"
Pairs = tuple[tuple[str, str], ...]
Changes = Mapping[str, str | Sequence[str]]


def prepare_offer(form: OfferForm, message: str) -> tuple[PlannedCall, ...]:
    """What the offer form does before it sends (A5, steps 3-5) [LIVE]; may be repeated."""
    draft = (("projectId", str(form.project_id)), ("message", message), ("draftKey", form.draft_key))
    template = (("description", message), ("wantid", str(form.project_id)))
    return (
        _plan(paths.QUICK_FAQ, (("page", "new_offer"),), Encoding.JSON),
        _plan(paths.OFFER_DRAFT, draft, Encoding.MULTIPART),
        _plan(paths.TEMPLATE_CHECK, template, Encoding.JSON),
    )


def upload_file(file: OutgoingFile) -> PlannedCall:
    """A file for an offer (A5, step 6); nobody sees it until it is named. The field's name is a guess."""
    if not 0 < file.size <= BIGGEST_FILE:
        raise Invalid("Файл пуст или больше 100 МБ.", field="files")
    return PlannedCall(
        Surface.WEB, "POST", paths.UPLOAD, encoding=Encoding.MULTIPART, file=("upload_files", file)
    )


def create_offer(
    project_id: int,
    *,
    title: str,
    message: str,
    price_kopecks: int,
    duration_days: int,
    file_ids: Sequence[int] = (),
) -> PlannedCall:
    """The offer itself (A5, step 7) [LIVE]: costs a connect. How files are named in it is not known."""
    if duration_days <= 0:
        raise Invalid("Срок должен быть больше нуля дней.", field="duration_days")
    fields = (
        ("wantId", str(project_id)),
        ("offerType", CUSTOM_OFFER),
        ("description", needed(message, "message", "Напишите текст отклика.")),
        ("kwork_duration", str(duration_days)),
        ("kwork_price", str(whole_roubles(price_kopecks, "price"))),
        ("kwork_name", needed(title, "title", "Укажите название заказа.")),
        *((OFFER_FILES, str(number)) for number in dict.fromkeys(file_ids)),
    )
    again = (
        ("wantId", str(project_id)),
        ("offerType", CUSTOM_OFFER),
    )  # one working client repeats them [CODE]
    return PlannedCall(
        Surface.WEB, "POST", paths.CREATE_OFFER, fields, again, Encoding.MULTIPART, irrevocable=True
    )


def delete_offer(offer_id: int) -> PlannedCall:
    """The call is [LIVE], the name of its parameter is not known."""
    return _plan(paths.DELETE_OFFER, (("offerId", str(offer_id)),), Encoding.MULTIPART, irrevocable=True)


def send_message(user_id: int, text: str, *, reply_to: int | None = None) -> PlannedCall:
    """The form of the dialog page [CAP / CODE], without files: how it names them is not known."""
    fields = (
        ("submg", "1"),
        ("msgto", str(user_id)),
        ("message_body", message_text(text, ())),
        ("kworkId", ""),
        ("want_id", ""),
        ("message_id", "" if reply_to is None else str(reply_to)),
        ("message_message_format", ""),
    )
    return _plan(paths.SEND_MESSAGE, fields, Encoding.MULTIPART, irrevocable=True)


def save_gig(form: GigForm, changes: Changes) -> PlannedCall:
    """The gig's form with what was asked changed and the rest as it was [LIVE].

    A list of values replaces all values of its name; an empty one takes the field out (a checkbox cleared).
    Raises ``Invalid`` for a name the form does not have.
    """
    strangers = sorted(changes.keys() - {name for name, _ in form.fields})
    if strangers:
        raise Invalid(f"В форме кворка нет поля {strangers[0][:60]}.", field=strangers[0][:60])
    action = urlsplit(form.action)
    return PlannedCall(
        Surface.WEB,
        "POST",
        action.path,
        _changed(form.fields, changes),
        tuple(parse_qsl(action.query, keep_blank_values=True)),
        irrevocable=True,
    )


def start_gig(gig_id: int) -> PlannedCall:
    """The call is [LIVE], the name of its parameter is not known; prefer the mobile surface."""
    return _plan(paths.START_GIG, (("id", str(gig_id)),), irrevocable=True)


def pause_gig(gig_id: int) -> PlannedCall:
    """As ``start_gig``."""
    return _plan(paths.PAUSE_GIG, (("id", str(gig_id)),), irrevocable=True)


def _plan(
    path: str, fields: Pairs, encoding: Encoding = Encoding.FORM, *, irrevocable: bool = False
) -> PlannedCall:
    return PlannedCall(Surface.WEB, "POST", path, fields, encoding=encoding, irrevocable=irrevocable)


def _changed(fields: Pairs, changes: Changes) -> Pairs:
    """New values stand where the name stood first."""
    done: set[str] = set()
    changed: list[tuple[str, str]] = []
    for name, value in fields:
        if name not in changes:
            changed.append((name, value))
        elif name not in done:
            done.add(name)
            wanted = changes[name]
            changed += [(name, one) for one in ([wanted] if isinstance(wanted, str) else wanted)]
    return tuple(changed)
