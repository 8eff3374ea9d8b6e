"""The one CRM of the settings, described by a profile: `CRM_KIND=profile`."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from app.domain.crm import Entity, Lead
from app.repositories.connections import CrmConnection
from app.services.crm_connections import CrmConnectors
from tests.api import settings_for_tests
from tests.profile_kit import SMALL, ScriptedCrm, connector

LEAD = Lead("kwork:order:1", "Сайт")


def connectors(**crm_settings: Any) -> CrmConnectors:
    return CrmConnectors(
        settings_for_tests(
            crm_kind="profile",
            crm_api_url="https://crm.example.com",
            crm_api_key=SecretStr("key"),
            crm_settings=crm_settings,
        )
    )


async def body_of(made: CrmConnectors, tenant: str) -> dict[str, Any]:
    crm = made.connect(tenant, CrmConnection(id="1", kind="profile", name="default"))  # type: ignore[arg-type]
    await crm.aclose()
    return crm.lead_body(LEAD)


async def test_the_tenant_goes_where_the_profile_asks_for_it() -> None:
    made = connectors(preset="contract")
    made.check_settings()
    assert (await body_of(made, "studio-2"))["external_id"] == "kwork:order:1"


async def test_tenants_of_a_crm_that_does_not_ask_are_told_apart_by_their_keys() -> None:
    made = connectors(preset="bottlecrm")
    made.check_settings()
    keys = [(await body_of(made, tenant))["custom_fields"] for tenant in ("default", "studio-2")]
    assert keys == [{"kwork_key": "kwork:order:1"}, {"kwork_key": "studio-2/kwork:order:1"}]


async def test_a_profile_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "crm.yaml"
    file.write_text(SMALL, "utf-8")
    made = connectors(profile_file=str(file))
    made.check_settings()
    assert await body_of(made, "default") == {"name": "Сайт", "key": "kwork:order:1"}


@pytest.mark.parametrize(
    "given",
    [{}, {"preset": "nothing"}, {"profile_file": "/nowhere/crm.yaml"}, {"profile": SMALL + "x: 1"}],
    ids=["nothing", "unknown preset", "no file", "bad profile"],
)
def test_what_cannot_work_is_refused_at_the_start(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connectors(**given).check_settings()


async def test_a_prefix_stands_before_every_key() -> None:
    rows = [{"id": 1, "key": "kwork:order:1"}, {"id": 2, "key": "b/kwork:order:1"}]
    crm = ScriptedCrm(
        lambda method, path, sent: (
            (200, {"items": rows}) if method == "GET" else (201, {"id": 3, "key": sent["key"]})
        )
    )
    made = connector(crm, key_prefix="b/")
    assert (await made.create_lead(LEAD)).crm_id == "3"
    assert crm.writes == [("POST", "/leads", {"name": "Сайт", "key": "b/kwork:order:1"})]
    assert await made.find(Entity.LEAD, "kwork:order:1") == "2"
    assert crm.calls[-1][1] == "/leads?key=b%2Fkwork%3Aorder%3A1"
