"""An account that writes to the stand-in, and every deed it can do there that cannot be taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.core.settings import Settings
from app.domain.accounts import AccountAccess
from app.domain.kwork import Surface
from app.domain.writing import OutgoingFile, PlannedCall, StageChange, StageDraft
from app.marketplaces.kwork.browser import KworkBrowser
from app.marketplaces.kwork.transport import unpaced
from app.marketplaces.kwork.web import plans as web_plans
from app.services.kwork_client import KworkClient, KworkClients
from app.services.kwork_writing import KworkWriting
from tests.stand import Row, Stand

OFFER_TEXT = "Здравствуйте! Сделаю «под ключ», покажу похожие работы и отвечу на вопросы. " * 3
STAGES = [["Первый этап", 1000], ["Второй этап", 2000]]


@dataclass
class Mark:
    """A marker that remembers what had arrived at Kwork when it was awaited."""

    stand: Stand
    path: str
    since: int
    arrived: list[int] = field(default_factory=list)

    async def __call__(self) -> None:
        self.arrived.append(len(self.stand.journal(path=self.path, since=self.since)))

    @property
    def once_before_arrival(self) -> bool:
        return self.arrived == [0]


class Writer:
    """Opens clients at the stand for its first account, signed in on both surfaces."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.settings = Settings(
            _env_file=None,
            kwork_web_url=stand.web,
            kwork_api_url=stand.api,
            kwork_requests_per_second=0,
            kwork_mobile_key=stand.mobile_key,
            chromium_path="/nowhere/chromium",
        )
        self.clients = KworkClients(self.settings, KworkBrowser(self.settings), None)
        self.access = AccountAccess("t", uuid4(), stand.login, None)

    def clients_at(self, address: str) -> KworkClients:
        """Clients that take this address for Kwork's, both surfaces."""
        moved = self.settings.model_copy(update={"kwork_web_url": address, "kwork_api_url": address})
        return KworkClients(moved, KworkBrowser(moved), None)

    async def sign_in(self) -> None:
        async with self.clients.web(None, unpaced) as surface:
            web = await surface.login_by_token(self.stand.web_token(self.stand.username))
        async with self.clients.mobile(None, unpaced) as surface:
            mobile = await surface.sign_in(self.stand.login, self.stand.password, uad="0" * 40)
        self.access = replace(self.access, web=web, mobile=mobile)

    @asynccontextmanager
    async def client(self, **access: Any) -> AsyncIterator[KworkClient]:
        """``web=None`` or ``mobile=None`` takes a session away."""
        async with self.clients.for_account(replace(self.access, **access)) as client:
            yield client

    def mark(self, call: PlannedCall) -> Mark:
        return Mark(self.stand, call.path, self.stand.mark())

    def effects(self, since: int) -> list[str]:
        """What the stand did for others to see, by its journal."""
        return [effect for row in self.stand.journal(since=since) for effect in row["effects"]]

    def order(self, *events: str, **fields: Any) -> int:
        number: int = self.stand.add_order(account=self.stand.username, **fields)["id"]
        for event in events:
            self.stand.advance_order(number, event)
        return number

    def stage(self, order_id: int, place: int) -> int:
        number: int = self.stand.order(order_id)["stages"][place]["id"]
        return number

    def buyer(self) -> int:
        number: int = self.stand.add_user()["user_id"]
        return number

    def gig(self, **fields: Any) -> int:
        number: int = self.stand.add_gig(account=self.stand.username, **fields)["id"]
        return number

    def project(self, **fields: Any) -> int:
        self.stand.change_account(self.stand.username, connects_active=1000)
        number: int = self.stand.add_project(**fields)["id"]
        return number

    async def offer(self, writing: KworkWriting) -> int:
        """An offer made: its number."""
        project = self.project()
        call = _offer_on(project)
        await writing.carry_out(call, self.mark(call))
        found = await writing.offer_on(project)
        assert found is not None
        return found.id


@pytest.fixture(scope="module")
async def _writer_of_the_module(stand: Stand) -> Writer:
    stand.reset(seed=7, projects=30, orders=8, accounts=2, gigs=6, dialogs=4)
    stand.set(strict_signin=False, mobile_key="")
    writer = Writer(stand)
    await writer.sign_in()
    return writer


@pytest.fixture
async def writer(_writer_of_the_module: Writer) -> Writer:
    """One world for all tests of a module: each makes what it needs in it. Signed in again where it was lost."""
    writer = _writer_of_the_module
    writer.stand.clear_faults()
    if writer.stand.state()["web_sessions"] == 0 or writer.stand.state()["mobile_tokens"] == 0:
        writer.stand.sign_out()
        await writer.sign_in()
    return writer


def outgoing(folder: Path, name: str, content: bytes, media_type: str = "text/plain") -> OutgoingFile:
    path = folder / "stored-under-another-name"
    path.write_bytes(content)
    return OutgoingFile(path, name, len(content), media_type)


Plan = Callable[[Writer, KworkWriting], Awaitable[PlannedCall]]


@dataclass(frozen=True)
class Deed:
    """One call that cannot be taken back: how it comes to be planned, and the effect in the stand's journal."""

    name: str
    effect: str
    plan: Plan

    def __str__(self) -> str:
        return self.name


def _offer_on(project: int) -> PlannedCall:
    return web_plans.create_offer(
        project, title="Сделаю парсер", message=OFFER_TEXT, price_kopecks=200_000, duration_days=3
    )


async def create_offer(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return _offer_on(writer.project())


async def delete_offer(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.delete_offer(await writer.offer(writing))


async def web_delete_offer(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return web_plans.delete_offer(await writer.offer(writing))


async def take_order(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.take_order(writer.order())


async def report(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.report(writer.order("take"), progress=40, comment="Собрал данные")


async def stage_progress(writer: Writer, writing: KworkWriting) -> PlannedCall:
    order = writer.order("take", stages=STAGES)
    return writing.stage_progress(order, {writer.stage(order, 0): 60}, "Почти готово")


async def hand_in(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.hand_in(writer.order("take"))


async def suggest_stages(writer: Writer, writing: KworkWriting) -> PlannedCall:
    order = writer.order("take", stages=STAGES)
    stages = [
        StageDraft("Третий этап", 300_000),
        StageDraft("Второй, подробнее", None, writer.stage(order, 1), StageChange.EDIT),
    ]
    return writing.suggest_stages(order, days=9, message="Предлагаю так", stages=stages)


async def create_stages(writer: Writer, writing: KworkWriting) -> PlannedCall:
    order = writer.order("take", stages=STAGES)
    return writing.create_stages(order, extend_days=2, stages=[StageDraft("Третий этап", 300_000)])


async def edit_stages(writer: Writer, writing: KworkWriting) -> PlannedCall:
    order = writer.order("take", stages=STAGES)
    stage = StageDraft("Другое имя", 250_000, writer.stage(order, 1))
    return writing.edit_stages(order, extend_days=0, stages=[stage])


async def delete_stage(writer: Writer, writing: KworkWriting) -> PlannedCall:
    order = writer.order("take", stages=STAGES)
    return writing.delete_stage(order, writer.stage(order, 1))


async def accept_stages(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.accept_stages(_suggested(writer))


async def reject_stages(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.reject_stages(_suggested(writer))


def _suggested(writer: Writer) -> int:
    order = writer.order("take", stages=STAGES)
    writer.stand.suggest_stages(order, days=5, message="Давайте так", stages=[["Ещё этап", 700]])
    return order


async def cancel_order(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.cancel_order(writer.order("take"), reason="worker_no_time", message="Не успеваю")


async def confirm_cancel(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.confirm_cancel(writer.order("take", "propose_cancel"))


async def reject_cancel(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.reject_cancel(writer.order("take", "propose_cancel"))


async def withdraw_cancel(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.withdraw_cancel(writer.order("take", "seller_proposes_cancel"))


async def send_message(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.send_message(writer.buyer(), "Добрый день!", message_key=uuid4().hex)


async def send_order_message(writer: Writer, writing: KworkWriting) -> PlannedCall:
    number = writer.order("take")
    buyer = writer.stand.order(number)["payer_id"]
    return writing.send_message(buyer, "Работа готова", order_id=number, message_key=uuid4().hex)


async def web_send_message(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return web_plans.send_message(writer.buyer(), "Добрый день!")


async def mark_read(writer: Writer, writing: KworkWriting) -> PlannedCall:
    row: Row = writer.stand.add_message("Вы тут?", from_id=writer.buyer(), account=writer.stand.username)
    return writing.mark_read(row["from_id"])


async def save_gig(writer: Writer, writing: KworkWriting) -> PlannedCall:
    form = await writing.gig_form(writer.gig())
    return writing.save_gig(form, writing.gig_changes(form, title="Другое имя", price_kopecks=170_000))


async def start_gig(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.start_gig(writer.gig(group=3))


async def pause_gig(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return writing.pause_gig(writer.gig())


async def web_start_gig(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return web_plans.start_gig(writer.gig(group=3))


async def web_pause_gig(writer: Writer, writing: KworkWriting) -> PlannedCall:
    return web_plans.pause_gig(writer.gig())


DEEDS = [
    Deed("create_offer", "offer created", create_offer),
    Deed("delete_offer", "offer deleted", delete_offer),
    Deed("web_delete_offer", "offer deleted", web_delete_offer),
    Deed("take_order", "order: take", take_order),
    Deed("report", "order: report", report),
    Deed("stage_progress", "order: report", stage_progress),
    Deed("hand_in", "order: hand_in", hand_in),
    Deed("suggest_stages", "stages suggested", suggest_stages),
    Deed("create_stages", "stages created", create_stages),
    Deed("edit_stages", "stages edited", edit_stages),
    Deed("delete_stage", "stage deleted", delete_stage),
    Deed("accept_stages", "suggestion accepted", accept_stages),
    Deed("reject_stages", "suggestion rejected", reject_stages),
    Deed("cancel_order", "order: cancel_by_seller", cancel_order),
    Deed("confirm_cancel", "order: cancel_by_buyer", confirm_cancel),
    Deed("reject_cancel", "cancel request rejected", reject_cancel),
    Deed("withdraw_cancel", "cancel request withdrawn", withdraw_cancel),
    Deed("send_message", "message sent", send_message),
    Deed("send_order_message", "track message sent", send_order_message),
    Deed("web_send_message", "message sent", web_send_message),
    Deed("mark_read", "dialog marked read", mark_read),
    Deed("save_gig", "gig saved", save_gig),
    Deed("start_gig", "gig started", start_gig),
    Deed("pause_gig", "gig paused", pause_gig),
    Deed("web_start_gig", "gig started", web_start_gig),
    Deed("web_pause_gig", "gig paused", web_pause_gig),
]


def wire_of(call: PlannedCall) -> str:
    """The stand's name of the surface a call goes to."""
    return "api" if call.surface is Surface.MOBILE else "web"
