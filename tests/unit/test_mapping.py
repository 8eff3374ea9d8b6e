"""The tenant's mapping: what it says of a lead, and what it refuses to be told."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from app.domain.crm import Lead, LeadStatus
from app.domain.errors import Invalid
from app.domain.mapping import Back, CrmMapping, Currency, LeadKind, Responsible, Tags, When, is_stage
from app.domain.writes import WriteAction
from app.models.examples import MAPPING_EXAMPLE
from app.models.mapping_schemas import MappingIn
from app.services.ready_mapping import SAMPLE, ready, ready_mapping

ORDER = SAMPLE
PROJECT = Lead(
    "kwork:project:7",
    "Сайт",
    budget_kopecks=500_000,
    metadata={"kwork_kind": "project", "kwork_category_id": 38, "kwork_status": "in_work"},
)


def test_the_empty_mapping_changes_nothing() -> None:
    said = CrmMapping()
    assert said.takes(ORDER)
    assert said.takes(PROJECT)
    assert said.stage_for(ORDER) is None
    assert (said.responsible_for(ORDER), said.tags_for(ORDER)) == (None, ())
    assert said.in_currency(ORDER) is ORDER
    assert ready_mapping({}).in_words(ORDER) is ORDER


def test_only_the_chosen_kinds_become_leads() -> None:
    said = CrmMapping(kinds=frozenset({LeadKind.ORDER}))
    assert (said.takes(ORDER), said.takes(PROJECT)) == (True, False)


def test_kworks_own_status_counts_before_ours() -> None:
    said = CrmMapping(stages={"new": "NEW", "project.in_work": "SOLD"})
    assert said.stage_for(PROJECT) == "SOLD"
    assert said.stage_for(replace(PROJECT, metadata={"kwork_kind": "project"})) == "NEW"
    assert said.stage_for(ORDER) is None


@pytest.mark.parametrize(
    ("when", "fits"),
    [
        (When(), (True, True)),
        (When(kinds=(LeadKind.PROJECT,)), (False, True)),
        (When(accounts=(str(ORDER.metadata["kwork_account_id"]),)), (True, False)),
        (When(categories=(38, 39)), (False, True)),
        (When(price_from_kopecks=500_001), (True, False)),
        (When(price_to_kopecks=500_000), (False, True)),
        (When(kinds=(LeadKind.PROJECT,), price_from_kopecks=500_001), (False, False)),
    ],
)
def test_a_rule_fits_what_it_names(when: When, fits: tuple[bool, bool]) -> None:
    assert (when.fits(ORDER), when.fits(PROJECT)) == fits


def test_a_lead_without_a_price_fits_no_rule_about_prices() -> None:
    assert not When(price_to_kopecks=10**9).fits(replace(ORDER, budget_kopecks=None))


def test_the_first_rule_names_the_responsible_and_every_rule_adds_tags() -> None:
    big = When(price_from_kopecks=1_000_000)
    said = CrmMapping(
        responsible=(Responsible("6", big), Responsible("1")),
        tags=(Tags(("Kwork", "Крупный"), big), Tags(("Kwork", "Новый"))),
    )
    assert (said.responsible_for(ORDER), said.responsible_for(PROJECT)) == ("6", "1")
    assert said.tags_for(ORDER) == ("Kwork", "Крупный", "Новый")


def test_a_price_is_counted_over_and_what_kwork_named_stays() -> None:
    said = CrmMapping(currency=Currency("RUB", {"USD": Decimal("90.555")}))
    counted = said.in_currency(replace(ORDER, currency="USD", budget_kopecks=10_050))
    assert (counted.budget_kopecks, counted.currency) == (910_078, "RUB")
    assert counted.metadata["kwork_price"] == "100.50 USD"
    unknown = replace(ORDER, currency="EUR")
    assert said.in_currency(unknown) is unknown
    assert said.in_currency(ORDER) is ORDER


@pytest.mark.parametrize(
    ("told", "meant", "same"),
    [("NEW", "NEW", True), ("7/143", "143", True), ("7/143", "8/143", False), ("143", "43", False)],
)
def test_a_pipeline_may_be_left_out(told: str, meant: str, same: bool) -> None:
    assert is_stage(told, meant) is same


def test_a_stage_causes_what_its_rule_says() -> None:
    rule = Back("C9:EXECUTING", WriteAction.TAKE_ORDER)
    said = CrmMapping(back=(rule,))
    assert said.back_from("C9:EXECUTING") is rule
    assert said.back_from("C9:NEW") is None


def test_templates_name_and_describe_a_lead() -> None:
    made = ready_mapping(
        {
            "templates": {
                "name": "{{ lead.kwork_id }}: {{ lead.name | truncate(7) }}\n({{ lead.metadata.kwork_buyer }})",
                "description": "{{ lead.budget_kopecks | money(digits=2) }} {{ lead.currency }}",
            }
        }
    ).in_words(ORDER)
    assert (made.name, made.description) == ("5512345: Бот дл… (buyer_one)", "15000.00 RUB")


def test_a_name_that_comes_out_empty_is_the_leads_own() -> None:
    made = ready_mapping({"templates": {"name": "{{ lead.metadata.nothing }}"}}).in_words(ORDER)
    assert made.name == ORDER.name


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("{{ lead.name", "template_syntax"),
        ("{{ secrets.token }}", "template_secret"),
        ("{{ settings.api_key }}", "template_unknown_name"),
        ("{% for a in lead.name %}{% for b in lead.name %}{% for c in lead.name %}x{% endfor %}{% endfor %}{% endfor %}", "template_forbidden"),
        ("{{ lead.nmae }}", "template_unknown_name"),
        ("{{ range(10 ** 9) }}", "template_forbidden"),
        ("{{ lead.name.__class__ }}", "template_failed"),
        ("{{ lead.name | nothing }}", "template_forbidden"),
        ("{{ lead.description + 1 }}", "template_failed"),
    ],
)  # fmt: skip
def test_a_template_that_does_not_belong_is_refused(source: str, code: str) -> None:
    mapping = MappingIn.model_validate({"templates": {"description": source}})
    with pytest.raises(Invalid) as caught:
        ready(mapping.domain())
    assert (caught.value.code, caught.value.field) == (code, "body.templates.description")


def test_a_template_that_runs_away_is_cut() -> None:
    """It looks harmless on the samples, and a long text comes later."""
    source = "{% for a in lead.description %}{% for b in lead.description %}x{% endfor %}{% endfor %}"
    mapping = ready_mapping({"templates": {"description": source}})
    with pytest.raises(Exception, match="слишком затратен") as caught:
        mapping.in_words(replace(ORDER, description="я" * 5000))
    assert getattr(caught.value, "code", None) == "template_too_expensive"


def test_a_mapping_survives_its_row() -> None:
    said = MappingIn.model_validate(MAPPING_EXAMPLE)
    again = MappingIn.model_validate(said.kept())
    assert again.domain() == said.domain()
    assert MappingIn().kept() == {}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"stages": {"sold": "X"}}, "unknown_status"),
        ({"stages": {"new": ""}}, "value_error"),
        ({"back": [{"stage": "A", "action": "deliver"}]}, "action_not_automatic"),
        ({"back": [{"stage": "A", "action": "respond"}]}, "action_not_automatic"),
        ({"back": [{"stage": "A", "action": "cancel_order"}]}, "reason_needed"),
        ({"back": [{"stage": "A", "action": "report_progress", "progress": 50}]}, "progress_needed"),
        ({"back": [{"stage": "A", "action": "take_order"}] * 2}, "stage_twice"),
        ({"currency": {"code": "rub"}}, "string_pattern_mismatch"),
        ({"currency": {"code": "RUB", "rates": {"USD": 0}}}, "greater_than"),
        ({"kinds": ["gig"]}, "enum"),
        ({"protect": {"lead": ["status"]}}, "literal_error"),
        ({"responsibles": []}, "extra_forbidden"),
        ({"tags": [{"tags": []}]}, "too_short"),
        ({"templates": {"name": "x\x00"}}, "value_error"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        MappingIn.model_validate(wrong)
    assert code in {one["type"] for one in caught.value.errors()}


def test_leads_of_orders_say_their_status() -> None:
    assert CrmMapping(stages={"order.in_progress": "W"}).stage_for(ORDER) == "W"
    assert ORDER.status is LeadStatus.IN_PROGRESS
