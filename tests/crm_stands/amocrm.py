"""The stand-in amoCRM as the contract suite's stand for `amocrm`."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from starlette.types import ASGIApp, Receive, Scope, Send

from app.domain.crm import Lead, LeadStatus
from sandbox.amocrm.account import (
    FIRST_STAGE,
    LOST,
    MAIN_PIPELINE,
    REVIEW_STAGE,
    USER,
    WON,
    WORK_STAGE,
    Account,
)
from sandbox.amocrm.app import build
from sandbox.amocrm.faults import SURFACE, bad_day
from sandbox.amocrm.tokens import Tokens
from tests.crm_stands.interface import Call, CrmStand, StoredContact, StoredLead

TOKEN = "desk-token/with+signs="
_WHERE: Mapping[Call, dict[str, str]] = {
    Call.CREATE_LEAD: {"method": "POST", "path": "/api/v4/leads/complex"},
    Call.CREATE_CONTACT: {"method": "POST", "path": "/api/v4/contacts"},
    Call.UPDATE_CONTACT: {"method": "PATCH", "path": "/api/v4/contacts/*"},
    Call.FIND: {"method": "GET"},
    Call.SAVE_LEADS: {"method": "POST", "path": "/api/v4/leads/complex"},
    Call.ADD_NOTE: {"method": "POST", "path": "/api/v4/leads/*"},
}
_STATUSES = {
    FIRST_STAGE: LeadStatus.NEW,
    WORK_STAGE: LeadStatus.IN_PROGRESS,
    REVIEW_STAGE: LeadStatus.ON_REVIEW,
    WON: LeadStatus.WON,
    LOST: LeadStatus.LOST,
}


class AmoStand(CrmStand):
    """`account` and `tokens` are the CRM's insides."""

    kind: ClassVar = "amocrm"
    surface: ClassVar = SURFACE
    secret: ClassVar = TOKEN
    user: ClassVar = str(USER)
    keeps_keys_unique: ClassVar = False
    throttles: ClassVar[Mapping[str, float]] = {
        "throttles": 2,
        "throttles_for_seconds": 7,
        "throttles_absurdly": 3600,
    }
    refused: ClassVar[Sequence[tuple[Lead, str]]] = [
        (
            Lead("kwork:order:5", "Сайт", contact_id="404404"),
            r"contacts\.0\.id: The value you selected is not",
        ),
        (Lead("kwork:order:5", "Сайт", contact_id="C1"), "Такого номера в amoCRM быть не может"),
    ]

    account: Account
    tokens: Tokens

    def app(self) -> ASGIApp:
        """Looks the account up at each request, so that `clear` can put a new one in its place."""

        async def current(scope: Scope, receive: Receive, send: Send) -> None:
            await self._app(scope, receive, send)

        self._renew()
        return current

    def settings(self) -> dict[str, Any]:
        return {
            "base_url": self.url,
            "api_key": TOKEN,
            "pipeline_id": MAIN_PIPELINE,
            "statuses": {
                "new": FIRST_STAGE,
                "in_progress": WORK_STAGE,
                "on_review": f"{MAIN_PIPELINE}/{REVIEW_STAGE}",
            },
            "calls_per_second": 1000,
            "total_timeout_seconds": 60,
        }

    def at(self, url: str) -> dict[str, Any]:
        return {"base_url": url}

    def with_secret(self, secret: str) -> dict[str, Any]:
        return {"api_key": secret}

    async def clear(self) -> None:
        self.forget()
        self._renew()
        crm = self.connector()
        assert (await crm.set_up()).ok  # type: ignore[attr-defined]
        await crm.aclose()
        self.journal.clear()

    def bad_day(self, name: str, *, on: Call | None = None, count: int | None = None, **params: Any) -> None:
        bad_day(self.faults, name, count=count, **(_WHERE[on] if on else {}), **params)

    def refuse(self, words: str) -> None:
        told = {
            "validation-errors": [
                {"request_id": "0", "errors": [{"code": "Bad", "path": "", "detail": words}]}
            ],
            "title": "Bad Request",
            "status": 400,
        }
        self.faults.add(
            "error", surface=SURFACE, status=400, body=told, content_type="application/problem+json"
        )

    async def leads(self) -> list[StoredLead]:
        return [
            StoredLead(
                crm_id=str(row["id"]),
                key=_custom(row, "KWORK_ID"),
                name=row["name"],
                status=_STATUSES[row["status_id"]],
                budget_kopecks=row["price"] * 100,
                contact_id=next((str(c["id"]) for c in row.get("_embedded", {}).get("contacts", [])), None),
                texts=str(row)
                + str([n["params"] for n in self.account.notes if n["entity_id"] == row["id"]]),
                responsible_id=str(row.get("responsible_user_id")),
            )
            for row in self.account.records["leads"].values()
        ]

    def event_of(self, crm_id: str) -> bytes:
        told = {
            "leads[status][0][id]": crm_id,
            "leads[status][0][status_id]": "1",  # nothing of it is true but the id
            "leads[status][0][pipeline_id]": "2",
            "leads[status][0][custom_fields][0][values][0][value]": "Новое & старое",
            "account[id]": "29412",
            "account[subdomain]": "studio",
        }
        return urlencode(told).encode()

    async def by_hand(
        self, crm_id: str, *, name: str | None = None, status: LeadStatus | None = None
    ) -> None:
        stages = {meant: stage for stage, meant in _STATUSES.items()}
        changes = {"name": name, "status_id": status and stages[status]}
        record = self.account.records["leads"][int(crm_id)]
        self.account.change(record, {field: value for field, value in changes.items() if value is not None})

    async def contacts(self) -> list[StoredContact]:
        return [
            StoredContact(str(row["id"]), _custom(row, "KWORK_ID"), row["name"], _custom(row, "PHONE"))
            for row in self.account.records["contacts"].values()
        ]

    def _renew(self) -> None:
        self.account = Account(self.journal.now)
        self.tokens = Tokens(self.journal.now, TOKEN)
        self._app = build(self.journal, self.faults, self.account, self.tokens)


def _custom(row: Mapping[str, Any], code: str) -> str | None:
    rows = row["custom_fields_values"]
    return next((one["values"][0]["value"] for one in rows if one["field_code"] == code), None)
