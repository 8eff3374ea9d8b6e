"""When a lead's stage is told to the CRM, as a table."""

import pytest

from app.domain.crm import CrmStage
from app.domain.mapping import CrmMapping
from app.domain.standing import Standing, Verdict, needs_asking, verdict_on

STAGES = [
    *(CrmStage(name, name, "Kwork") for name in ("NEW", "WORK", "REVIEW")),
    CrmStage("WON", "WON", "Kwork", is_won=True),
    CrmStage("LOSE", "LOSE", "Kwork", is_lost=True),
    CrmStage("OTHER", "OTHER", "Партнёры"),
]
USUAL = CrmMapping()
STUBBORN = CrmMapping(respects_people=False)
REOPENS = CrmMapping(finals_are_final=False)
V = Verdict


@pytest.mark.parametrize(
    ("wanted", "put", "told", "mapping", "verdict"),
    [
        # Nobody moved it since we did.
        ("WORK", "NEW", "NEW", USUAL, V.PUT),
        ("NEW", "WORK", "WORK", USUAL, V.PUT),
        # It stands there already, whoever put it.
        ("WORK", "NEW", "WORK", USUAL, V.THERE_ALREADY),
        ("WON", "WORK", "WON", USUAL, V.THERE_ALREADY),
        # A person moved it: only a later stage passes, and a final one always.
        ("REVIEW", "NEW", "WORK", USUAL, V.PUT),
        ("WORK", "NEW", "REVIEW", USUAL, V.SET_BY_PERSON),
        ("WORK", "NEW", "REVIEW", STUBBORN, V.PUT),
        ("WON", "NEW", "REVIEW", USUAL, V.PUT),
        ("LOSE", "NEW", "OTHER", USUAL, V.PUT),
        # Another pipeline, or a stage that the CRM did not list: a person's own.
        ("REVIEW", "NEW", "OTHER", USUAL, V.SET_BY_PERSON),
        ("REVIEW", "NEW", "GONE", USUAL, V.SET_BY_PERSON),
        # Finals.
        ("WORK", "NEW", "LOSE", USUAL, V.FINAL),
        ("WORK", "WON", "WON", USUAL, V.FINAL),
        ("WON", "WORK", "LOSE", USUAL, V.FINAL),
        ("WORK", "WON", "WON", REOPENS, V.PUT),
        ("WORK", "NEW", "LOSE", REOPENS, V.SET_BY_PERSON),
        ("WORK", "NEW", "LOSE", CrmMapping(finals_are_final=False, respects_people=False), V.PUT),
        # A link of a time before stages were kept: as it was done then, but for finals.
        ("WORK", None, "NEW", USUAL, V.PUT),
        ("WORK", None, "WON", USUAL, V.FINAL),
        # The CRM does not tell.
        ("WORK", "NEW", None, USUAL, V.PUT),
        ("WORK", None, None, USUAL, V.PUT),
        ("WORK", "WORK", None, USUAL, V.PUT_BEFORE),
    ],
)
def test_a_stage_is_told_when_it_may_be(
    wanted: str, put: str | None, told: str | None, mapping: CrmMapping, verdict: Verdict
) -> None:
    lead = Standing(wanted, wanted in ("WON", "LOSE"), put, told)
    assert verdict_on(lead, STAGES, mapping) is verdict


def test_a_stage_put_before_needs_no_asking() -> None:
    assert not needs_asking("143", "7/143")
    assert needs_asking("WORK", "NEW")
    assert needs_asking("WORK", None)
