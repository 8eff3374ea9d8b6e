"""What CRMs tell of changes, in the words of each: the leads it names, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.told_by_crms import decoded
from app.crm.registry import CRM_KINDS

BITRIX_RULE = (
    b"document_id[0]=crm&document_id[1]=CCrmDocumentDeal&document_id[2]=DEAL_123&auth[domain]=x.bitrix24.ru"
)
PROFILE = {
    "type": "deal",
    "data": {"deal": {"id": 7, "ownerId": "u-3", "price": 99}, "tags": [{"name": "x"}]},
}


@pytest.mark.parametrize(
    ("kind", "body", "named"),
    [
        (
            "amocrm",
            b"leads[update][0][id]=25&leads[update][0][price]=9&leads[status][1][id]=26",
            {"25", "26"},
        ),
        ("amocrm", b"leads%5Badd%5D%5B0%5D%5Bid%5D=25&account%5Bid%5D=1", {"25"}),
        ("amocrm", b"contacts[update][0][id]=25&contacts[update][0][linked_leads_id][26][ID]=26", set()),
        ("amocrm", b'{"leads": {"delete": [{"id": 27}, {"id": null}, 5]}}', {"27"}),
        ("amocrm", b"leads[update]=1&leads[update][0][id]=25", set()),
        ("bitrix24", b"event=ONCRMDEALUPDATE&data[FIELDS][ID]=759&auth[application_token]=x", {"D_759"}),
        ("bitrix24", b"event=ONCRMLEADUPDATE&data[FIELDS][ID]=759", {"L_759"}),
        (
            "bitrix24",
            b"event=ONCRMDYNAMICITEMUPDATE&data[FIELDS][ID]=5&data[FIELDS][ENTITY_TYPE_ID]=2",
            {"D_5"},
        ),
        (
            "bitrix24",
            b"event=ONCRMDYNAMICITEMUPDATE&data[FIELDS][ID]=5&data[FIELDS][ENTITY_TYPE_ID]=31",
            set(),
        ),
        ("bitrix24", b"event=ONCRMCONTACTUPDATE&data[FIELDS][ID]=5", set()),
        ("bitrix24", b"event=ONCRMDEALUPDATE&data[FIELDS][ID]=5;DROP", set()),
        ("bitrix24", BITRIX_RULE, {"D_123"}),
        ("native", b'{"leads": [{"id": "L1"}, "L2", 3, {}]}', {"L1", "L2", "3"}),
        ("native", b'[{"id": "L1"}]', {"L1"}),
        ("native", b'{"leads": {}}', None),
        ("profile", b"lead_id=5&status=won", {"5"}),
        ("profile", b"deals[0][id]=5&deals[1][id]=6&total=2", {"5", "6"}),
        ("profile", b"records[]=5&records[]=6&record[]=7&record[]=8", {"7", "8"}),
        ("profile", b"status=won", None),
    ],
)
def test_a_body_names_leads_as_its_crm_does(kind: str, body: bytes, named: set[str] | None) -> None:
    assert CRM_KINDS[kind].leads_named(decoded(body)) == named


def test_a_described_crm_names_whatever_stands_under_ids() -> None:
    found = CRM_KINDS["profile"].leads_named(PROFILE)
    assert found is not None
    assert "7" in found
    assert "99" not in found


@pytest.mark.parametrize("kind", CRM_KINDS)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"leads": None},
        {"leads": [[]]},
        {"leads": {"a": {"0": 1}}},
        {"event": [], "data": {"FIELDS": []}},
        {"id": []},
    ],
)
def test_nothing_a_body_holds_is_too_strange(kind: str, body: dict[str, Any]) -> None:
    assert not CRM_KINDS[kind].leads_named(body)


def test_a_deep_body_is_walked_without_recursion() -> None:
    deep: dict[str, Any] = {"id": "5"}
    for _ in range(900):
        deep = {"a": [deep]}
    assert CRM_KINDS["profile"].leads_named(deep) == {"5"}
