"""CRM_KIND, CRM_API_URL, CRM_API_KEY and CRM_SETTINGS choose a connector, or the start is refused in words."""

from collections.abc import Awaitable, Callable
from unittest.mock import AsyncMock
from uuid import uuid4

import pytest
from pydantic import SecretStr

from app.bootstrap import _check_crm
from app.core.load_settings import SettingsError
from app.crm.amocrm import AmoConnector
from app.crm.native import NativeConnector
from app.crm.registry import build_connector
from app.domain.crm import CallRate, Lead
from app.repositories.connections import CrmConnection
from app.services.crm_connections import CrmConnectors
from app.services.crm_paces import CrmPaces
from tests.api import settings_for_tests

AMO = {"crm_kind": "amocrm", "crm_api_url": "https://mycompany.amocrm.ru", "crm_api_key": SecretStr("s3cret")}


async def connected(tenant_id: str, **given: object) -> AmoConnector | NativeConnector:
    settings = settings_for_tests(**given)
    _check_crm(settings)
    connectors = CrmConnectors(settings)
    crm = connectors.connect(tenant_id, CrmConnection(uuid4(), connectors.kind, "default"))
    await crm.aclose()
    assert isinstance(crm, AmoConnector | NativeConnector)
    return crm


async def test_without_a_kind_it_is_native() -> None:
    assert isinstance(await connected("default", crm_api_key=SecretStr("key")), NativeConnector)


async def test_amocrm_is_chosen_by_its_kind() -> None:
    crm = await connected("default", **AMO, crm_settings={"statuses": {"new": 5}})
    body = crm.lead_body(Lead("kwork:order:1", "Сайт"))
    assert body["status_id"] == 5
    assert "'kwork:order:1'" in str(body)


async def test_tenants_who_share_the_account_have_keys_of_their_own() -> None:
    lead = Lead("kwork:project:1", "Сайт")
    first = (await connected("default", **AMO)).lead_body(lead)
    second = (await connected("studio-2", **AMO)).lead_body(lead)
    assert "'studio-2/kwork:project:1'" in str(second)
    assert first != second


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"crm_kind": "amo"}, "CRM_KIND: такого вида CRM нет, бывает amocrm"),
        (AMO | {"crm_api_url": None}, "CRM_API_URL"),
        (AMO | {"crm_api_url": "https://x/leads"}, "CRM_API_URL — в адресе не должно быть пути"),
        (AMO | {"crm_api_key": SecretStr("s3 cret")}, "CRM_API_KEY"),
        (AMO | {"crm_settings": {"statuses": {"nearly": 5}}}, "CRM_SETTINGS, поле statuses"),
        (
            AMO
            | {
                "crm_settings": {
                    "oauth": {"client_id": "a", "client_secret": "s3cret", "redirect_uri": "b", "code": "c"}
                }
            },
            "долгосрочный токен (api_key) или oauth",
        ),
    ],
)
def test_settings_that_cannot_work_stop_the_start(given: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        _check_crm(settings_for_tests(**given))
    assert words in str(caught.value)
    assert "s3" not in str(caught.value)


def test_connections_of_one_integration_share_one_pace() -> None:
    paces = CrmPaces()
    rate = CallRate(7.0, 1)
    assert paces("crm:amocrm:a", rate) is paces("crm:amocrm:a", rate)
    assert paces("crm:amocrm:a", rate) is not paces("crm:amocrm:b", rate)


def test_whose_calls_are_counted_together_is_told_without_the_key() -> None:
    names: list[str] = []

    def pacing(name: str, rate: CallRate) -> Callable[[], Awaitable[None]]:
        names.append(name)
        return AsyncMock()

    amo = {"base_url": "mycompany", "api_key": "a-long-lived-token"}
    build_connector("amocrm", amo, pacing=pacing)
    build_connector("amocrm", {**amo, "key_prefix": "studio/"}, pacing=pacing)
    build_connector("amocrm", {**amo, "api_key": "another"}, pacing=pacing)
    portal = "https://example.bitrix24.ru/rest/{}/secretcode/"
    build_connector("bitrix24", {"webhook_url": portal.format(1)}, pacing=pacing)
    build_connector("bitrix24", {"webhook_url": portal.format(2)}, pacing=pacing)
    assert names[0] == names[1] != names[2]
    assert names[3] == names[4]
    assert not any("token" in name or "secretcode" in name for name in names)
