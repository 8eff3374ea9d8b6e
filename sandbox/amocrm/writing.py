"""Creating and changing leads and contacts, their links and notes."""

from typing import Any

from starlette.requests import Request

from sandbox.amocrm.account import LOST, MAIN_PIPELINE, USER, WON, Account, Record
from sandbox.amocrm.answers import Refused, invalid, missing
from sandbox.amocrm.lists import incoming
from sandbox.amocrm.validation import problems_of, resolved
from sandbox.journal import Entry

COMPLEX_CAP, FIELDS_CAP, LIST_CAP = 50, 40, 250
WORDS = {"leads": "lead", "contacts": "contact"}


def rows_of(request: Request, cap: int = LIST_CAP) -> list[Any]:
    """The list a request carries. Raises `Refused`."""
    body = incoming(request).json
    if not isinstance(body, list) or not body:
        raise Refused(400, "Bad Request", "Request body is not a list of objects")
    if len(body) > cap:
        raise Refused(400, "Bad Request", f"No more than {cap} entities a request")
    return body


def check(account: Account, entity: str, rows: list[Any], *, changing: bool) -> None:
    """Raises `Refused`, naming every bad record, before anything is done."""
    found = {
        str(row.get("request_id", number) if isinstance(row, dict) else number): problems
        for number, row in enumerate(rows)
        if (problems := problems_of(account, entity, row, changing=changing))
    }
    if found:
        raise invalid(found)


def create(request: Request, account: Account, entity: str, body: Record) -> Record:
    values = _values(account, entity, body)
    if entity == "leads":
        pipeline = values.setdefault("pipeline_id", MAIN_PIPELINE)
        stages = next(p for p in account.pipelines if p["id"] == pipeline)["_embedded"]["statuses"]
        values.setdefault("status_id", stages[1]["id"])
        values.setdefault("price", 0)
    values.setdefault("responsible_user_id", USER)
    values.setdefault("custom_fields_values", [])
    record = account.add(entity, values)
    note(request, f"{WORDS[entity]} created", record)
    return record


def change(request: Request, account: Account, entity: str, record_id: int, body: Record) -> Record:
    record = account.records[entity].get(record_id)
    if record is None:
        raise missing()
    account.change(record, _values(account, entity, body))
    note(request, f"{WORDS[entity]} updated", record)
    return record


def create_complex(request: Request, account: Account, body: Record) -> Record:
    """A lead and its contact in one; where duplicate control is on, perhaps an older lead instead of a new one."""
    if len(body.get("custom_fields_values") or []) > FIELDS_CAP:
        raise Refused(400, "Bad Request", f"No more than {FIELDS_CAP} custom fields an entity")
    contacts = body.get("_embedded", {}).get("contacts", [])
    if len(contacts) > 1:
        raise Refused(400, "Bad Request", "No more than one contact a lead")
    contact_id = None
    if contacts:
        contact_id = contacts[0].get("id") or create(request, account, "contacts", contacts[0])["id"]
    older = _duplicate(account, contact_id)
    if older is not None:
        lead = change(request, account, "leads", older["id"], {"name": body.get("name", "")})
    else:
        linked = {**body.get("_embedded", {}), "contacts": [{"id": contact_id}] if contact_id else []}
        lead = create(request, account, "leads", {**body, "_embedded": linked})
    return {
        "id": lead["id"],
        "contact_id": contact_id,
        "company_id": None,
        "request_id": [str(body.get("request_id", "0"))],
        "merged": older is not None,
    }


def link(request: Request, account: Account, lead_id: int, contact_id: int) -> None:
    """Linking what is linked already changes nothing."""
    lead = account.records["leads"].get(lead_id)
    if lead is None or contact_id not in account.records["contacts"]:
        raise missing()
    contacts = lead.setdefault("_embedded", {}).setdefault("contacts", [])
    if {"id": contact_id} not in contacts:
        contacts.append({"id": contact_id})
        note(request, "contact linked", lead)


def note(request: Request, what: str, record: Record) -> None:
    entry: Entry = request.state.entry
    entry.decide(what, id=record["id"])


def _values(account: Account, entity: str, body: Record) -> Record:
    values = {name: value for name, value in body.items() if name not in ("id", "request_id")}
    if "custom_fields_values" in values:
        values["custom_fields_values"] = resolved(account, entity, values["custom_fields_values"] or [])
    return values


def _duplicate(account: Account, contact_id: int | None) -> Record | None:
    if not account.habits.merges_duplicates or contact_id is None:
        return None
    return next(
        (
            lead
            for lead in account.records["leads"].values()
            if {"id": contact_id} in lead.get("_embedded", {}).get("contacts", [])
            and lead["status_id"] not in (WON, LOST)
        ),
        None,
    )
