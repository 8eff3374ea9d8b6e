"""Every call that cannot be taken back, on every bad day: the marker comes first, the outcome is never guessed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from app.domain.errors import Ambiguous, Blocked, RateLimited, Unavailable, VendorError
from app.domain.kwork import Surface
from app.marketplaces.kwork.errors import SessionLostMidway
from app.marketplaces.kwork.mobile.methods import METHODS
from app.marketplaces.kwork.transport import UnmarkedCall
from app.marketplaces.kwork.web import plans as web_plans
from app.marketplaces.kwork.web.paths import ALLOWED
from tests.kwork_writing import DEEDS, Deed, Writer, wire_of

SIGNED_OUT = {"success": False, "error": "Необходима авторизация"}
NOT_CLEAR = {"success": False, "error": "Неизвестная ошибка", "error_code": 1}


@dataclass(frozen=True)
class Bad:
    """A bad day: the stand's fault, the family it must end in, whether Kwork acted nevertheless."""

    name: str
    kind: str
    family: type[VendorError] = Ambiguous
    acted: bool = False
    given: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def answered(name: str, body: object, family: type[VendorError] = Ambiguous, **given: Any) -> Bad:
    """Another answer than the real one, after acting with ``act``."""
    given = {"status": 200, "content_type": "application/json", **given, "body": body}
    return Bad(name, "error", family, bool(given.get("act")), given)


BAD_DAYS = [
    Bad("cut off before acting", "drop", given={"when": "before"}),
    Bad("cut off after acting", "drop", acted=True, given={"when": "after"}),
    Bad("half an answer", "cut", acted=True),
    Bad("server error before", "error_500"),
    Bad("server error after", "error_500", acted=True, given={"act": True}),
    Bad("empty before", "empty_200"),
    Bad("empty after", "empty_200", acted=True, given={"act": True}),
    Bad("page before", "html_instead_of_json"),
    Bad("page after", "html_instead_of_json", acted=True, given={"act": True}),
    Bad("works before", "maintenance"),
    Bad("works after", "maintenance", acted=True, given={"act": True}),
    Bad("works with 503", "maintenance_503"),
    Bad("Qrator", "block_403", Blocked),
    Bad("block page", "block_page", Blocked),
    answered("gateway error in JSON", {"success": False, "error": "x"}, status=502),
    answered("no verdict", {}, act=True),
    answered("a list", [], act=True),
    answered("a bare false", "false"),
    answered("cut JSON of full length", '{"success": tr', act=True),
    answered("yes and no at once", {"success": True, "error": "Ошибка"}, act=True),
    answered("says nothing", NOT_CLEAR, act=True),
    answered("signed out in words", SIGNED_OUT, SessionLostMidway),
    answered("slow down", "", RateLimited, status=429, headers={"retry-after": 7}),
    answered("to another page", "", status=302, headers={"location": "/projects"}),
    answered("to another host", "", status=302, headers={"location": "https://evil.example/"}),
    answered("to the block page", "", Blocked, status=302, headers={"location": "/not_access.php"}),
]


async def test_the_deeds_are_all_that_the_lists_let_out_with_a_marker(writer: Writer) -> None:
    async with writer.client() as client:
        calls = [await deed.plan(writer, client.writing) for deed in DEEDS]
    mobile = {call.path.removeprefix("/") for call in calls if call.surface is Surface.MOBILE}
    web = {call.path for call in calls if call.surface is Surface.WEB}
    assert mobile == {name for name, method in METHODS.items() if method.irrevocable}
    for entry in (entry for entry in ALLOWED if entry.irrevocable):
        found = {path for path in web if entry.pattern.fullmatch(path)}
        assert found
        web -= found
    assert web == set()


@pytest.mark.parametrize("deed", DEEDS, ids=str)
@pytest.mark.parametrize("bad", BAD_DAYS, ids=str)
async def test_a_bad_day_ends_in_its_family_and_the_marker_came_first(
    writer: Writer, deed: Deed, bad: Bad
) -> None:
    async with writer.client() as client:
        call = await deed.plan(writer, client.writing)
        mark = writer.mark(call)
        writer.stand.fault(bad.kind, surface=wire_of(call), path=call.path, count=1, **bad.given)
        with pytest.raises(bad.family) as raised:
            await client.writing.carry_out(call, mark)
        assert type(raised.value) is bad.family
        assert mark.once_before_arrival
        assert len(writer.stand.journal(path=call.path, since=mark.since)) == 1
        assert writer.effects(mark.since) == ([deed.effect] if bad.acted else [])
        assert client.expired == ({call.surface} if bad.family is SessionLostMidway else set())


@pytest.mark.parametrize("deed", DEEDS, ids=str)
async def test_a_session_lost_between_two_steps_leaves_the_outcome_open(writer: Writer, deed: Deed) -> None:
    async with writer.client() as client:
        call = await deed.plan(writer, client.writing)
        mark = writer.mark(call)
        writer.stand.fault("session_lost", surface=wire_of(call), path=call.path, count=1)
        with pytest.raises(SessionLostMidway):
            await client.writing.carry_out(call, mark)
        assert mark.once_before_arrival
        assert client.expired == {call.surface}
        assert writer.effects(mark.since) == []
    writer.stand.sign_out()


@pytest.mark.parametrize("deed", DEEDS, ids=str)
async def test_a_marker_that_raises_keeps_everything_back(writer: Writer, deed: Deed) -> None:
    class Stopped(Exception):
        pass

    async def stop() -> None:
        raise Stopped

    async with writer.client() as client:
        call = await deed.plan(writer, client.writing)
        since = writer.stand.mark()
        with pytest.raises(Stopped):
            await client.writing.carry_out(call, stop)
        assert writer.stand.journal(path=call.path, since=since) == []


@pytest.mark.parametrize("deed", DEEDS, ids=str)
async def test_without_a_marker_nothing_that_cannot_be_taken_back_leaves(writer: Writer, deed: Deed) -> None:
    async with writer.client() as client:
        call = await deed.plan(writer, client.writing)
        since = writer.stand.mark()
        with pytest.raises(UnmarkedCall):
            await client.writing.carry_out(call)
        assert writer.stand.journal(path=call.path, since=since) == []


@pytest.mark.parametrize("deed", DEEDS, ids=str)
async def test_on_a_good_day_it_is_done_once_and_answered(writer: Writer, deed: Deed) -> None:
    async with writer.client() as client:
        call = await deed.plan(writer, client.writing)
        mark = writer.mark(call)
        await client.writing.carry_out(call, mark)
        assert mark.once_before_arrival
        assert writer.effects(mark.since) == [deed.effect]
        assert client.drift == ()


@pytest.mark.parametrize("surface", [Surface.MOBILE, Surface.WEB])
async def test_when_nobody_answers_surely_nothing_left(writer: Writer, surface: Surface) -> None:
    marked: list[bool] = []

    async def marker() -> None:
        marked.append(True)

    async with writer.clients_at("http://127.0.0.1:9").for_account(writer.access) as client:
        on_web = web_plans.send_message(7, "Привет")
        call = on_web if surface is Surface.WEB else client.writing.send_message(7, "Привет")
        with pytest.raises(Unavailable):
            await client.writing.carry_out(call, marker)
    assert marked == [True]
