"""The stand-in portal as the contract suite's stand for `bitrix24`; and a desk for tests of this kind alone."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from starlette.types import ASGIApp

from app.crm.bitrix24.items import ItemType, ref_of, usual_stages
from app.domain.crm import Lead, LeadStatus
from sandbox.bitrix24.app import SURFACE, build
from sandbox.bitrix24.faults import bad_day
from sandbox.bitrix24.portal import CONTACT, DEAL, LEAD, Portal
from sandbox.journal import Entry
from tests.crm_stands.interface import Call, CrmStand, StoredContact, StoredLead

SECRET = "c4n4ry-w3bh00k"
_METHODS: Mapping[Call, str] = {
    Call.CREATE_LEAD: "crm.item.add",
    Call.CREATE_CONTACT: "crm.item.add",
    Call.UPDATE_CONTACT: "crm.item.update",
    Call.FIND: "crm.item.list",
    Call.SAVE_LEADS: "batch",
    Call.ADD_NOTE: "crm.timeline.comment.add",
}
_WRITES = (".add", ".update")


class Bitrix24Stand(CrmStand):
    kind: ClassVar = "bitrix24"
    surface: ClassVar = SURFACE
    secret: ClassVar = SECRET
    user: ClassVar = "6"
    keeps_keys_unique: ClassVar = False
    throttles: ClassVar[Mapping[str, float]] = {
        "throttles": 5,
        "throttles_for_seconds": 7,
        "operating_limit": 60,
    }
    refused: ClassVar[Sequence[tuple[Lead, str]]] = [
        (Lead("kwork:order:5", "Сайт", contact_id="404404"), "contactIds"),
        (Lead("kwork:order:5", "Сайт", budget_kopecks=100, currency="XXX"), "currencyId"),
    ]
    bitrix24_user = 1
    bitrix24_secret = SECRET

    def app(self) -> ASGIApp:
        self._app = build(self.journal, self.faults, self)
        return self._app

    @property
    def portal(self) -> Portal:
        return self._app.rest.portal

    def settings(self) -> dict[str, Any]:
        return {**self.at(self.url), "entity": "deal"}

    def at(self, url: str) -> dict[str, Any]:
        return {"webhook_url": f"{url}/rest/1/{SECRET}/"}

    def with_secret(self, secret: str) -> dict[str, Any]:
        return {"webhook_url": f"{self.url}/rest/1/{secret}/"}

    async def clear(self) -> None:
        self.open_portal()

    def open_portal(self, **habits: Any) -> Portal:
        """A fresh one, with these habits."""
        self.forget()
        self._app.rest.renew(Portal(self.journal.now, **habits))
        return self.portal

    def bad_day(self, name: str, *, on: Call | None = None, count: int | None = None, **params: Any) -> None:
        path = f"/rest/1/{SECRET}/{_METHODS[on]}" if on else "*"
        bad_day(self.faults, name, path=path, count=count, **params)

    def refuse(self, words: str) -> None:
        body = {"error": "", "error_description": words}
        self.faults.add("error", surface=self.surface, status=400, body=body, content_type="application/json")

    def calls(self, method: str = "") -> list[Entry]:
        return [
            entry for entry in self.journal.entries if entry.path.endswith(f"/{method}" if method else "")
        ]

    def writes(self) -> list[Entry]:
        """Everything is a POST here; what changes something is told by the method's name."""
        return [entry for entry in self.journal.entries if any(m.endswith(_WRITES) for m in _methods(entry))]

    def done(self) -> list[str]:
        return [what.replace("deal ", "lead ") for what in super().done()]

    async def leads(self) -> list[StoredLead]:
        return [self._lead(kind, item) for kind in (LEAD, DEAL) for item in self.portal.items[kind].values()]

    async def contacts(self) -> list[StoredContact]:
        return [
            StoredContact(
                crm_id=str(item["id"]),
                key=_key(item),
                name=" ".join(filter(None, (item["name"], item["lastName"]))),
                phone=next((one["value"] for one in item["fm"] if one["typeId"] == "PHONE"), None),
            )
            for item in self.portal.items[CONTACT].values()
        ]

    def event_of(self, crm_id: str) -> bytes:
        ref = ref_of(crm_id, ItemType.DEAL)
        told = {
            "event": f"ONCRM{ref.kind.name}UPDATE",
            "event_handler_id": "201",
            "data[FIELDS][ID]": ref.id,
            "ts": "1736405807",
            "auth[domain]": "studio.bitrix24.ru",
            "auth[application_token]": "51856fefc120afa4b628cc82d3935cce",
        }
        return urlencode(told).encode()

    async def by_hand(
        self, crm_id: str, *, name: str | None = None, status: LeadStatus | None = None
    ) -> None:
        ref = ref_of(crm_id, ItemType.DEAL)
        item = self.portal.items[ref.kind][ref.id]
        if name is not None:
            item["title"] = name
        if status is not None:
            item["stageId"] = usual_stages(ref.kind, item.get("categoryId", 0))[status]
            item["movedTime"] = self.portal.moment()
        item["updatedTime"] = self.portal.moment()

    def _lead(self, kind: int, item: dict[str, Any]) -> StoredLead:
        statuses: dict[str, LeadStatus] = {}
        for status, stage in usual_stages(ItemType(kind), item.get("categoryId", 0)).items():
            statuses.setdefault(stage, status)
        owner = ItemType(kind).owner
        notes = [
            row["COMMENT"]
            for row in self.portal.comments
            if (row["ENTITY_TYPE"], row["ENTITY_ID"]) == (owner, str(item["id"]))
        ]
        return StoredLead(
            crm_id=f"{owner[0].upper()}_{item['id']}",
            key=_key(item),
            name=item["title"],
            status=statuses[item["stageId"]],
            budget_kopecks=round(item["opportunity"] * 100),
            contact_id=str(item["contactIds"][0]) if item["contactIds"] else None,
            texts="\n".join([*(str(value) for value in item.values()), *notes]),
            responsible_id=str(item["assignedById"]),
        )


def _methods(entry: Entry) -> list[str]:
    """What an entry called; a batch many."""
    if not entry.path.endswith("/batch"):
        return [entry.path]
    return [str(command).partition("?")[0] for command in entry.body["cmd"].values()]


def _key(item: dict[str, Any]) -> str | None:
    return f"kwork:{item['originId']}" if item["originatorId"] == "KWORK" else None
