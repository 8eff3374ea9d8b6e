"""What is only read from a CRM: one record, a look-up by key, the questions of a check."""

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from app.crm.profile.asking import ask, ask_id
from app.crm.profile.door import Door
from app.crm.profile.judging import Judge
from app.crm.profile.parts import Lookup, ReadyCheck, ReadyProfile, ReadyStep
from app.crm.profile.queries import Query, QueryFailed
from app.crm.templates.rendering import AddressTemplate
from app.domain.crm import Entity, LookupUnsupported
from app.domain.errors import Rejected


class Reader:
    """Every method raises the families of a read: ``Unavailable`` when an answer says nothing."""

    def __init__(self, profile: ReadyProfile, common: Mapping[str, Any], door: Door, judge: Judge) -> None:
        self._profile = profile
        self._common = common
        self._door = door
        self._judge = judge

    async def get(self, path: AddressTemplate, values: Mapping[str, Any]) -> object:
        """The JSON of an answer."""
        address = path.render({**self._common, **values})
        return self._judge.read(self._profile.rules, await self._door.send("GET", address, None, write=False))

    async def find(self, entity: Entity, external_id: str) -> str | None:
        """As ``CrmConnector.find``."""
        lookup = self._profile.resources[entity].lookup
        if lookup is None:
            raise LookupUnsupported(
                "По профилю эта CRM не ищет записи по ключу: проверьте запись в ней сами."
            )
        page = lookup.source.page
        if page is None:
            found, rows = await self._look_at_page(lookup, external_id, {})
            if found is None and rows:
                raise _filter_ignored(rows)
            return found
        seen = 0
        for turn in range(page.most):
            place = {"number": page.first + turn, "size": page.size, "offset": turn * page.size}
            found, rows = await self._look_at_page(lookup, external_id, {"page": place})
            if (
                found is not None or rows == 0
            ):  # a short page ends nothing: a CRM may give fewer than asked for
                return found
            seen += rows
        raise _filter_ignored(seen)

    async def find_nothing(self) -> str:
        """Asks for a lead that cannot be there. Raises ``LookupUnsupported`` when the CRM shows one."""
        if await self.find(Entity.LEAD, f"kwork:check:{token_hex(8)}") is not None:
            raise LookupUnsupported(
                "CRM находит запись, которой быть не может: поиску по ключу верить нельзя."
            )
        return "Записи находятся по нашему ключу."

    async def answer_to(self, check: ReadyCheck) -> str:
        """One question of the profile's check. Raises ``Rejected`` for an answer it does not expect."""
        data = await self.get(check.path, {})
        if check.expect is not None and not ask(check.expect, data):
            raise Rejected(f"{check.otherwise}.")
        return "CRM отвечает."

    async def is_made(self, step: ReadyStep) -> bool:
        """Whether what a set-up step makes is there."""
        return bool(ask(step.found, await self.get(step.look, {})))

    async def _look_at_page(
        self, lookup: Lookup, external_id: str, page: Mapping[str, Any]
    ) -> tuple[str | None, int]:
        """The id of the row with exactly this key, and how many rows there were."""
        rows = self._strictly(lookup.rows, await self.get(lookup.path, {"key": external_id, **page}))
        if not isinstance(rows, list):
            raise self._judge.unclear_read("no list of records in the answer")
        for row in rows:
            if self._strictly(lookup.key, row) == external_id:
                crm_id = ask_id(lookup.id, row)
                if crm_id is None:
                    raise self._judge.unclear_read("a record without an id")
                return crm_id, len(rows)
        return None, len(rows)

    def _strictly(self, query: Query, data: object) -> Any:
        """A query that fails must not look like a record that is absent."""
        try:
            return query.of(data)
        except QueryFailed as error:
            raise self._judge.unclear_read(str(error)) from None


def _filter_ignored(rows: int) -> LookupUnsupported:
    return LookupUnsupported(
        f"CRM не ищет по ключу: пришло записей {rows}, и ни одной с ним. Проверьте запись в ней сами."
    )
