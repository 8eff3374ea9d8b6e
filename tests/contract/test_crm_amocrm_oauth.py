"""OAuth2 with amoCRM: a refresh token works once, so it is spent once, whatever happens around it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.crm.amocrm import AmoConnector
from app.crm.registry import build_connector
from app.domain.crm import Entity, Lead
from app.domain.errors import Ambiguous, AuthExpired, Unavailable
from app.domain.tokens import Tokens
from sandbox.amocrm.faults import bad_day as switch_on
from sandbox.amocrm.tokens import ACCESS_SECONDS
from tests.crm_stands import Call
from tests.crm_stands.amocrm import AmoStand
from tests.token_keeper import TokensInMemory

LEAD = Lead("kwork:order:1001", "Лендинг")
GRANTS = "/oauth2/access_token"


@pytest.fixture(scope="module")
async def open_stand() -> AsyncIterator[AmoStand]:
    async with AmoStand.open() as opened:
        yield opened


@pytest.fixture
async def stand(open_stand: AmoStand) -> AmoStand:
    await open_stand.clear()
    return open_stand


@pytest.fixture
def keeper() -> TokensInMemory:
    return TokensInMemory()


@pytest.fixture
async def crm(stand: AmoStand, keeper: TokensInMemory) -> AsyncIterator[AmoConnector]:
    connector = connected(stand, keeper)
    yield connector
    await connector.aclose()


def connected(stand: AmoStand, keeper: TokensInMemory | None, **oauth: Any) -> AmoConnector:
    given = {
        "client_id": stand.tokens.client_id,
        "client_secret": stand.tokens.client_secret,
        "redirect_uri": stand.tokens.redirect_uri,
        **(oauth or {"code": stand.tokens.code}),
    }
    settings = {**stand.settings(), "api_key": None, "oauth": given, "look_before_create": False}
    connector = build_connector("amocrm", settings, keeper)
    assert isinstance(connector, AmoConnector)
    return connector


async def works(crm: AmoConnector) -> bool:
    return await crm.find(Entity.LEAD, "kwork:order:1") is None


def grants(stand: AmoStand) -> int:
    return len(stand.journal.find(path=GRANTS))


async def test_a_code_is_exchanged_once_and_its_tokens_serve_the_next_connector(
    stand: AmoStand, keeper: TokensInMemory, crm: AmoConnector
) -> None:
    assert await works(crm)
    assert await works(crm)
    later = connected(stand, keeper)
    assert await works(later)
    assert grants(stand) == 1
    await later.aclose()


async def test_a_refresh_token_starts_as_well(stand: AmoStand, keeper: TokensInMemory) -> None:
    first = stand.tokens.issue()["refresh_token"]
    crm = connected(stand, keeper, refresh_token=first)
    assert await works(crm)
    assert keeper.kept is not None
    assert keeper.kept.refresh not in ("", first)
    await crm.aclose()


async def test_an_access_that_ended_is_renewed_before_or_after_a_401(
    stand: AmoStand, keeper: TokensInMemory, crm: AmoConnector
) -> None:
    assert await works(crm)
    stand.later(ACCESS_SECONDS)
    assert await works(crm)
    assert grants(stand) == 2
    assert keeper.kept is not None
    soon = datetime.now(UTC) + timedelta(minutes=4)
    keeper.kept = Tokens(keeper.kept.access, keeper.kept.refresh, soon, keeper.kept.origin)
    later = connected(stand, keeper)
    stand.journal.clear()
    assert await works(later)
    assert [entry.path for entry in stand.journal.entries] == [GRANTS, "/api/v4/leads"]
    await later.aclose()


async def test_many_workers_and_calls_spend_one_refresh_token_once(
    stand: AmoStand, keeper: TokensInMemory
) -> None:
    workers = [connected(stand, keeper) for _ in range(3)]
    assert await works(workers[0])
    stand.tokens.revoke_access()
    assert all(await asyncio.gather(*(works(worker) for worker in workers for _ in range(4))))
    assert grants(stand) == 2
    assert len(stand.tokens.spent) == 2
    for worker in workers:
        await worker.aclose()


async def test_a_renewal_goes_on_when_its_caller_is_cancelled(
    stand: AmoStand, keeper: TokensInMemory, crm: AmoConnector
) -> None:
    stand.faults.add("slow", surface=stand.surface, path=GRANTS, seconds=0.2, when="after")
    call = asyncio.create_task(works(crm))
    await stand.until(lambda: stand.tokens.spent)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await crm.aclose()
    assert keeper.saves == 1


async def test_tokens_lost_by_a_death_between_answer_and_saving_need_a_person(
    stand: AmoStand, keeper: TokensInMemory, crm: AmoConnector
) -> None:
    assert await works(crm)
    stand.tokens.revoke_access()
    keeper.dies_before_saving = True
    with pytest.raises(SystemError):
        await works(crm)
    keeper.dies_before_saving = False
    after = connected(stand, keeper)
    for _ in range(2):
        with pytest.raises(AuthExpired, match=r"Token has been revoked.*выдайте интеграции доступ заново"):
            await works(after)
    await after.aclose()

    given_anew = connected(stand, keeper, refresh_token=stand.tokens.issue()["refresh_token"])
    assert await works(given_anew)
    await given_anew.aclose()


async def test_an_answer_lost_before_it_was_acted_on_costs_nothing(
    stand: AmoStand, crm: AmoConnector
) -> None:
    stand.faults.add("drop", surface=stand.surface, path=GRANTS, count=1, when="before")
    with pytest.raises(Unavailable):
        await crm.create_lead(LEAD)
    assert await works(crm)
    assert stand.done() == ["tokens granted"]


@pytest.mark.parametrize("bad_day", ["fails_before_acting", "html_before_acting", "error_inside_200"])
async def test_an_unclear_renewal_is_never_an_unclear_write(
    stand: AmoStand, crm: AmoConnector, bad_day: str
) -> None:
    switch_on(stand.faults, bad_day, path=GRANTS)
    with pytest.raises(Unavailable):
        await crm.create_lead(LEAD)
    assert stand.account.records["leads"] == {}


async def test_a_refused_integration_is_auth_expired_without_its_secrets(
    stand: AmoStand, keeper: TokensInMemory
) -> None:
    crm = connected(stand, keeper, code="wrong-code")
    stand.faults.add(
        "error",
        surface=stand.surface,
        path=GRANTS,
        status=401,
        body={"hint": f"no code wrong-code for {stand.tokens.client_secret}", "title": "Refused"},
        content_type="application/problem+json",
    )
    with pytest.raises(AuthExpired) as caught:
        await works(crm)
    assert "no code *** for ***" in caught.value.detail
    await crm.aclose()


async def test_granted_tokens_are_shown_nowhere(
    stand: AmoStand, keeper: TokensInMemory, crm: AmoConnector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    assert await works(crm)
    assert keeper.kept is not None
    stand.refuse(f"bad {keeper.kept.access} and {keeper.kept.refresh}")
    with pytest.raises(Exception, match=r"bad \*\*\* and \*\*\*"):
        await works(crm)
    shown = caplog.text + repr(keeper.kept)
    assert keeper.kept.access not in shown
    assert keeper.kept.refresh not in shown


async def test_a_write_is_sent_again_after_a_401_and_after_nothing_else(
    stand: AmoStand, crm: AmoConnector
) -> None:
    assert await works(crm)
    stand.tokens.revoke_access()
    assert (await crm.create_lead(LEAD)).created
    stand.tokens.revoke_access()
    stand.bad_day("cuts_after_acting", on=Call.CREATE_LEAD)  # even the 401: whose it was is not to be seen
    with pytest.raises(Ambiguous):
        await crm.create_lead(LEAD)
    answered = [entry.answered["status"] for entry in stand.writes() if "complex" in entry.path]
    assert answered == [401, 200, 401]


def test_oauth_without_a_keeper_is_refused(open_stand: AmoStand) -> None:
    with pytest.raises(ValueError, match="keeper"):
        connected(open_stand, None)
