"""One amoCRM account in memory. Times are the journal's clock, unix seconds."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]

WON, LOST = 142, 143
"""The same two ids in every pipeline."""
MAIN_PIPELINE, OTHER_PIPELINE = 3177727, 3177730
FIRST_STAGE, WORK_STAGE, REVIEW_STAGE, OTHER_STAGE = 32392156, 32392159, 32392165, 32392170
USER = 504141
ENTITIES = ("leads", "contacts")


def _own_fields() -> list[Record]:
    return [
        {"id": 101, "name": "Телефон", "type": "multitext", "code": "PHONE", "entity_type": "contacts"},
        {"id": 102, "name": "Email", "type": "multitext", "code": "EMAIL", "entity_type": "contacts"},
    ]


def _pipelines() -> list[Record]:
    return [
        _pipeline(MAIN_PIPELINE, "Воронка", {FIRST_STAGE: "Новая", WORK_STAGE: "В работе", REVIEW_STAGE: "Проверка"}),
        _pipeline(OTHER_PIPELINE, "Партнёры", {OTHER_STAGE: "Заявка"}),
    ]  # fmt: skip


def _pipeline(pipeline_id: int, name: str, stages: dict[int, str]) -> Record:
    all_stages = {pipeline_id + 1: "Неразобранное", **stages, WON: "Успешно реализовано"}
    all_stages[LOST] = "Закрыто и не реализовано"
    return {
        "id": pipeline_id,
        "name": name,
        "is_main": pipeline_id == MAIN_PIPELINE,
        "is_archive": False,
        "_embedded": {
            "statuses": [
                {"id": status_id, "name": title, "pipeline_id": pipeline_id, "type": int(number == 0)}
                for number, (status_id, title) in enumerate(all_stages.items())
            ]
        },
    }


@dataclass(slots=True)
class Habits:
    """How this account differs from others; tests switch these."""

    currency: str = "RUB"
    filters_work: bool = False
    """`filter[…]` is a paid option: without it the parameter is ignored and everything comes back."""
    query_works: bool = True
    """False: `query` is ignored, too."""
    merges_duplicates: bool = False
    """Duplicate control is on for this integration: a lead of a known contact is merged into his open one."""
    per_second: int | None = None
    """Requests allowed within a second; the vendor's number is 7."""


@dataclass(slots=True)
class Account:
    """`now` is the CRM's clock."""

    now: Callable[[], float]
    habits: Habits = field(default_factory=Habits)
    records: dict[str, dict[int, Record]] = field(default_factory=lambda: {name: {} for name in ENTITIES})
    fields: dict[str, list[Record]] = field(default_factory=lambda: {"leads": [], "contacts": _own_fields()})
    notes: list[Record] = field(default_factory=list)
    pipelines: list[Record] = field(default_factory=_pipelines)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(28433001))

    def add(self, entity: str, values: Record) -> Record:
        moment = int(self.now())
        record = {"id": next(self._ids), **values, "created_at": moment, "updated_at": moment}
        record["_born"] = self.now()
        self.records[entity][record["id"]] = record
        return record

    def change(self, record: Record, values: Record) -> None:
        """Only what is named changes; a custom field that is not named keeps its values."""
        given = dict(values)
        custom = {row["field_id"]: row for row in record.get("custom_fields_values") or []}
        custom |= {row["field_id"]: row for row in given.pop("custom_fields_values", [])}
        record.update(given)
        record["custom_fields_values"] = list(custom.values())
        record["updated_at"] = int(self.now())

    def add_field(self, entity: str, values: Record) -> Record:
        made = {"id": next(self._ids), "entity_type": entity, "is_api_only": False, **values}
        self.fields[entity].append(made)
        return made

    def add_note(self, lead_id: int, values: Record) -> Record:
        note = {"id": next(self._ids), "entity_id": lead_id, **values}
        self.notes.append(note)
        return note

    def stage_exists(self, pipeline_id: int, status_id: int) -> bool:
        return any(
            status["id"] == status_id
            for pipeline in self.pipelines
            if pipeline["id"] == pipeline_id
            for status in pipeline["_embedded"]["statuses"]
        )
