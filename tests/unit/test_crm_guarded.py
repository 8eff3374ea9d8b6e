"""A CRM's address that a tenant chose: nothing leaves for the inside, and the judged address is the one called."""

from collections.abc import Sequence

import httpx2
import pytest

from app.crm.guarded import GuardedTransport
from app.domain.crm import Entity, Lead
from app.domain.errors import Blocked, Unavailable
from app.outside.addresses import AddressGuard
from tests.profile_kit import ScriptedCrm, connector

PUBLIC = "93.184.216.34"


def behind(crm: httpx2.AsyncBaseTransport, *resolved: str) -> GuardedTransport:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return resolved

    return GuardedTransport(AddressGuard(resolver=resolve), crm)


@pytest.mark.parametrize(
    ("url", "resolved", "code"),
    [
        ("https://crm.example.com", "10.0.0.5", "address_not_public"),
        ("https://crm.example.com", "169.254.169.254", "address_not_public"),
        ("https://crm.example.com", "::ffff:127.0.0.1", "address_not_public"),
        ("https://127.0.0.1", PUBLIC, "address_not_public"),
        ("https://2130706433", PUBLIC, "address_malformed"),
        ("https://crm.internal", PUBLIC, "address_not_public"),
        ("http://crm.example.com", PUBLIC, "address_not_https"),
    ],
)
async def test_an_address_that_leads_inside_is_never_called(url: str, resolved: str, code: str) -> None:
    crm = ScriptedCrm(lambda method, path, sent: (200, {"id": 1, "items": []}))
    made = connector(behind(crm, resolved), base_url=url)
    for call in (made.create_lead(Lead("kwork:order:1", "Сайт")), made.find(Entity.LEAD, "kwork:order:1")):
        with pytest.raises(Blocked) as blocked:
            await call
        assert blocked.value.code == code
    assert not (await made.check()).ok
    assert crm.calls == []


async def test_the_call_goes_to_the_judged_address_under_the_name() -> None:
    crm = ScriptedCrm(lambda method, path, sent: (201, {"id": 1}))
    made = connector(behind(crm, PUBLIC), base_url="https://crm.example.com:8443/base")
    assert (await made.create_lead(Lead("kwork:order:1", "Сайт"))).created
    (request,) = crm.requests
    assert str(request.url) == f"https://{PUBLIC}:8443/base/leads"
    assert request.headers["host"] == "crm.example.com:8443"
    assert request.extensions["sni_hostname"] == "crm.example.com"


async def test_the_next_address_is_tried_when_one_takes_no_connection() -> None:
    tried: list[str] = []

    class Half(ScriptedCrm):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            tried.append(request.url.host)
            if len(tried) == 1:
                raise httpx2.ConnectError("refused")
            return await super().handle_async_request(request)

    made = connector(behind(Half(lambda method, path, sent: (201, {"id": 1})), PUBLIC, "93.184.216.35"))
    assert (await made.create_lead(Lead("kwork:order:1", "Сайт"))).created
    assert tried == [PUBLIC, "93.184.216.35"]


async def test_an_unknown_name_is_surely_nothing_sent() -> None:
    crm = ScriptedCrm(lambda method, path, sent: (201, {"id": 1}))
    with pytest.raises(Unavailable):
        await connector(behind(crm)).create_lead(Lead("kwork:order:1", "Сайт"))
    assert crm.calls == []
