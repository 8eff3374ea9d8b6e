"""What this CRM refuses before it does anything: one bad record of a list, and none of the list is taken."""

from typing import Any

from sandbox.amocrm.account import Account, Record

Problem = dict[str, str]
NAME_CAP, TEXT_CAP = 255, 256


def problems_of(account: Account, entity: str, body: Any, *, changing: bool) -> list[Problem]:
    """Every problem of one record, as `code`, `path`, `detail`."""
    if not isinstance(body, dict):
        return [_problem("InvalidType", "", "This value should be of type object.")]
    found = list(_plain(body))
    if changing and body.get("id") not in account.records[entity]:
        found.append(_choice("id"))
    if entity == "leads":
        found += _stage(account, body)
    found += _custom(account, entity, body.get("custom_fields_values") or [])
    contacts = body.get("_embedded", {}).get("contacts", [])
    found += [
        _choice(f"_embedded.contacts.{number}.id")
        for number, contact in enumerate(contacts)
        if "id" in contact and contact["id"] not in account.records["contacts"]
    ]
    return found


def resolved(account: Account, entity: str, rows: list[Record]) -> list[Record]:
    """Custom values as they are kept: with the field's id, code, name and type."""
    kept = []
    for row in rows:
        known = _field_of(account, entity, row)
        assert known is not None
        names = {f"field_{name}": known.get(name) for name in ("id", "code", "name", "type")}
        kept.append({**names, "values": row["values"]})
    return kept


def _plain(body: Record) -> list[Problem]:
    kinds = {"name": str, "price": int, "status_id": int, "pipeline_id": int, "responsible_user_id": int}
    found = [
        _problem("InvalidType", name, f"This value should be of type {kind.__name__}.")
        for name, kind in kinds.items()
        if name in body and (not isinstance(body[name], kind) or isinstance(body[name], bool))
    ]
    if len(str(body.get("name", ""))) > NAME_CAP:
        found.append(
            _problem("TooLong", "name", f"This value is too long. It should have {NAME_CAP} characters.")
        )
    return found


def _stage(account: Account, body: Record) -> list[Problem]:
    record = account.records["leads"].get(body.get("id", 0), {})
    pipeline = body.get("pipeline_id", record.get("pipeline_id", account.pipelines[0]["id"]))
    if not any(pipeline == one["id"] for one in account.pipelines):
        return [_choice("pipeline_id")]
    if "status_id" in body and not account.stage_exists(pipeline, body["status_id"]):
        return [_choice("status_id")]
    return []


def _custom(account: Account, entity: str, rows: list[Record]) -> list[Problem]:
    found = []
    for number, row in enumerate(rows):
        path = f"custom_fields_values.{number}"
        known = _field_of(account, entity, row)
        if known is None:
            found.append(_choice(f"{path}.{'field_id' if 'field_id' in row else 'field_code'}"))
        elif not _fits(known["type"], [value.get("value") for value in row.get("values", [])]):
            found.append(_problem("InvalidValue", f"{path}.values.0.value", "This value is not valid."))
    return found


def _field_of(account: Account, entity: str, row: Record) -> Record | None:
    return next(
        (
            known
            for known in account.fields[entity]
            if row.get("field_id") == known["id"] or (row.get("field_code") or "") == known.get("code")
        ),
        None,
    )


def _fits(kind: str, values: list[Any]) -> bool:
    if kind == "date_time":
        return all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    cap = TEXT_CAP if kind == "text" else 100_000
    return bool(values) and all(isinstance(value, str) and len(value) <= cap for value in values)


def _choice(path: str) -> Problem:
    return _problem("NotSupportedChoice", path, "The value you selected is not a valid choice.")


def _problem(code: str, path: str, detail: str) -> Problem:
    return {"code": code, "path": path, "detail": detail}
