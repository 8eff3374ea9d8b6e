"""Shows what would go to a CRM for an order, a project or a sample: action, differences, exact requests. Sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from app.core.database import Database, TenantConnection
from app.domain.crm import (
    Contact,
    CrmConnector,
    CrmRequest,
    Entity,
    Handling,
    Lead,
    LookupUnsupported,
)
from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.listing import OrderId, OrderKind
from app.models.mapping_schemas import MappingIn
from app.repositories.connections import Connections, CrmConnection
from app.repositories.crm_links import CrmLink, CrmLinks
from app.repositories.deliveries import Outgoing
from app.repositories.markets import Markets
from app.repositories.orders import Orders
from app.repositories.project_leads import ProjectFacts, ProjectLeads
from app.services.lead_payloads import contact_of, content_of, lead_of, order_lead, outgoing, project_lead
from app.services.push_orders import buyers_in, contacts_of
from app.services.ready_mapping import SAMPLE, ReadyMapping, ready, ready_mapping
from app.services.shape_records import Known, ShapeRecords

CREATE, UPDATE, SKIP = "create", "update", "skip"

_SAMPLE_BUYER: Final = Contact(
    external_id="kwork:user:1048576",
    name="Пример Покупателев",
    url="https://kwork.ru/user/buyer_one",
    metadata={"kwork_user_id": 1048576, "kwork_username": "buyer_one"},
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of what a preview is asked: one of ``sample``, ``order``, ``project``."""

    order: str | None = None
    project: str | None = None
    mapping: MappingIn | None = None
    """Tried in place of the kept one."""
    look: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that the next sending changes."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class RecordPreview:
    """What would happen to one record."""

    entity: Entity
    external_id: str
    action: str
    crm_id: str | None
    record: Mapping[str, Any]
    differences: Sequence[Difference]
    requests: Sequence[CrmRequest]
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    """A record with what is known of it."""

    made: Outgoing
    link: CrmLink | None


class PreviewDelivery:
    """Works in every mode of a connection, also with a mapping that is not kept."""

    def __init__(self, database: Database, connect: Callable[[str, CrmConnection], CrmConnector]) -> None:
        self._database = database
        self._connect = connect

    async def run(self, tenant_id: str, connection_id: UUID, wanted: Wanted) -> list[RecordPreview]:
        """The buyer's contact, where he is known, and the lead. Raises ``NotFound``, ``Invalid`` for the mapping, and
        with ``look`` what reading from the CRM raises."""
        async with self._database.tenant(tenant_id) as scope:
            connection = await Connections(scope).get(connection_id)
            items = [await _known(scope, connection_id, made) for made in await _records(scope, wanted)]
        mapping = _mapping_of(connection, wanted)
        crm = self._connect(tenant_id, connection)
        try:
            show = _Show(crm, connection, mapping, look=wanted.look)
            return await show.all(items)
        finally:
            await crm.aclose()


class _Show:
    """One preview."""

    def __init__(
        self, crm: CrmConnector, connection: CrmConnection, mapping: ReadyMapping, *, look: bool
    ) -> None:
        self._crm = crm
        self._connection = connection
        self._mapping = mapping
        self._shaping = ShapeRecords(mapping, crm, asks=look)
        self._look = look

    async def all(self, items: Sequence[_Item]) -> list[RecordPreview]:
        contact_id = next((item.link.crm_id for item in items if item.link and _is_contact(item)), None)
        try:
            return [await self._one(item, contact_id) for item in items]
        except Unavailable as error:
            if self._look:
                raise
            raise Conflict(
                f"{error.detail} Или запросите предпросмотр с lookup=true.", code=error.code
            ) from None

    async def _one(self, item: _Item, contact_id: str | None) -> RecordPreview:
        action, code, reason, crm_id = await self._action(item)
        known = _known_as(crm_id, item.link)
        record: Lead | Contact
        if _is_contact(item):
            record = self._shaping.contact(contact_of(item.made.payload), known)
        else:
            lead = lead_of(item.made.payload, contact_id)
            await self._crm.requests_for(lead, crm_id, look=self._look)  # can anything be told at all?
            record = (await self._shaping.lead(lead, known)).lead
        return RecordPreview(
            item.made.entity,
            item.made.external_id,
            action,
            crm_id,
            {**content_of(record), **_handled(record.handling)},
            _differences(known.sent if known else None, content_of(record)),
            await self._crm.requests_for(record, crm_id, look=self._look),
            code,
            reason,
        )

    async def _action(self, item: _Item) -> tuple[str, str | None, str | None, str | None]:
        """Action, why, and the record's id in the CRM."""
        made, link = item.made, item.link
        if link is not None:
            if link.payload_hash == made.payload_hash:
                return SKIP, "unchanged", "На Kwork ничего не изменилось: вызова не будет.", link.crm_id
            return UPDATE, None, None, link.crm_id
        if not _is_contact(item) and not self._mapping.said.takes(lead_of(made.payload, None)):
            return SKIP, "kind_not_taken", "Настройка не берёт такие лиды: kinds.", None
        since = self._connection.announce_from
        if since is not None and made.appeared_at is not None and made.appeared_at < since:
            return SKIP, "older_than_announced", "Появился раньше announce_from: сам лидом не станет.", None
        return await self._action_by_key(made)

    async def _action_by_key(self, made: Outgoing) -> tuple[str, str | None, str | None, str | None]:
        if not self._look:
            return CREATE, None, None, None
        try:
            found = await self._crm.find(made.entity, made.external_id)
        except LookupUnsupported as error:
            return CREATE, error.code, error.detail, None
        if found is not None:
            return (
                SKIP,
                "found_in_crm",
                "В CRM уже есть запись с этим ключом: она будет взята как есть.",
                found,
            )
        return CREATE, None, None, None


def _mapping_of(connection: CrmConnection, wanted: Wanted) -> ReadyMapping:
    if wanted.mapping is not None:
        return ready(wanted.mapping.domain())
    return ready_mapping(dict(connection.mapping))


async def _records(scope: TenantConnection, wanted: Wanted) -> list[Outgoing]:
    """What would be queued: the buyer's contact and the lead."""
    if wanted.order is not None:
        row = await _row(Orders(scope).by_ids, wanted.order, OrderKind.ORDER, "Такого заказа нет.")
        return [*await contacts_of(scope, buyers_in([row])), _dated(order_lead(row), row)]
    if wanted.project is not None:
        row = await _row(
            Markets(scope.connection).by_ids, wanted.project, OrderKind.PROJECT, "Такого проекта нет."
        )
        facts = (await ProjectLeads(scope).facts([row["id"]])).get(row["id"], ProjectFacts())
        return [*await contacts_of(scope, buyers_in([row])), _dated(project_lead(row, facts), row)]
    return [outgoing(Entity.CONTACT, _SAMPLE_BUYER), outgoing(Entity.LEAD, SAMPLE)]


def _dated(made: Outgoing, row: Mapping[str, Any]) -> Outgoing:
    return replace(made, appeared_at=row["appeared_at"])


async def _row(by_ids: Callable[..., Any], public: str, kind: OrderKind, absent: str) -> Mapping[str, Any]:
    named = OrderId.parse(public)
    rows = await by_ids([named.number]) if named.kind in (None, kind) else []
    if not rows:
        raise NotFound(absent)
    found: Mapping[str, Any] = rows[0]
    return found


async def _known(scope: TenantConnection, connection_id: UUID, made: Outgoing) -> _Item:
    return _Item(made, await CrmLinks(scope).get(connection_id, made.entity, made.external_id))


def _known_as(crm_id: str | None, link: CrmLink | None) -> Known | None:
    if crm_id is None:
        return None
    return Known(crm_id, link.sent if link else None, link.put_stage if link else None)


def _is_contact(item: _Item) -> bool:
    return item.made.entity is Entity.CONTACT


def _handled(handling: Handling) -> dict[str, Any]:
    """How the record is handled, where the mapping asks for something."""
    told = {
        "stage": "keep" if handling.keeps_stage else handling.stage,
        "responsible_id": handling.responsible_id,
        "tags": list(handling.tags) or None,
        "protected": sorted(handling.protected) or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _differences(sent: Mapping[str, Any] | None, now: Mapping[str, Any]) -> list[Difference]:
    before, after = _flat(sent or {}), _flat(now)
    return [
        Difference(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*after, *before])
        if before.get(name) != after.get(name)
    ]


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """``metadata.kwork_id`` beside ``name``."""
    metadata = content.get("metadata") or {}
    plain = {name: value for name, value in content.items() if name != "metadata"}
    return {**plain, **{f"metadata.{name}": value for name, value in metadata.items()}}
