"""Comments on a lead's timeline."""

from typing import Final

from app.crm.bitrix24.answers import Unreadable, rows_in, text_in
from app.crm.bitrix24.items import ItemRef, id_in
from app.crm.bitrix24.rest import Call, Rest
from app.crm.bitrix24.texts import cut_bytes, moscow, plain
from app.domain.crm import Note, Saved

_TEXT_CAP: Final = 60_000
"""Bytes; the limit is that of the storage, 65,535 [mem]."""


async def add_note(rest: Rest, ref: ItemRef, note: Note) -> Saved:
    """A comment has no external key, so the newest fifty are looked through for the same words of the same second:
    a repeat after an unclear answer then finds the first one."""
    text = comment(note)
    known = await _same_comment(rest, ref, text)
    if known is not None:
        return Saved(str(known), created=False)
    fields = {"ENTITY_ID": ref.id, "ENTITY_TYPE": ref.kind.owner, "COMMENT": text}
    made = id_in({"id": await rest.write(Call("crm.timeline.comment.add", {"fields": fields}))})
    if made is None:
        raise rest.unclear("no id of the comment in the answer", write=True)
    return Saved(str(made), created=True)


def comment(note: Note) -> str:
    return cut_bytes(f"Kwork, {moscow(note.at)}\n{plain(note.text)}", _TEXT_CAP)


async def _same_comment(rest: Rest, ref: ItemRef, text: str) -> int | None:
    call = Call(
        "crm.timeline.comment.list",
        {
            "filter": {"ENTITY_ID": ref.id, "ENTITY_TYPE": ref.kind.owner},
            "select": ["ID", "COMMENT"],
            "order": {"ID": "DESC"},
        },
    )
    try:
        rows = rows_in(await rest.read(call))
    except Unreadable as error:
        raise rest.unclear(str(error), write=False) from None
    same = (id_in({"id": row.get("ID")}) for row in rows if _words(text_in(row, "COMMENT")) == _words(text))
    return next(same, None)


def _words(text: str) -> list[str]:
    """The portal may keep other spaces than were sent [mem]."""
    return text.split()
