"""The demo CRM as the contract suite's stand for `native`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from app.domain.crm import Lead, LeadStatus
from tests.crm_desk import KEY, CrmDesk
from tests.crm_stands.interface import Call, CrmStand, StoredContact, StoredLead

_WHERE: Mapping[Call, dict[str, str]] = {
    Call.CREATE_LEAD: {"method": "POST", "path": "/api/v1/leads"},
    Call.CREATE_CONTACT: {"method": "POST", "path": "/api/v1/contacts"},
    Call.UPDATE_CONTACT: {"path": "/api/v1/contacts/*"},
    Call.FIND: {"method": "GET"},
}


class NativeStand(CrmDesk, CrmStand):
    kind: ClassVar = "native"
    secret: ClassVar = KEY
    user: ClassVar = "U-7"
    keeps_keys_unique: ClassVar = True
    throttles: ClassVar[Mapping[str, float]] = {
        "throttles": 10,
        "throttles_for_seconds": 7,
        "throttles_until_date": 3600,
        "throttles_absurdly": 3600,
        "throttles_in_gibberish": 10,
    }
    refused: ClassVar[Sequence[tuple[Lead, str]]] = [
        (Lead("kwork:order:5", "Сайт", contact_id="C404"), "contact_id: no such contact"),
        (Lead("kwork:order:5", ""), "name: must have 1 to 500 characters"),
    ]

    def at(self, url: str) -> dict[str, Any]:
        return {"base_url": url}

    def with_secret(self, secret: str) -> dict[str, Any]:
        return {"api_key": secret}

    def bad_day(self, name: str, *, on: Call | None = None, count: int | None = None, **params: Any) -> None:
        super().bad_day(name, count=count, **(_WHERE[on] if on else {}), **params)

    def refuse(self, words: str) -> None:
        self.faults.add(
            "error",
            surface=self.surface,
            status=422,
            body={"error": {"message": words}},
            content_type="application/json",
        )

    async def leads(self) -> list[StoredLead]:
        return [
            StoredLead(
                crm_id=row["id"],
                key=row["external_id"],
                name=row["name"],
                status=LeadStatus(row["status"]),
                budget_kopecks=None if row["budget"] is None else round(row["budget"] * 100),
                contact_id=row["contact_id"],
                texts="\n".join(str(value) for value in row.values()),
                responsible_id=row["responsible_id"],
            )
            for row in await self.records()
        ]

    def event_of(self, crm_id: str) -> bytes:
        return json.dumps({"event": "lead.changed", "leads": [{"id": crm_id, "status": "lost"}]}).encode()

    async def by_hand(
        self, crm_id: str, *, name: str | None = None, status: LeadStatus | None = None
    ) -> None:
        changes = {"name": name, "status": status and status.value}
        await self.edit(crm_id, {field: value for field, value in changes.items() if value is not None})

    async def contacts(self) -> list[StoredContact]:
        return [
            StoredContact(row["id"], row["external_id"], row["name"], row["phone"])
            for row in await self.records("contacts")
        ]
