"""``CrmConnector`` over amoCRM API v4, with notes, batches, set-up, stages and its call rate."""

from collections.abc import Callable, Mapping, Sequence

import httpx2

from app.crm.amocrm.answers import (
    Record,
    Unreadable,
    complex_rows,
    id_of,
    record_in,
    rows_in,
)
from app.crm.amocrm.batches import SIZE, Batches
from app.crm.amocrm.bodies import BodyWriter, number
from app.crm.amocrm.changes import Changes
from app.crm.amocrm.client import AmoClient
from app.crm.amocrm.creating import Creation
from app.crm.amocrm.fields import PATHS, Fields
from app.crm.amocrm.lookup import Lookup
from app.crm.amocrm.settings import AmoSettings
from app.crm.amocrm.setup import SetUp
from app.crm.amocrm.stages import Stages
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
    LookupUnsupported,
    Note,
    RecordField,
    Saved,
)
from app.domain.errors import Ambiguous, ServiceError, Unavailable
from app.domain.tokens import TokenKeeper

_MARGIN = 1.1

Rows = Callable[[object], list[Record]]


class AmoConnector:
    """One tenant's connection; holds a keep-alive pool of its own, so close it with ``aclose``.

    ``keeper`` is needed for OAuth2. A create takes two calls (the look-up, the create), an update of a lead with a
    contact two as well (the lead, the link).
    """

    def __init__(
        self,
        settings: AmoSettings,
        keeper: TokenKeeper | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._fields = Fields(settings)
        self._bodies = BodyWriter(settings, self._fields)
        self._client = AmoClient(settings, keeper, transport)
        self._lookup = Lookup(self._client, self._fields)
        self._creation = Creation(self._client, self._fields)
        self._batches = Batches(self._client, self._bodies, self._creation)
        self._stages = Stages(self._client)
        self._changes = Changes(self._client, self._bodies)
        self._set_up = SetUp(settings, self._client, self._fields, self._lookup, self._stages)

    async def create_lead(self, lead: Lead) -> Saved:
        body = self.lead_body(lead)
        if found := await self._already_there(Entity.LEAD, lead.external_id):
            return found
        answer = await self._client.write("POST", "leads/complex", [body])
        return await self._creation.confirmed(self._one(answer, complex_rows), lead)

    async def update_lead(self, crm_id: str, lead: Lead) -> Saved:
        changes = self._bodies.lead_changes(lead)
        saved = await self._update(Entity.LEAD, crm_id, changes)
        if (link := _link_of(lead)) is not None:
            try:
                await self._client.write("POST", f"leads/{number(crm_id)}/link", link)
            except Unavailable as error:
                raise Ambiguous(error.detail) from None  # the lead is changed already
        return saved

    async def create_contact(self, contact: Contact) -> Saved:
        body = self.contact_body(contact)
        if found := await self._already_there(Entity.CONTACT, contact.external_id):
            return found
        answer = await self._client.write("POST", "contacts", [body])
        row = self._one(answer, lambda given: rows_in(given, "contacts")[0])
        return Saved(str(id_of(row)), created=True)

    async def update_contact(self, crm_id: str, contact: Contact) -> Saved:
        return await self._update(Entity.CONTACT, crm_id, self._bodies.contact_changes(contact))

    def lead_body(self, lead: Lead) -> JsonBody:
        return self._bodies.new_lead(lead)

    def contact_body(self, contact: Contact) -> JsonBody:
        return self._bodies.new_contact(contact)

    async def requests_for(
        self, record: Lead | Contact, crm_id: str | None, *, look: bool = False
    ) -> Sequence[CrmRequest]:
        if isinstance(record, Contact):
            return [self._contact_request(record, crm_id)]
        if crm_id is None:
            return [self._shown("POST", "leads/complex", [self.lead_body(record)])]
        path = f"leads/{number(crm_id)}"
        requests = [self._shown("PATCH", path, self._bodies.lead_changes(record))]
        link = _link_of(record)
        return requests if link is None else [*requests, self._shown("POST", f"{path}/link", link)]

    async def find(self, entity: Entity, external_id: str) -> str | None:
        return await self._lookup.find(entity, external_id)

    async def check(self) -> ConnectionReport:
        return await self._set_up.check()

    async def set_up(self) -> ConnectionReport:
        return await self._set_up.make()

    async def add_note(self, lead_crm_id: str, note: Note) -> Saved:
        """amoCRM keeps no key of ours on a note: after an unclear answer nothing tells whether it is there."""
        path = f"leads/{number(lead_crm_id)}/notes"
        answer = await self._client.write("POST", path, [self._bodies.note(note)])
        row = self._one(answer, lambda given: rows_in(given, "notes")[0])
        return Saved(str(id_of(row)), created=True)

    @property
    def batch_size(self) -> int:
        return SIZE

    async def save_leads(self, changes: Sequence[LeadChange]) -> list[Saved | ServiceError]:
        return await self._batches.save(changes)

    async def stages(self) -> Sequence[CrmStage]:
        return await self._stages.all()

    async def leads_at(self, crm_ids: Sequence[str]) -> Sequence[LeadAtCrm]:
        return await self._stages.leads_at(crm_ids)

    async def stage_of(self, lead: Lead) -> str | None:
        pipeline, stage = self._settings.stage(lead.status)
        if stage is None:
            return None
        return str(stage) if pipeline is None else f"{pipeline}/{stage}"

    async def changed_fields(self, crm_id: str, sent: Lead) -> frozenset[RecordField]:
        return await self._changes.since(crm_id, sent)

    @property
    def call_rate(self) -> CallRate:
        """One after the other, a little slower than allowed: calls do not travel equally fast, and who goes on above
        the limit has his address blocked [doc]."""
        return CallRate(per_second=self._settings.calls_per_second / _MARGIN, burst=1)

    async def aclose(self) -> None:
        await self._client.aclose()

    def _contact_request(self, contact: Contact, crm_id: str | None) -> CrmRequest:
        if crm_id is None:
            return self._shown("POST", "contacts", [self.contact_body(contact)])
        return self._shown("PATCH", f"contacts/{number(crm_id)}", self._bodies.contact_changes(contact))

    def _shown(self, method: str, path: str, body: object) -> CrmRequest:
        return CrmRequest(method, self._client.address(path), body)

    async def _already_there(self, entity: Entity, external_id: str) -> Saved | None:
        """A record of an earlier connection; a search that cannot tell stops no create."""
        if not self._settings.look_before_create:
            return None
        try:
            found = await self._lookup.find(entity, external_id)
        except LookupUnsupported:
            return None
        return Saved(found, created=False) if found is not None else None

    async def _update(self, entity: Entity, crm_id: str, changes: JsonBody) -> Saved:
        answer = await self._client.write("PATCH", f"{PATHS[entity]}/{number(crm_id)}", changes)
        if answer is not None and id_of(self._one(answer, lambda given: [record_in(given)])) != crm_id:
            raise self._client.refusals.unclear("amoCRM answered with another record", write=True)
        return Saved(crm_id, created=False)

    def _one(self, answer: object, rows: Rows) -> Record:
        """The one record of a write's answer. Raises ``Ambiguous`` when it is not there."""
        try:
            found = rows(answer)
        except Unreadable as error:
            raise self._client.refusals.unclear(str(error), write=True) from None
        if len(found) != 1 or id_of(found[0]) is None:
            raise self._client.refusals.unclear("not one record in the answer", write=True)
        return found[0]


def _link_of(lead: Lead) -> list[Mapping[str, object]] | None:
    """The body of ``POST leads/{id}/link``; None where no contact is to be linked."""
    if lead.contact_id is None or RecordField.CONTACT in lead.handling.protected:
        return None
    return [{"to_entity_id": number(lead.contact_id), "to_entity_type": "contacts"}]
