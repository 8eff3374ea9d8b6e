"""What a connection needs in the account: fields for our key, stages that exist, a search that finds.

Fields are made by ``POST {entity}/custom_fields`` and listed 50 by 50 unless asked for more [doc]; making them needs an
administrator's rights [doc].
"""

from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Final

from app.crm.amocrm.answers import Record, moment_of
from app.crm.amocrm.client import AmoClient
from app.crm.amocrm.fields import PATHS, CustomField, Fields
from app.crm.amocrm.lookup import Lookup
from app.crm.amocrm.settings import AmoSettings
from app.crm.amocrm.stages import Stages
from app.crm.check import run_steps
from app.domain.crm import ConnectionReport, Entity, LeadStatus, LookupUnsupported
from app.domain.errors import Rejected

_MOST_FIELD_PAGES: Final = 4
_SURELY_INDEXED: Final = timedelta(minutes=10)


class SetUp:
    """Checks a connection, and makes what is missing."""

    def __init__(
        self, settings: AmoSettings, client: AmoClient, fields: Fields, lookup: Lookup, stages: Stages
    ) -> None:
        self._settings = settings
        self._client = client
        self._fields = fields
        self._lookup = lookup
        self._stages = stages

    async def check(self) -> ConnectionReport:
        """Reads only."""
        return await run_steps(
            {
                "account": self._account,
                "lead_fields": lambda: self._have_fields(Entity.LEAD),
                "contact_fields": lambda: self._have_fields(Entity.CONTACT),
                "stages": self._stages_exist,
                "lookup": self._search_finds,
            }
        )

    async def make(self) -> ConnectionReport:
        """Makes the fields that are missing."""
        return await run_steps(
            {
                "account": self._account,
                "lead_fields": lambda: self._make_fields(Entity.LEAD),
                "contact_fields": lambda: self._make_fields(Entity.CONTACT),
            }
        )

    async def _account(self) -> str:
        account = await self._client.read("account")
        currency = account.get("currency") if isinstance(account, dict) else None
        if not isinstance(currency, str):
            raise self._client.refusals.unclear("no account in the answer", write=False)
        if currency != self._settings.currency:
            raise Rejected(
                f"Аккаунт считает в {self._client.refusals.clean(currency)}, а в подключении указана валюта "
                f"{self._settings.currency}: исправьте currency."
            )
        return f"Токен принят; аккаунт считает в {currency}."

    async def _have_fields(self, entity: Entity) -> str:
        known = await self._known_fields(entity)
        missing = [field.code for field in self._missing(entity, known)]
        if missing:
            raise Rejected(
                f"В amoCRM пока нет полей {', '.join(missing)}: сервис создаст их, когда подключение включат."
            )
        self._expect_key(entity, known)
        return "Все поля есть."

    async def _make_fields(self, entity: Entity) -> str:
        known = await self._known_fields(entity)
        missing = self._missing(entity, known)
        if missing:
            await self._client.write(
                "POST", f"{PATHS[entity]}/custom_fields", [field.body() for field in missing]
            )
            known = await self._known_fields(entity)
            if lost := self._missing(entity, known):
                raise Rejected(f"amoCRM не создала поля {', '.join(field.code for field in lost)}.")
        self._expect_key(entity, known)
        made = ", ".join(field.code for field in missing)
        return f"Созданы поля {made}." if made else "Все поля есть."

    def _missing(self, entity: Entity, known: list[Record]) -> list[CustomField]:
        codes = {field.get("code") for field in known}
        return [field for field in self._fields.wanted(entity) if field.code not in codes]

    def _expect_key(self, entity: Entity, known: list[Record]) -> None:
        """A key that is cut or turned into a number would never be found again."""
        field = next((field for field in known if self._fields.is_key(entity, field)), None)
        if field is None:
            raise Rejected(f"В amoCRM нет поля № {self._fields.keys[entity]} для нашего ключа.")
        if field.get("type") not in ("text", "textarea"):
            raise Rejected(f"Поле {self._fields.keys[entity]} для нашего ключа должно быть текстовым.")

    async def _known_fields(self, entity: Entity) -> list[Record]:
        found: list[Record] = []
        path = f"{PATHS[entity]}/custom_fields"
        async for rows, _ in self._client.pages(path, "custom_fields", most=_MOST_FIELD_PAGES):
            found += rows
        return found

    async def _stages_exist(self) -> str:
        stages = {stage.id for stage in await self._stages.all()}
        pipelines = {stage.partition("/")[0] for stage in stages}
        main = self._settings.pipeline_id
        if main is not None and str(main) not in pipelines:
            raise Rejected(f"В amoCRM нет воронки № {main} (pipeline_id).")
        for status in LeadStatus:
            pipeline, stage = self._settings.stage(status)
            if stage is None:
                continue
            where = {f"{pipeline}/{stage}"} if pipeline else {f"{one}/{stage}" for one in pipelines}
            if not where & stages:
                raise Rejected(f"В amoCRM нет этапа {stage} для статуса «{status}» (statuses).")
        return "Все указанные этапы есть."

    async def _search_finds(self) -> str:
        """A search that finds nothing would let an unclear create be made twice, so one of our own leads is looked up."""
        if await self._lookup.find(Entity.LEAD, f"kwork:check:{token_hex(8)}") is not None:
            raise LookupUnsupported("amoCRM находит запись, которой быть не может: поиску верить нельзя.")
        ours = await self._own_lead()
        if ours is None:
            return "Пока нет нашей сделки, на которой можно проверить поиск."
        if await self._lookup.find(Entity.LEAD, ours) is None:
            raise LookupUnsupported("Поиск amoCRM не находит сделку по ключу, который в ней стоит.")
        return "Поиск находит сделки по нашему ключу."

    async def _own_lead(self) -> str | None:
        """The key of a lead that any index must have seen by now."""
        seen_before = datetime.now(UTC) - _SURELY_INDEXED
        params = {"order[created_at]": "desc"}
        async for rows, _ in self._client.pages("leads", "leads", params, most=1):
            for row in rows:
                born = moment_of(row, "created_at")
                key = self._fields.key_of(Entity.LEAD, row)
                if key is not None and born is not None and born < seen_before:
                    return key
        return None
