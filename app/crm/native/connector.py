"""``CrmConnector`` over the native contract."""

from collections.abc import Sequence
from secrets import token_hex
from urllib.parse import quote

import httpx2
import orjson

from app.crm.answers import Unreadable, parsed
from app.crm.check import run_steps
from app.crm.http import Answer, FencedHttp, Headers, Limits, Unclear, Unsent
from app.crm.native.answers import Record, crm_id, record_in, records_in
from app.crm.native.bodies import BodyWriter
from app.crm.native.settings import NativeSettings
from app.crm.native.standing import Standing
from app.crm.refusals import Refusals
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
    LookupUnsupported,
    RecordField,
    Saved,
)
from app.domain.errors import Ambiguous, Rejected, Unavailable


class NativeConnector:
    """One tenant's connection; holds a keep-alive pool of its own, so close it with ``aclose``."""

    def __init__(self, settings: NativeSettings, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._bodies = BodyWriter(settings)
        self._refusals = Refusals(settings.api_key.get_secret_value())
        self._headers = _headers(settings)
        self._http = FencedHttp(
            Limits(
                total_seconds=settings.total_timeout_seconds,
                max_answer_bytes=settings.max_answer_bytes,
                max_connections=settings.max_connections,
                keepalive_seconds=settings.keepalive_seconds,
            ),
            transport,
            lambda: self._refusals.clean,
        )
        self._paths = {Entity.LEAD: settings.leads, Entity.CONTACT: settings.contact_path}
        self._keys = {Entity.LEAD: self._bodies.lead_key, Entity.CONTACT: self._bodies.contact_key}
        self._urls = {entity: self._url(f"api/v1/{path}") for entity, path in self._paths.items()}
        self._standing = Standing(settings, self._bodies, self._lead)

    async def create_lead(self, lead: Lead) -> Saved:
        return await self._create(Entity.LEAD, lead.external_id, self.lead_body(lead))

    async def update_lead(self, crm_id: str, lead: Lead) -> Saved:
        return await self._update(Entity.LEAD, crm_id, self.lead_body(lead))

    async def create_contact(self, contact: Contact) -> Saved:
        return await self._create(Entity.CONTACT, contact.external_id, self.contact_body(contact))

    async def update_contact(self, crm_id: str, contact: Contact) -> Saved:
        return await self._update(Entity.CONTACT, crm_id, self.contact_body(contact))

    def lead_body(self, lead: Lead) -> JsonBody:
        return self._bodies.lead(lead)

    def contact_body(self, contact: Contact) -> JsonBody:
        return self._bodies.contact(contact)

    async def requests_for(
        self, record: Lead | Contact, crm_id: str | None, *, look: bool = False
    ) -> Sequence[CrmRequest]:
        entity = Entity.LEAD if isinstance(record, Lead) else Entity.CONTACT
        body = self.lead_body(record) if isinstance(record, Lead) else self.contact_body(record)
        if crm_id is None:
            return [CrmRequest("POST", str(self._urls[entity]), body)]
        return [CrmRequest(self._settings.update_method, str(self._record_url(entity, crm_id)), body)]

    async def stages(self) -> Sequence[CrmStage]:
        return self._standing.stages()

    async def stage_of(self, lead: Lead) -> str | None:
        return self._bodies.stage_of(lead.status)

    async def leads_at(self, crm_ids: Sequence[str]) -> Sequence[LeadAtCrm]:
        return await self._standing.leads_at(crm_ids)

    async def changed_fields(self, crm_id: str, sent: Lead) -> frozenset[RecordField]:
        return await self._standing.changed_fields(crm_id, sent)

    async def find(self, entity: Entity, external_id: str) -> str | None:
        key = self._keys[entity]
        if not self._settings.lookup or key is None:
            raise LookupUnsupported(
                "По настройкам эта CRM не ищет записи по ключу: проверьте запись в ней сами."
            )
        url = self._urls[entity].copy_set_param(self._settings.lookup_param or key, external_id)
        answer = await self._read("GET", url)
        try:
            rows = records_in(parsed(answer), self._settings.list_key, self._paths[entity])
        except Unreadable as error:
            raise self._refusals.unclear(str(error), write=False) from None
        return self._exact_match(rows, key, external_id)

    async def check(self) -> ConnectionReport:
        settings = self._settings
        steps = {}
        if settings.health_path is not None:
            steps["health"] = lambda: self._expect_json(self._url(settings.health_path or ""))
        if settings.tenant_path is not None:
            steps["tenant"] = self._expect_active_tenant
        if settings.lookup:
            steps["lookup"] = self._expect_no_such_lead
        return await run_steps(steps)

    @property
    def call_rate(self) -> CallRate:
        return CallRate(self._settings.calls_per_second, self._settings.calls_at_once)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _create(self, entity: Entity, external_id: str, body: JsonBody) -> Saved:
        answer = await self._write("POST", self._urls[entity], body)
        if answer.status == 409:
            return await self._adopt_named(entity, external_id, answer)
        record = self._saved_record(entity, answer)
        found = crm_id(record, self._settings.id_field) if record else None
        if record is None or found is None:
            raise self._refusals.unclear(f"HTTP {answer.status} without an id", write=True)
        if not self._is_ours(entity, record, external_id):
            raise self._refusals.unclear("the CRM answered with another record", write=True)
        return Saved(found, created=answer.status == 201)

    async def _update(self, entity: Entity, known_id: str, body: JsonBody) -> Saved:
        answer = await self._write(self._settings.update_method, self._record_url(entity, known_id), body)
        if answer.status == 409:
            raise self._refusals.of_status(answer, write=True)
        if answer.status != 204:
            record = self._saved_record(entity, answer)
            if record is not None and crm_id(record, self._settings.id_field) != known_id:
                raise self._refusals.unclear("the CRM answered with another record", write=True)
        return Saved(known_id, created=False)

    async def _adopt_named(self, entity: Entity, external_id: str, answer: Answer) -> Saved:
        """A 409 is a success only if the record it names carries our key."""
        record = self._record_in_conflict(entity, answer)
        if record is None:
            raise self._refusals.of_status(answer, write=True)
        named = crm_id(record, self._settings.id_field)
        key = self._keys[entity]
        if key is not None and record.get(key) is None and named is not None:
            record = await self._get(entity, named)
        if named is None or key is None or record.get(key) != external_id:
            raise Rejected("CRM назвала существующей другую запись.")
        return Saved(named, created=False)

    def _record_in_conflict(self, entity: Entity, answer: Answer) -> Record | None:
        try:
            body = orjson.loads(answer.body) if answer.is_json else None
        except orjson.JSONDecodeError:
            return None
        if isinstance(body, dict) and "existing_id" in body:
            body = {self._settings.id_field: body["existing_id"]} | body
        return record_in(body, self._settings.id_field, self._paths[entity])

    async def _get(self, entity: Entity, known_id: str) -> Record:
        answer = await self._read("GET", self._record_url(entity, known_id))
        try:
            record = record_in(parsed(answer), self._settings.id_field, self._paths[entity])
        except Unreadable as error:
            raise Ambiguous(f"Ответ CRM непонятен: {error}.") from None
        return record or {}

    async def _lead(self, crm_id: str) -> Record:
        """For reading alone: an unclear answer is merely late."""
        try:
            return await self._get(Entity.LEAD, crm_id)
        except Ambiguous as error:
            raise Unavailable(error.detail) from None

    def _exact_match(self, rows: list[Record], key: str, external_id: str) -> str | None:
        for row in rows:
            found = crm_id(row, self._settings.id_field)
            if found is not None and row.get(key) == external_id:
                return found
        if rows:
            raise LookupUnsupported(
                f"CRM не ищет по ключу: пришло записей {len(rows)}, и ни одной с ним. Проверьте запись в ней сами."
            )
        return None

    def _saved_record(self, entity: Entity, answer: Answer) -> Record | None:
        try:
            return record_in(parsed(answer), self._settings.id_field, self._paths[entity])
        except Unreadable as error:
            raise self._refusals.unclear(str(error), write=True) from None

    def _is_ours(self, entity: Entity, record: Record, external_id: str) -> bool:
        key = self._keys[entity]
        return key is None or record.get(key) in (None, external_id)

    async def _expect_json(self, url: httpx2.URL) -> str:
        answer = await self._read("GET", url)
        try:
            parsed(answer)
        except Unreadable as error:
            raise self._refusals.unclear(str(error), write=False) from None
        return "CRM отвечает."

    async def _expect_active_tenant(self) -> str:
        tenant = quote(self._settings.tenant_id, safe="")
        answer = await self._read("GET", self._url(f"api/v1/{self._settings.tenant_path}/{tenant}"))
        try:
            record = record_in(parsed(answer), "id", "tenants")
        except Unreadable as error:
            raise self._refusals.unclear(str(error), write=False) from None
        if record is None or record.get("active") is False or record.get("is_active") is False:
            raise Rejected("В CRM этот тенант не активен.")
        return "Ключ принят, тенант активен."

    async def _expect_no_such_lead(self) -> str:
        if await self.find(Entity.LEAD, f"kwork:check:{token_hex(8)}") is not None:
            raise LookupUnsupported(
                "CRM находит запись, которой быть не может: поиску по ключу верить нельзя."
            )
        return "Записи находятся по external_id."

    async def _write(self, method: str, url: httpx2.URL, body: JsonBody) -> Answer:
        answer = await self._send(method, url, orjson.dumps(body), write=True)
        if not 200 <= answer.status < 300 and answer.status != 409:
            raise self._refusals.of_status(answer, write=True)
        return answer

    async def _read(self, method: str, url: httpx2.URL) -> Answer:
        answer = await self._send(method, url, None, write=False)
        if not 200 <= answer.status < 300:
            raise self._refusals.of_status(answer, write=False)
        return answer

    async def _send(self, method: str, url: httpx2.URL, body: bytes | None, *, write: bool) -> Answer:
        try:
            return await self._http.send(method, url, self._headers, body)
        except Unsent as error:
            raise Unavailable(f"CRM недоступна: соединиться не удалось ({error}).") from None
        except Unclear as error:
            raise self._refusals.unclear(str(error), write=write) from None

    def _record_url(self, entity: Entity, known_id: str) -> httpx2.URL:
        return self._url(f"api/v1/{self._paths[entity]}/{quote(known_id, safe='')}")

    def _url(self, path: str) -> httpx2.URL:
        return httpx2.URL(f"{self._settings.base_url}/{path}")


def _headers(settings: NativeSettings) -> Headers:
    headers = [
        (settings.api_key_header, settings.api_key.get_secret_value()),
        (settings.tenant_header, settings.tenant_id),
        ("Content-Type", "application/json"),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", "kwork-service"),
    ]
    if settings.user_id is not None:
        headers.append((settings.user_header, settings.user_id))
    return headers
