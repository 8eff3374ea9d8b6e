"""Pipelines, their stages, and where leads stand.

142 is won and 143 lost in every pipeline [doc], so a stage is named ``pipeline/stage``.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from app.crm.amocrm.answers import Record, Unreadable, id_of, moment_of, record_in, rows_in
from app.crm.amocrm.client import AmoClient, Params
from app.domain.crm import CrmStage, LeadAtCrm
from app.domain.errors import Rejected

WON, LOST = 142, 143
_CHUNK: Final = 50
"""Ids in one address; a list answers with 250 at most [doc]."""


class Stages:
    """Reads pipelines and leads' stages."""

    def __init__(self, client: AmoClient) -> None:
        self._client = client

    async def all(self) -> list[CrmStage]:
        """Stages of pipelines that are not archived. An account has 50 pipelines at most [doc]: one page."""
        found: list[CrmStage] = []
        async for pipelines, _ in self._client.pages("leads/pipelines", "pipelines", most=1):
            for pipeline in pipelines:
                if pipeline.get("is_archive") is not True:
                    found += self._stages_of(pipeline)
        return found

    async def leads_at(self, crm_ids: Sequence[str]) -> list[LeadAtCrm]:
        """By ``filter[id][]``, many at once; where the account ignores filters, which are a paid option [doc], one by
        one."""
        wanted = [crm_id for crm_id in crm_ids if crm_id.isascii() and crm_id.isdigit()]
        found: list[LeadAtCrm] = []
        for start in range(0, len(wanted), _CHUNK):
            found += await self._chunk_at(wanted[start : start + _CHUNK])
        return found

    async def _chunk_at(self, crm_ids: list[str]) -> list[LeadAtCrm]:
        params: Params = {"filter[id][]": crm_ids, "order[id]": "asc"}
        rows: dict[str, Record] = {}
        ignored = False
        async for page, more in self._client.pages("leads", "leads", params, most=1):
            for row in page:
                crm_id = id_of(row)
                ignored = ignored or more or crm_id not in crm_ids
                if crm_id in crm_ids:
                    rows[str(crm_id)] = row
        for crm_id in crm_ids if ignored else ():
            if crm_id not in rows and (lead := await self._lead(crm_id)):
                rows[crm_id] = lead
        return [_standing(crm_id, rows[crm_id]) for crm_id in crm_ids if crm_id in rows]

    async def _lead(self, crm_id: str) -> Record | None:
        try:
            answer = await self._client.read(f"leads/{crm_id}")
            return record_in(answer) if answer is not None else None
        except Rejected:
            return None  # 404: it was deleted
        except Unreadable as error:
            raise self._client.refusals.unclear(str(error), write=False) from None

    def _stages_of(self, pipeline: Mapping[str, object]) -> list[CrmStage]:
        try:
            statuses = rows_in(dict(pipeline), "statuses")[0]
        except Unreadable as error:
            raise self._client.refusals.unclear(str(error), write=False) from None
        return [
            CrmStage(
                id=f"{id_of(pipeline)}/{id_of(status)}",
                name=str(status.get("name", "")),
                pipeline=str(pipeline.get("name", "")),
                is_won=status.get("id") == WON,
                is_lost=status.get("id") == LOST,
            )
            for status in statuses
            if id_of(status) is not None
        ]


def _standing(crm_id: str, row: Mapping[str, object]) -> LeadAtCrm:
    return LeadAtCrm(
        crm_id=crm_id,
        stage_id=f"{row.get('pipeline_id')}/{row.get('status_id')}",
        changed_at=moment_of(row, "updated_at"),
    )
