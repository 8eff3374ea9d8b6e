"""``CrmConnector`` over a profile: creates, updates, and what must hold before and after the first write."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx2

from app.crm.answers import Unreadable, json_of
from app.crm.check import Step, run_steps
from app.crm.http import Answer
from app.crm.profile.asking import ask, ask_id
from app.crm.profile.door import Door
from app.crm.profile.judging import Judge
from app.crm.profile.parts import Call, ReadyStep
from app.crm.profile.reader import Reader
from app.crm.profile.record import contact_values, lead_values, untold
from app.crm.profile.settings import ProfileSettings
from app.domain.crm import (
    ConnectionReport,
    Contact,
    CrmRequest,
    Entity,
    Handling,
    JsonBody,
    Lead,
    Saved,
)
from app.domain.errors import Blocked, Rejected, VendorError

Values = dict[str, Any]


class ProfileConnector:
    """One tenant's connection; holds a keep-alive pool of its own, so close it with ``aclose``."""

    def __init__(self, settings: ProfileSettings, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._profile = settings.ready
        self._common: Values = {"values": settings.given}
        self._prefix = settings.key_prefix
        self._door = Door(settings, transport)
        self._judge = Judge(self._door.refusals)
        self._reader = Reader(self._profile, self._common, self._door, self._judge)
        self._keys = _Keys()
        self._is_set_up = not self._profile.set_up
        self._proven: set[Entity] = set()
        self._loses_keys = False

    async def create_lead(self, lead: Lead) -> Saved:
        key = self._prefix + lead.external_id
        return await self._create(Entity.LEAD, key, self._lead(lead), self.lead_body(lead))

    async def update_lead(self, crm_id: str, lead: Lead) -> Saved:
        return await self._update(Entity.LEAD, crm_id, self._lead(lead), lead.handling)

    async def create_contact(self, contact: Contact) -> Saved:
        key = self._prefix + contact.external_id
        return await self._create(Entity.CONTACT, key, self._contact(contact), self.contact_body(contact))

    async def update_contact(self, crm_id: str, contact: Contact) -> Saved:
        return await self._update(Entity.CONTACT, crm_id, self._contact(contact), contact.handling)

    def lead_body(self, lead: Lead) -> JsonBody:
        return _body(self._profile.resources[Entity.LEAD].create, self._lead(lead), lead.handling)

    def contact_body(self, contact: Contact) -> JsonBody:
        return _body(self._profile.resources[Entity.CONTACT].create, self._contact(contact), contact.handling)

    async def requests_for(
        self, record: Lead | Contact, crm_id: str | None, *, look: bool = False
    ) -> Sequence[CrmRequest]:
        resource = self._profile.resources[Entity.LEAD if isinstance(record, Lead) else Entity.CONTACT]
        values = self._lead(record) if isinstance(record, Lead) else self._contact(record)
        call = resource.create if crm_id is None else resource.update
        values = values if crm_id is None else {**values, "id": crm_id}
        address = self._door.shown(call.path.render(values))
        return [CrmRequest(call.method, address, _body(call, values, record.handling))]

    async def find(self, entity: Entity, external_id: str) -> str | None:
        return await self._reader.find(entity, self._prefix + external_id)

    async def check(self) -> ConnectionReport:
        """The profile's own questions, what set-up makes, and a look-up of what cannot be there."""
        steps: dict[str, Step] = {
            check.name: partial(self._reader.answer_to, check) for check in self._profile.check
        }
        steps |= {step.source.name: partial(self._expect_made, step) for step in self._profile.set_up}
        if self._profile.resources[Entity.LEAD].lookup is not None:
            steps["lookup"] = self._reader.find_nothing
        return await run_steps(steps)

    async def aclose(self) -> None:
        await self._door.aclose()

    def _lead(self, lead: Lead) -> Values:
        return {**self._common, "lead": lead_values(lead, self._profile.stages, self._prefix)}

    def _contact(self, contact: Contact) -> Values:
        return {**self._common, "contact": contact_values(contact, self._prefix)}

    async def _create(self, entity: Entity, external_id: str, values: Values, body: JsonBody) -> Saved:
        """``external_id`` here and below: with the connection's prefix."""
        await self._expect_set_up()
        if not self._profile.resources[entity].source.create.look_first:
            return await self._send_new(entity, external_id, values, body)
        async with self._keys.alone(external_id):
            known = await self._reader.find(entity, external_id)
            if known is not None:
                return Saved(known, created=False)
            return await self._send_new(entity, external_id, values, body)

    async def _send_new(self, entity: Entity, external_id: str, values: Values, body: JsonBody) -> Saved:
        resource = self._profile.resources[entity]
        answer = await self._write(resource.create, values, body)
        if self._judge.write(resource.create.rules, answer) == "exists":
            return Saved(await self._named(entity, external_id, answer), created=False)
        data = _json(answer)
        crm_id = ask_id(resource.created_id, data)
        if crm_id is None:
            raise self._judge.unclear_write(f"HTTP {answer.status} without an id")
        if ask(resource.created_key, data) not in (None, external_id):
            raise self._judge.unclear_write("the CRM answered with another record")
        await self._expect_key_kept(entity, crm_id, external_id)
        return Saved(crm_id, created=True)

    async def _named(self, entity: Entity, external_id: str, answer: Answer) -> str:
        """The id of the record that is there already; it must carry our key, by the CRM's own word."""
        resource = self._profile.resources[entity]
        data = _json(answer)
        named, key = ask_id(resource.created_id, data), ask(resource.created_key, data)
        if key is None and named is not None and resource.reading is not None and resource.reading.key:
            key = ask(resource.reading.key, await self._reader.get(resource.reading.path, {"id": named}))
        if key is None and resource.lookup is not None:
            found = await self._reader.find(entity, external_id)
            if found is not None and named in (None, found):
                return found
        if named is None or key != external_id:
            raise Rejected("CRM назвала существующей другую запись.")
        return named

    async def _update(self, entity: Entity, known_id: str, values: Values, handling: Handling) -> Saved:
        resource = self._profile.resources[entity]
        known = {**values, "id": known_id}
        answer = await self._write(resource.update, known, _body(resource.update, known, handling))
        if self._judge.write(resource.update.rules, answer) == "exists":
            raise self._judge.refused(answer)
        told = ask_id(resource.updated_id, _json(answer)) if resource.updated_id is not None else None
        if told not in (None, known_id):
            raise self._judge.unclear_write("the CRM answered with another record")
        return Saved(known_id, created=False)

    async def _expect_set_up(self) -> None:
        """Before the first write: a CRM may swallow a key whose field is missing, and say nothing."""
        if self._loses_keys:
            raise _key_lost(Blocked)
        if self._is_set_up:
            return
        for step in self._profile.set_up:
            if not await self._reader.is_made(step):
                raise Blocked(
                    f"В CRM нет того, что нужно до первой записи: «{step.source.name}». Выполните настройку подключения.",
                    code="set_up_needed",
                )
        self._is_set_up = True

    async def _expect_made(self, step: ReadyStep) -> str:
        if not await self._reader.is_made(step):
            raise Rejected(
                "В CRM этого ещё нет: сервис создаст это, когда подключение включат.", code="set_up_needed"
            )
        return "Уже есть."

    async def _expect_key_kept(self, entity: Entity, crm_id: str, external_id: str) -> None:
        """After the first write: the record is read, its key compared."""
        resource = self._profile.resources[entity]
        if not resource.source.create.read_back or entity in self._proven or resource.reading is None:
            return
        try:
            data = await self._reader.get(resource.reading.path, {"id": crm_id})
        except VendorError:
            return  # the record is there, which is what matters; the next one proves it
        if ask(resource.reading.key, data) != external_id:
            self._loses_keys = True
            raise _key_lost(Rejected, crm_id)
        self._proven.add(entity)

    async def _write(self, call: Call, values: Values, body: JsonBody) -> Answer:
        return await self._door.send(call.method, call.path.render(values), body, write=True)


class _Keys:
    """One create for a key at a time, so that looking first means something."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def alone(self, key: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(key)
            if users > 1:
                self._locks[key] = (lock, users - 1)


def _body(call: Call, values: Values, handling: Handling) -> JsonBody:
    return call.body.render(values, without=untold(handling)) if call.body is not None else {}


def _json(answer: Answer) -> object:
    """Of an answer that was judged already; None where there is no JSON."""
    try:
        return json_of(answer)
    except Unreadable:
        return None


def _key_lost(family: type[VendorError], crm_id: str | None = None) -> VendorError:
    where = f"Запись создана в CRM под номером {crm_id}, но" if crm_id else "В этой CRM"
    return family(
        f"{where} ключ не сохраняется. Создайте поле ключа (настройка подключения), впишите в запись её ключ "
        "и повторите.",
        code="key_not_kept",
    )
