"""All methods the stand-in knows, by name, with the scope each needs."""

from collections.abc import Callable
from typing import Any

from sandbox.bitrix24 import items
from sandbox.bitrix24.portal import CONTACT, OWNERS, Portal, Record
from sandbox.bitrix24.refusals import Refused, bad_argument
from sandbox.bitrix24.visit import Visit

Method = Callable[[Portal, Record, Visit], Any]
_UF_LENGTH = 20


def settings_mode(portal: Portal, params: Record, visit: Visit) -> Any:
    return portal.mode


def categories(portal: Portal, params: Record, visit: Visit) -> Any:
    rows = [
        {"id": number, "name": name, "sort": 300, "entityTypeId": 2, "isDefault": "N" if number else "Y"}
        for number, name in portal.categories.items()
    ]
    visit.total = len(rows)
    return {"categories": rows}


def statuses(portal: Portal, params: Record, visit: Visit) -> Any:
    wanted = params.get("filter")
    rows = portal.statuses(wanted.get("ENTITY_ID") if isinstance(wanted, dict) else None)
    visit.total = len(rows)
    return rows


def duplicates(portal: Portal, params: Record, visit: Visit) -> Any:
    """Ids by phone or e-mail; `[]` when there are none, as PHP writes an empty map."""
    kind, values = params.get("type"), params.get("values")
    if kind not in ("PHONE", "EMAIL"):
        raise Refused(400, "", "Communication type is not defined.")
    if not isinstance(values, list) or not 1 <= len(values) <= 20:
        raise Refused(400, "", "Communication values is not defined.")
    wanted = {_digits(str(value)) if kind == "PHONE" else str(value).casefold() for value in values}
    found = [
        number
        for number, item in portal.items[CONTACT].items()
        for one in item["fm"]
        if one["typeId"] == kind
        and (_digits(one["value"]) if kind == "PHONE" else one["value"].casefold()) in wanted
    ]
    return {"CONTACT": list(dict.fromkeys(found))} if found else []


def add_comment(portal: Portal, params: Record, visit: Visit) -> Any:
    fields = params.get("fields")
    if not isinstance(fields, dict) or not {"ENTITY_ID", "ENTITY_TYPE", "COMMENT"} <= fields.keys():
        raise Refused(400, "100", "Required fields are missing")
    kind = OWNERS.get(str(fields["ENTITY_TYPE"]), 0)
    if int(fields["ENTITY_ID"]) not in portal.items.get(kind, {}):
        raise Refused(400, "OWNER_NOT_FOUND", "Owner was not found")
    if not str(fields["COMMENT"]).strip():
        raise bad_argument("Empty comment message")
    comment = {
        "ID": str(portal.next_id()),
        "ENTITY_ID": str(fields["ENTITY_ID"]),
        "ENTITY_TYPE": fields["ENTITY_TYPE"],
        "CREATED": portal.moment(),
        "COMMENT": fields["COMMENT"],
        "AUTHOR_ID": str(portal.owner),
    }
    portal.comments.append(comment)
    visit.act("note added", id=comment["ID"], of=fields["ENTITY_ID"])
    return int(comment["ID"])


def list_comments(portal: Portal, params: Record, visit: Visit) -> Any:
    given = params.get("filter")
    if not isinstance(given, dict) or not {"ENTITY_ID", "ENTITY_TYPE"} <= given.keys():
        raise Refused(400, "100", "Required filter fields are missing")
    rows = [
        row
        for row in portal.comments
        if (row["ENTITY_ID"], row["ENTITY_TYPE"]) == (str(given["ENTITY_ID"]), given["ENTITY_TYPE"])
    ]
    if isinstance(params.get("order"), dict) and params["order"].get("ID") == "DESC":
        rows.reverse()
    visit.total = len(rows)
    return rows[: items.PAGE]


def new_user_field(kind: int) -> Method:
    def method(portal: Portal, params: Record, visit: Visit) -> Any:
        fields = params.get("fields")
        name = str(fields.get("FIELD_NAME", "")) if isinstance(fields, dict) else ""
        full = name if name.startswith("UF_CRM_") else f"UF_CRM_{name}"
        if not name or len(full) > _UF_LENGTH:
            raise Refused(400, "ERROR_CORE", "Неверный код поля")
        if full in portal.user_fields[kind]:
            raise Refused(400, "ERROR_CORE", f"Поле {full} уже существует")
        portal.user_fields[kind].add(full)
        visit.act("user field created", name=full)
        return portal.next_id()

    return method


METHODS: dict[str, Method] = {
    "crm.item.add": items.add,
    "crm.item.update": items.update,
    "crm.item.get": items.get,
    "crm.item.list": items.listed,
    "crm.item.fields": items.fields,
    "crm.settings.mode.get": settings_mode,
    "crm.category.list": categories,
    "crm.status.list": statuses,
    "crm.duplicate.findbycomm": duplicates,
    "crm.timeline.comment.add": add_comment,
    "crm.timeline.comment.list": list_comments,
    "crm.lead.userfield.add": new_user_field(1),
    "crm.deal.userfield.add": new_user_field(2),
}


def _digits(phone: str) -> str:
    digits = "".join(character for character in phone if character.isdecimal())
    return "7" + digits[1:] if len(digits) == 11 and digits[0] == "8" else digits
