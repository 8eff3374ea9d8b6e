"""CRMs tell that leads changed: nothing of it is believed, and however it comes, what the CRM shows happens once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from app.core.database import Database
from app.domain.crm import LeadStatus
from app.repositories.crm_schedule import STAGES
from app.services.follow_crm import FollowCrm
from app.services.note_events import NoteEvents
from app.services.pace_of_reading import Pace
from app.services.read_crm_stages import ReadCrmStages
from tests.api import Api, build_api, token
from tests.bureau import LOST, WORK, Bureau, opened_bureau, taken
from tests.crm_stands import STANDS, CrmStand
from tests.ledger import TENANT, Ledger
from tests.logs import Logs

NEW = LeadStatus.NEW
HOOKS = "/api/v1/crm/events/"


class Office(Bureau):
    """A bureau whose CRM tells of changes; ``look`` does the job that this queued."""

    api: Api
    address: str
    only_told = Pace({}, 1.0)
    """Nothing is looked at by the clock."""

    async def open(self, api: Api) -> None:
        self.api = api
        self.address = await self.issue()

    async def issue(self) -> str:
        async with self.api.client(token(TENANT)) as client:
            answer = await client.post(f"/api/v1/crm/connection/{self.connection_id}/event-address")
        assert answer.status_code == 201, answer.text
        found: dict[str, str] = answer.json()
        assert found["address"] == "http://service.test" + found["path"]
        return found["path"]

    async def tell(self, body: bytes | None = None, address: str | None = None) -> httpx2.Response:
        told = self.stand.event_of(self.crm_id) if body is None else body
        async with self.api.client() as client:
            return await client.post(address or self.address, content=told)

    async def jobs(self) -> int:
        found: int = await self.owner.fetchval(
            "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'crm.follow'"
        )
        return found

    async def look(self) -> None:
        """As a worker does with the job."""
        await self.owner.execute("DELETE FROM procrastinate_jobs")
        database = self.ledger.database
        follow = FollowCrm(database, self.reader(), NoteEvents(database), self.only_told)
        await follow.follow(TENANT, self.connection_id, STAGES)
        await self.ledger.service.idle()

    async def ready(self) -> None:
        """A linked order that was looked at once; since then only what the CRM tells is looked at."""
        await self.says(
            await taken(self), {"stage": await self.stage(LOST), "action": "cancel_order", "reason": "x"}
        )
        await self.link()
        await self.look()

    def reads(self) -> int:
        return len(self.stand.journal.entries)


@pytest.fixture(scope="module", params=["amocrm", "bitrix24", "native", "profile"])
async def any_stand(request: pytest.FixtureRequest) -> AsyncIterator[CrmStand]:
    async with STANDS[str(request.param)].open() as opened:
        yield opened


@pytest.fixture(scope="module")
async def native_stand() -> AsyncIterator[CrmStand]:
    async with STANDS["native"].open() as opened:
        yield opened


async def opened_office(
    stand: CrmStand, ledger: Ledger, owner: asyncpg.Connection, api: Api
) -> AsyncIterator[Office]:
    async with opened_bureau(stand, ledger, owner) as found:
        office = Office(stand, ledger, owner, found.connection_id, found.crm)
        await office.open(api)
        yield office


@pytest.fixture
async def any_office(
    any_stand: CrmStand, ledger: Ledger, owner: asyncpg.Connection, api: Api
) -> AsyncIterator[Office]:
    async for office in opened_office(any_stand, ledger, owner, api):
        yield office


@pytest.fixture
async def office(
    native_stand: CrmStand, ledger: Ledger, owner: asyncpg.Connection, api: Api
) -> AsyncIterator[Office]:
    async for opened in opened_office(native_stand, ledger, owner, api):
        yield opened


async def test_what_a_person_does_in_the_crm_happens_on_kwork_once_it_is_told(any_office: Office) -> None:
    office = any_office
    await office.ready()
    await office.move(WORK)
    await office.look()
    assert office.ledger.kwork.arrived == [], "nobody told of it, and it was looked at already"

    assert (await office.tell()).json() == {"ok": True}
    assert await office.jobs() == 1
    await office.look()
    assert office.ledger.kwork.arrived == ["/take_order/order:7/"]
    await office.tell()
    await office.look()
    assert len(office.ledger.kwork.arrived) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_doubled_old_and_shuffled_events_end_in_what_the_crm_shows(office: Office, seed: int) -> None:
    """There, back and there again, told late, twice and in any order: one write for each move that was seen."""
    rng = random.Random(seed)
    await office.ready()
    told: list[bytes] = []
    for status in (WORK, NEW, WORK, NEW, WORK):
        await office.move(status)
        told += [office.stand.event_of(office.crm_id)] * rng.randint(1, 3)
    rng.shuffle(told)
    for body in told:
        assert (await office.tell(body)).status_code == 200
        if rng.random() < 0.4:
            await office.look()
    await office.look()
    assert office.ledger.kwork.arrived == ["/take_order/order:7/"]
    assert await office.owner.fetchval("SELECT count(*) FROM crm_named_leads") == 0


async def test_a_burst_is_one_job_and_one_look(office: Office) -> None:
    await office.ready()
    await office.move(WORK)
    before = office.reads()
    answers = await asyncio.gather(*(office.tell() for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert await office.jobs() == 1
    await office.look()
    assert office.reads() == before + 1
    assert len(office.ledger.kwork.arrived) == 1


async def test_what_is_told_during_a_look_is_looked_at_after_it(office: Office) -> None:
    await office.ready()
    await office.move(WORK)
    await office.tell()
    reader = office.reader()

    class Meanwhile(ReadCrmStages):
        async def run(self, *args: Any, **how: Any) -> Any:
            found = await reader.run(*args, **how)
            await office.move(LOST)
            await office.tell()
            return found

    follow = FollowCrm(
        office.ledger.database,
        Meanwhile(office.ledger.database, lambda *_: office.stand.connector(), office.ledger.service.ask),
        NoteEvents(office.ledger.database),
        office.only_told,
    )
    await follow.follow(TENANT, office.connection_id, STAGES)
    due = await office.owner.fetchval(
        "SELECT next_at <= now() AND queued_at IS NULL AND named_at IS NOT NULL FROM crm_schedule"
    )
    assert due
    assert await office.owner.fetchval("SELECT count(*) FROM crm_named_leads") == 1


async def test_a_crm_that_does_not_answer_is_not_asked_more_often_for_telling(office: Office) -> None:
    await office.ready()
    await office.move(WORK)
    await office.tell()
    office.stand.bad_day("fails_before_acting")
    await office.look()
    await office.tell()
    assert await office.jobs() == 0
    assert await office.owner.fetchval("SELECT next_at > now() AND failures = 1 FROM crm_schedule")
    office.stand.faults.clear()
    await office.look()
    assert len(office.ledger.kwork.arrived) == 1, "what was named before is not forgotten"


async def test_a_crm_that_asked_to_wait_is_not_read_before(office: Office) -> None:
    """Whoever was asked: a push waits as well for what a reader was told."""
    await office.ready()
    await office.move(WORK)
    await office.tell()
    office.stand.bad_day("throttles_for_seconds", count=1)
    await office.look()
    waits = "SELECT extract(epoch FROM paused_until - now()) FROM crm_health"
    assert 5 < await office.owner.fetchval(waits) <= 7
    before = office.reads()
    await office.look()
    assert office.reads() == before
    assert await office.owner.fetchval("SELECT reason FROM crm_schedule") == "crm_paused"
    await office.owner.execute("UPDATE crm_health SET paused_until = now()")
    await office.look()
    assert len(office.ledger.kwork.arrived) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"leads": [{"id": "L-404"}, {"id": 17}, {"name": "x"}, 5, null]}',
        b'{"leads": [{"id": "\\u0000"}, {"id": "' + b"x" * 300 + b'"}, {"id": {"a": 1}}, {"id": true}]}',
        b"leads[update][0][id]=5&leads=6&leads[update]=7&[[[=8&%00=9&]]=&=",
        b"leads[note]" + b"[a]" * 50 + b"=1",
        b"",
        b"\xff\xfe%ff=%zz",
    ],
)
async def test_what_concerns_no_lead_of_ours_leaves_nothing_behind(office: Office, body: bytes) -> None:
    await office.ready()
    answer = await office.tell(body)
    assert answer.status_code == 200, answer.text
    assert await office.jobs() == 0
    assert await office.owner.fetchval("SELECT count(*) FROM crm_named_leads") == 0


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[1", 422, "event_unreadable"),
        (b'{"a": ' * 5000, 422, "json_too_deep"),
        (b"&".join(b"a[%d]=1" % number for number in range(5001)), 422, "event_unreadable"),
        (b"x" * (256 * 1024 + 1), 413, "body_too_large"),
        (b"x" * (3 * 1024 * 1024), 413, "body_too_large"),
    ],
)
async def test_a_body_that_no_crm_sends_is_refused(
    office: Office, body: bytes, status: int, code: str
) -> None:
    answer = await office.tell(body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_crm_that_does_not_say_which_gets_everything_looked_at_but_not_too_often(
    office: Office,
) -> None:
    await office.ready()
    await office.move(WORK)
    await office.tell(b"")
    assert await office.jobs() == 0, "the schedule queues it"
    soon = await office.owner.fetchval(
        "SELECT whole_at = next_at AND next_at <= now() + interval '15 s' AND next_at > now() + interval '5 s' "
        "FROM crm_schedule"
    )
    assert soon
    await office.owner.execute("UPDATE crm_schedule SET whole_at = now(), next_at = now()")
    await office.look()
    assert len(office.ledger.kwork.arrived) == 1


async def test_where_nothing_may_come_back_nothing_is_noted(office: Office) -> None:
    await office.link()
    await office.says()
    before = office.reads()
    assert (await office.tell()).status_code == 200
    await office.look()
    assert await office.jobs() == 0
    assert office.reads() == before


async def test_an_unknown_secret_is_an_unknown_route(office: Office) -> None:
    await office.ready()
    right = office.address.rpartition("/")[2]
    async with office.api.client() as client:
        unknown = await client.post("/api/v1/no/such/route", content=b"{")
        for secret in (
            right[:-1] + ("A" if right[-1] != "A" else "B"),
            right.lower(),
            right[:-1],
            right + "A",
            "x",
            "%00",
        ):
            answer = await client.post(HOOKS + secret, content=b"{", headers={"Authorization": "Bearer x"})
            assert _without_id(answer) == _without_id(unknown), secret


async def test_an_address_that_is_issued_anew_or_closed_works_no_more(office: Office) -> None:
    await office.ready()
    old, new = office.address, await office.issue()
    assert (await office.tell(address=old)).status_code == 404
    assert (await office.tell(address=new)).status_code == 200
    path = f"/api/v1/crm/connection/{office.connection_id}/event-address"
    async with office.api.client(token(TENANT)) as client:
        shown = (await client.get(path)).json()
        assert (shown["issued"], shown["events"], shown["issued_by"]) == (True, 1, "user@example.com")
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).json()["issued"] is False
    assert (await office.tell(address=new)).status_code == 404
    told = await office.owner.fetch("SELECT action FROM audit ORDER BY id")
    assert [row["action"] for row in told] == [
        "crm_connection.event_address_issued",
        "crm_connection.event_address_issued",
        "crm_connection.event_address_closed",
    ]
    secret = new.rpartition("/")[2]
    for table in ("crm_event_addresses", "audit"):
        rows = await office.owner.fetch(f"SELECT t::text AS row FROM {table} t")
        assert all(secret not in row["row"] for row in rows)


async def test_only_an_admin_of_the_tenant_issues_an_address(office: Office) -> None:
    path = f"/api/v1/crm/connection/{office.connection_id}/event-address"
    async with office.api.client(token("other")) as client:
        for method in ("GET", "POST", "DELETE"):
            assert (await client.request(method, path)).status_code == 404
    async with office.api.client(token(TENANT, role="MANAGER")) as client:
        assert (await client.post(path)).status_code == 403


async def test_another_tenants_lead_of_the_same_number_is_not_touched(
    office: Office, owner: asyncpg.Connection
) -> None:
    await office.ready()
    await owner.execute("INSERT INTO tenants (id, name) VALUES ('other', 'other')")
    other = await owner.fetchval(
        "INSERT INTO crm_connections (tenant_id, kind, name, origin, mode, settings, mapping) "
        "SELECT 'other', kind, name, origin, mode, settings, mapping FROM crm_connections RETURNING id"
    )
    await owner.execute(
        "INSERT INTO crm_links (tenant_id, connection_id, entity, external_id, crm_id, payload_hash) "
        "SELECT 'other', $1, entity, external_id, crm_id, payload_hash FROM crm_links",
        other,
    )
    await office.tell()
    assert await owner.fetch("SELECT DISTINCT tenant_id FROM crm_named_leads") == [(TENANT,)]


async def test_a_crm_that_tells_too_often_is_told_to_wait(
    native_stand: CrmStand, ledger: Ledger, owner: asyncpg.Connection, database: Database, tmp_path: Path
) -> None:
    api = build_api(database, data_dir=tmp_path, crm_events_per_minute=3)
    async for office in opened_office(native_stand, ledger, owner, api):
        answers: Sequence[httpx2.Response] = [await office.tell() for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].json()["code"] == "too_many_events"
        assert int(answers[-1].headers["retry-after"]) >= 1


async def test_no_log_shows_the_secret(office: Office, logs: Logs) -> None:
    await office.ready()
    logs.configure(log_level="DEBUG")
    secret = office.address.rpartition("/")[2]
    async with office.api.client() as client:
        for method, path in (("POST", ""), ("POST", "/"), ("GET", ""), ("POST", "/more"), ("POST", "?x=1")):
            await client.request(method, office.address + path, content=b"{")
    text = logs.text("access") + logs.text()
    assert "/api/v1/crm/events/" in text
    assert secret not in text
    assert secret[:20] not in text


def _without_id(answer: httpx2.Response) -> tuple[int, dict[str, Any], list[str]]:
    told = answer.json()
    del told["request_id"]
    return answer.status_code, told, sorted(answer.headers.keys())
