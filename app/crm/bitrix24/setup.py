"""The set-up check, and the user fields it makes when asked to."""

import re
from collections.abc import Iterable
from secrets import token_hex
from typing import Final

from app.crm.bitrix24.answers import Unreadable
from app.crm.bitrix24.bodies import CONTACT_FIELDS, DEAL_FIELDS, KEY_FIELDS, LEAD_FIELDS, BodyWriter
from app.crm.bitrix24.items import ItemType
from app.crm.bitrix24.keys import by_key, find_call
from app.crm.bitrix24.kinds import Kinds
from app.crm.bitrix24.rest import Call, Rest
from app.crm.bitrix24.settings import Bitrix24Settings
from app.crm.bitrix24.stages import stages_of
from app.crm.check import Step, run_steps
from app.domain.crm import ConnectionReport, LookupUnsupported
from app.domain.errors import Rejected

_SENT: Final = {
    ItemType.LEAD: LEAD_FIELDS,
    ItemType.DEAL: DEAL_FIELDS,
    ItemType.CONTACT: CONTACT_FIELDS,
}
_NAMES: Final = {ItemType.LEAD: "leads", ItemType.DEAL: "deals", ItemType.CONTACT: "contacts"}
_BECOME: Final = {ItemType.LEAD: "лидами", ItemType.DEAL: "сделками"}
_MODES: Final = {1: ItemType.LEAD, 2: ItemType.DEAL}
"""``crm.settings.mode.get``: 1 classic, with leads; 2 simple, without [doc crm.enum.settings.mode]."""


async def portal_kind(rest: Rest) -> ItemType:
    """What the portal works with: leads, or deals alone."""
    mode = await rest.read(Call("crm.settings.mode.get"))
    kind = _MODES.get(int(mode)) if isinstance(mode, str | int) and str(mode).isdecimal() else None
    if kind is None:
        raise rest.unclear("the portal's mode is unknown", write=False)
    return kind


class SetUp:
    """Asks a portal whether leads will arrive as the settings mean it. Nothing is written but by ``make``."""

    def __init__(self, rest: Rest, bodies: BodyWriter, settings: Bitrix24Settings) -> None:
        self._rest = rest
        self._bodies = bodies
        self._settings = settings

    async def check(self) -> ConnectionReport:
        return await run_steps(
            {"access": self._access, "fields": self._fields, "stages": self._stages, "lookup": self._lookup}
        )

    async def make(self) -> ConnectionReport:
        """The same, after making the user fields that the settings name and the portal lacks."""
        steps: dict[str, Step] = {"access": self._access}
        if self._settings.custom_fields:
            steps["custom_fields"] = self._make_fields
        steps |= {"fields": self._fields, "stages": self._stages, "lookup": self._lookup}
        return await run_steps(steps)

    async def _kinds(self) -> tuple[ItemType, ...]:
        """What orders become, then what projects become where that is something else."""
        kinds = Kinds(self._settings)
        orders = kinds.orders or await portal_kind(self._rest)
        return (orders, kinds.projects) if kinds.projects not in (None, orders) else (orders,)

    async def _access(self) -> str:
        portal = await portal_kind(self._rest)
        kinds = await self._kinds()
        if portal is ItemType.DEAL and ItemType.LEAD in kinds:
            raise Rejected("Портал работает без лидов (простая CRM): выберите entity deal или auto.")
        projects = f", проекты — {_BECOME[kinds[-1]]}" if len(kinds) > 1 else ""
        return f"Вебхук принят; заказы становятся {_BECOME[kinds[0]]}{projects}."

    async def _fields(self) -> str:
        kinds = await self._kinds()
        missing = [
            f"{_NAMES[one]}: {name}"
            for one in (*kinds, ItemType.CONTACT)
            for name in await self._lacking(one, (*_SENT[one], *(self._custom if one in kinds else ())))
        ]
        if missing:
            raise Rejected(f"На портале нет полей, и их значения потеряются молча: {', '.join(missing)}.")
        return f"Все поля, которые нужны, есть, в том числе {' и '.join(KEY_FIELDS)}."

    async def _make_fields(self) -> str:
        names = {field: name for name, field in self._settings.custom_fields.items()}
        made = []
        for kind in await self._kinds():
            for field in await self._lacking(kind, self._custom):
                await self._rest.write(_new_field(kind, field, names[field]))
                made.append(field)
        return f"Созданы поля {', '.join(made)}." if made else "Все поля уже были."

    async def _stages(self) -> str:
        for kind in await self._kinds():
            await self._stages_of(kind)
        return "У каждого статуса есть свой этап."

    async def _stages_of(self, kind: ItemType) -> None:
        """Raises ``Rejected``."""
        try:
            known = [stage.id for stage in await stages_of(self._rest, kind)]
        except Unreadable as error:
            raise self._rest.unclear(str(error), write=False) from None
        if kind is ItemType.DEAL:
            known = [stage for stage in known if _funnel_of(stage) == self._settings.category_id]
        wanted = {status: stage for status, stage in self._bodies.stages(kind).items() if stage is not None}
        missing = [f"{stage} ({status})" for status, stage in wanted.items() if stage not in known]
        if missing:
            there = ", ".join(known) or "ни одной: нет такой воронки"
            raise Rejected(f"На портале нет стадий: {', '.join(missing)}. Задайте statuses; есть: {there}.")

    async def _lookup(self) -> str:
        for one in (*await self._kinds(), ItemType.CONTACT):
            key = self._bodies.key(f"kwork:check:{token_hex(8)}")
            try:
                found = by_key(await self._rest.read(find_call(one, key)), one, key)
            except Unreadable as error:
                raise self._rest.unclear(str(error), write=False) from None
            if found is not None:
                raise LookupUnsupported("Битрикс24 находит запись, которой быть не может.")
        return "Записи находятся по нашему ключу."

    @property
    def _custom(self) -> tuple[str, ...]:
        return tuple(self._settings.custom_fields.values())

    async def _lacking(self, kind: ItemType, names: Iterable[str]) -> list[str]:
        """Which of ``names`` cannot be written."""
        call = Call("crm.item.fields", {"entityTypeId": int(kind), "useOriginalUfNames": "Y"})
        result = await self._rest.read(call)
        fields = result.get("fields") if isinstance(result, dict) else None
        if not isinstance(fields, dict):
            raise self._rest.unclear("no fields in the answer", write=False)
        return [name for name in names if not _is_writable(fields.get(name))]


def _is_writable(field: object) -> bool:
    return isinstance(field, dict) and field.get("isReadOnly") is not True


def _funnel_of(stage: str) -> int:
    """``C9:WON`` is of funnel 9, ``WON`` of the general one."""
    found = re.match(r"C([0-9]+):", stage)
    return int(found[1]) if found else 0


def _new_field(kind: ItemType, field: str, name: str) -> Call:
    """A text field; the portal puts ``UF_CRM_`` before its name by itself. Needs a CRM administrator [doc
    crm.deal.userfield.add]."""
    return Call(
        f"crm.{kind.owner}.userfield.add",
        {
            "fields": {
                "FIELD_NAME": field.removeprefix("UF_CRM_"),
                "USER_TYPE_ID": "string",
                "LABEL": f"Kwork: {name}",
                "XML_ID": f"KWORK_{name.upper()}",
                "SHOW_FILTER": "Y",
            }
        },
    )
