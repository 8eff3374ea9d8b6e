"""``CrmConnector`` over Bitrix24's ``crm.item.*``.

A portal takes the same key twice without a word, so every create looks the key up first; two creates of one key
at the same moment are kept apart by the outbox alone (one worker for a connection).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import httpx2
import structlog

from app.crm.bitrix24.answers import Unreadable, item_in
from app.crm.bitrix24.batches import BatchSaver
from app.crm.bitrix24.bodies import BodyWriter
from app.crm.bitrix24.changes import changed_fields
from app.crm.bitrix24.contacts import ContactLinks
from app.crm.bitrix24.items import ItemRef, ItemType, id_in, ref_of
from app.crm.bitrix24.keys import by_key, find_call, keeps_key
from app.crm.bitrix24.kinds import Kinds
from app.crm.bitrix24.notes import add_note
from app.crm.bitrix24.planning import Planning, unasked
from app.crm.bitrix24.rest import Call, Rest
from app.crm.bitrix24.settings import Bitrix24Settings
from app.crm.bitrix24.setup import SetUp, portal_kind
from app.crm.bitrix24.stages import leads_at, stages_of
from app.domain.crm import (
    CallRate,
    ConnectionReport,
    Contact,
    CrmRequest,
    CrmStage,
    Entity,
    JsonBody,
    Lead,
    LeadAtCrm,
    LeadChange,
    Note,
    RecordField,
    Saved,
)
from app.domain.errors import ServiceError

log = structlog.get_logger(__name__)

_RATES: Final = {"standard": CallRate(2.0, 50), "enterprise": CallRate(5.0, 250)}
"""Per portal and address of the caller [doc limits]."""


class Bitrix24Connector:
    """One tenant's connection; holds a keep-alive pool of its own, so close it with ``aclose``."""

    def __init__(
        self, settings: Bitrix24Settings, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._settings = settings
        self._bodies = BodyWriter(settings)
        self._rest = Rest(settings, transport)
        self._contacts = ContactLinks(self._rest, self._bodies)
        self._planning = Planning(self._rest, self._bodies, self._contacts, links=settings.link_contacts)
        self._kinds = Kinds(settings)

    @property
    def call_rate(self) -> CallRate:
        return _RATES[self._settings.plan]

    @property
    def batch_size(self) -> int:
        return self._settings.batch_size

    async def create_lead(self, lead: Lead) -> Saved:
        kind = await self._lead_kind(lead.external_id)
        body = self._bodies.new_lead(lead, kind)
        found = await self._find(kind, lead.external_id)
        if found is not None:
            return Saved(str(found), created=False)
        return self._judge(await self._rest.write(Call("crm.item.add", body)), lead, None, kind)

    async def update_lead(self, crm_id: str, lead: Lead) -> Saved:
        kind = await self._lead_kind(lead.external_id)
        ref = ref_of(crm_id, kind)
        call = await self._planning.changed_lead(lead, ref, kind)
        saved = self._judge(await self._rest.write(call), lead, ref, ref.kind)
        return Saved(crm_id, created=saved.created)

    async def save_leads(self, changes: Sequence[LeadChange]) -> list[Saved | ServiceError]:
        """At most ``batch_size``; the sending is told in two calls of the portal's rate."""
        if len(changes) > self.batch_size:
            raise ValueError(f"at most {self.batch_size} leads in one call")
        kinds = [await self._lead_kind(change.lead.external_id) for change in changes]
        outcomes: dict[int, Saved | ServiceError] = {}
        for kind in sorted(set(kinds)):
            places = [place for place, one in enumerate(kinds) if one is kind]
            saved = await self._save_leads(kind, [changes[place] for place in places])
            outcomes |= dict(zip(places, saved, strict=True))
        return [outcomes[place] for place in range(len(changes))]

    async def _save_leads(self, kind: ItemType, changes: Sequence[LeadChange]) -> list[Saved | ServiceError]:
        def judge(result: object, lead: Lead, ref: ItemRef | None) -> Saved:
            return self._judge(result, lead, ref, ref.kind if ref else kind)

        return await BatchSaver(self._rest, self._bodies, kind, judge).save(changes)

    async def create_contact(self, contact: Contact) -> Saved:
        found = await self._find(ItemType.CONTACT, contact.external_id)
        if found is not None:
            return Saved(str(found), created=False)
        call, known = await self._planning.new_contact(contact)
        return self._judge(await self._rest.write(call), contact, known, ItemType.CONTACT)

    async def update_contact(self, crm_id: str, contact: Contact) -> Saved:
        ref = ref_of(crm_id, ItemType.CONTACT)
        call = await self._planning.changed_contact(contact, ref)
        return self._judge(await self._rest.write(call), contact, ref, ItemType.CONTACT)

    def lead_body(self, lead: Lead) -> JsonBody:
        """Raises ``Unavailable`` while ``entity`` is ``auto`` and the portal was not asked yet: any call asks it."""
        kind = self._kinds.of(lead.external_id)
        if kind is None:
            raise unasked()
        return self._bodies.new_lead(lead, kind)

    def contact_body(self, contact: Contact) -> JsonBody:
        return self._bodies.new_contact(contact)

    async def requests_for(
        self, record: Lead | Contact, crm_id: str | None, *, look: bool = False
    ) -> Sequence[CrmRequest]:
        kind = await self._lead_kind(record.external_id) if look else self._kinds.of(record.external_id)
        call = await self._planning.of(record, crm_id, kind, look=look)
        return [CrmRequest("POST", self._rest.shown(call.method), dict(call.params))]

    async def find(self, entity: Entity, external_id: str) -> str | None:
        kind = ItemType.CONTACT if entity is Entity.CONTACT else await self._lead_kind(external_id)
        found = await self._find(kind, external_id)
        return None if found is None else str(found)

    async def add_note(self, lead_crm_id: str, note: Note) -> Saved:
        return await add_note(self._rest, ref_of(lead_crm_id, await self._lead_kind()), note)

    async def stages(self) -> Sequence[CrmStage]:
        kinds = await self._lead_kinds()
        try:
            found = [(kind, stage) for kind in kinds for stage in await stages_of(self._rest, kind)]
        except Unreadable as error:
            raise self._rest.unclear(str(error), write=False) from None
        return [replace(stage, id=self._kinds.shown(kind, stage.id)) for kind, stage in found]

    async def stage_of(self, lead: Lead) -> str | None:
        kind = await self._lead_kind(lead.external_id)
        stage = self._bodies.stages(kind)[lead.status]
        return None if stage is None else self._kinds.shown(kind, stage)

    async def changed_fields(self, crm_id: str, sent: Lead) -> frozenset[RecordField]:
        ref = ref_of(crm_id, await self._lead_kind())
        return changed_fields(self._bodies.compared(sent, ref.kind), await self._planning.get(ref))

    async def leads_at(self, crm_ids: Sequence[str]) -> Sequence[LeadAtCrm]:
        """Only of the kinds that are made now: another kind's stages mean nothing here."""
        usual, *_ = kinds = await self._lead_kinds()
        found: list[LeadAtCrm] = []
        for kind in kinds:
            refs = {ref.id: crm_id for crm_id in crm_ids if (ref := ref_of(crm_id, usual)).kind is kind}
            try:
                told = await leads_at(self._rest, kind, refs) if refs else []
            except Unreadable as error:
                raise self._rest.unclear(str(error), write=False) from None
            found += [replace(one, stage_id=self._kinds.shown(kind, one.stage_id)) for one in told]
        return found

    async def check(self) -> ConnectionReport:
        return await SetUp(self._rest, self._bodies, self._settings).check()

    async def set_up(self) -> ConnectionReport:
        return await SetUp(self._rest, self._bodies, self._settings).make()

    async def aclose(self) -> None:
        await self._rest.aclose()

    async def _lead_kind(self, external_id: str = "") -> ItemType:
        """Of a lead's key; without one what orders become."""
        if self._kinds.orders is None:
            self._kinds.orders = await portal_kind(self._rest)
        return self._kinds.of(external_id) or self._kinds.orders

    async def _lead_kinds(self) -> tuple[ItemType, ...]:
        """What orders become, then what projects become where that is something else."""
        orders = await self._lead_kind()
        projects = self._kinds.projects
        return (orders, projects) if projects is not None and self._kinds.are_two else (orders,)

    async def _find(self, kind: ItemType, external_id: str) -> ItemRef | None:
        key = self._bodies.key(external_id)
        result = await self._rest.read(find_call(kind, key))
        try:
            return by_key(result, kind, key)
        except Unreadable as error:
            raise self._rest.unclear(str(error), write=False) from None

    def _judge(self, result: object, sent: Lead | Contact, ref: ItemRef | None, kind: ItemType) -> Saved:
        """Reads a written item back: its answer is the item as the portal keeps it [doc crm.item.add]."""
        try:
            record = item_in(result)
        except Unreadable as error:
            raise self._rest.unclear(str(error), write=True) from None
        key = self._bodies.key(sent.external_id)
        number = id_in(record) or 0
        if keeps_key(record, key) is False or (ref is not None and ref.id != number):
            raise self._rest.unclear("the portal answered with another record", write=True)
        if keeps_key(record, key) is None:
            log.warning("bitrix24_key_is_not_kept", key=key["originId"])
        return Saved(str(ref or ItemRef(kind, number)), created=ref is None)
