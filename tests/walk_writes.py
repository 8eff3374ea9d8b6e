"""Всё, что сервис отправляет на Kwork, в трёх режимах: выключено, с подтверждением, сразу. Судит журнал двойника."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.stand import Stand
from tests.walk import Failed, Walk, expect

Row = dict[str, Any]
OFFER = "Здравствуйте! Сделаю магазин на готовой теме, подключу оплату и доставку, обучу сотрудников. " * 2
STAGES = [["Макет", 1000], ["Вёрстка", 2000]]


@dataclass(frozen=True)
class Deed:
    """Одна отправка: как её просят и сколько следов она оставляет на Kwork."""

    title: str
    method: str
    path: str
    body: Row | None = None
    query: Row = field(default_factory=dict)
    traces: int = 1


class Desk:
    """Заказы, проекты, кворки и диалог, над которыми всё это можно проделать один раз."""

    def __init__(self, walk: Walk, stand: Stand) -> None:
        self.walk, self.stand = walk, stand
        dialog = next(row for row in walk.ask("GET", "chat")["items"] if row["can_write"])
        self.dialog = dialog["id"]
        self.buyer = dialog["partner"]["id"]
        self.plain = self._order()
        self.staged = self._order("take", stages=STAGES)
        self.agreed, self.declined = (self._order("take", stages=STAGES) for _ in range(2))
        for order in (self.agreed, self.declined):
            stand.suggest_stages(order, days=5, message="Давайте так", stages=[["Ещё этап", 700]])
        self.dropped = self._order("take")
        self.let_go, self.kept = (self._order("take", "propose_cancel") for _ in range(2))
        self.stayed = self._order("take", "seller_proposes_cancel")
        self.project = stand.add_project(price=5000, is_higher_price=True)["id"]
        answered = stand.add_project(price=5000)["id"]
        self.offer, self.offered = stand.add_offer(answered)["id"], answered
        self.gig = stand.add_gig(account=stand.username, title="Кворк для проверки")["id"]
        stand.add_message("Вы тут?", account=stand.username, from_id=self.buyer)
        kinds = {"kinds": ["order", "gig", "dialog", "offer"], "account_id": walk.account_id}
        walk.ask("POST", "crm-sync/sync-orders", json=kinds)

    def _order(self, *moves: str, **more: Any) -> int:
        order: int = self.stand.add_order(account=self.stand.username, payer_id=self.buyer, **more)["id"]
        for move in moves:
            self.stand.advance_order(order, move)
        return order

    def stage(self, order: int, place: int) -> int:
        found: int = self.stand.order(order)["stages"][place]["id"]
        return found

    def file(self, name: str) -> str:
        sent = [("files", (name, f"Содержимое: {name}".encode()))]
        found: str = self.walk.ask("POST", "files", 201, files=sent)["items"][0]["id"]
        return found

    def deeds(self) -> Iterator[Deed]:
        """По порядку: что-то становится возможным только после прежнего."""
        respond = {"message": OFFER, "price": 5000, "duration_days": 7, "files": [self.file("план.txt")]}
        yield Deed("откликнуться", "POST", f"orders/project-{self.project}/respond", respond)
        yield Deed("отозвать отклик", "DELETE", f"offers/{self.offer}", query={"project_id": self.offered})
        yield from self._orders()
        message = {"message": "Вот макет", "files": [self.file("макет.txt")]}
        yield Deed("написать", "POST", f"chat/{self.dialog}/send", message)
        yield Deed("отметить прочитанным", "PATCH", f"chat/{self.dialog}/read")
        changes = {"title": f"Кворк {uuid.uuid4().hex[:8]}", "price": 2000}
        yield Deed("изменить кворк", "PUT", f"gigs/{self.gig}", changes)
        yield Deed("остановить кворк", "POST", f"gigs/{self.gig}/pause")
        yield Deed("запустить кворк", "POST", f"gigs/{self.gig}/start")

    def _orders(self) -> Iterator[Deed]:
        def staged(title: str, order: int, **body: Any) -> Deed:
            return Deed(title, "PATCH", f"orders/order-{order}/stage", body)

        order, first, second = self.staged, self.stage(self.staged, 0), self.stage(self.staged, 1)
        yield staged("взять в работу", self.plain, stage="in_progress")
        yield staged("отчёт", self.plain, action="report_progress", progress=50, message="Половина готова")
        handed_in = {"message": "Готово, проверяйте", "files": [self.file("итог.txt")]}
        yield Deed("сдать", "POST", f"orders/order-{self.plain}/deliver", handed_in, traces=2)
        yield staged(
            "отчёт по этапам", order, action="report_stages", message="Идёт",
            stages=[{"id": first, "progress": 60}],
        )  # fmt: skip
        yield staged(
            "добавить этап", order, action="add_stages", days=2, stages=[{"title": "Тексты", "price": 700}]
        )
        yield staged(
            "изменить этап", order, action="edit_stages", days=0,
            stages=[{"id": second, "title": "Вёрстка и тексты", "price": 2500}],
        )  # fmt: skip
        yield staged("убрать этап", order, action="delete_stage", stages=[{"id": second}])
        yield staged(
            "предложить этапы", order, action="suggest_stages", days=9, message="Предлагаю так",
            stages=[{"title": "Запуск", "price": 3000}],
        )  # fmt: skip
        yield staged("принять этапы покупателя", self.agreed, action="accept_suggestion")
        yield staged("отклонить этапы покупателя", self.declined, action="reject_suggestion")
        yield staged(
            "отказаться от заказа",
            self.dropped,
            stage="cancelled",
            reason="worker_no_time",
            message="Не успеваю",
        )
        yield staged("согласиться на отмену", self.let_go, action="accept_cancel")
        yield staged("не согласиться на отмену", self.kept, action="reject_cancel")
        yield staged("забрать просьбу об отмене", self.stayed, action="withdraw_cancel")


def switched_off(walk: Walk) -> str:
    stand, number = _stand(walk), 0
    with _mode(walk, "off"):
        for deed in (desk := Desk(walk, stand)).deeds():
            before = stand.mark()
            walk.problem(deed.method, deed.path, 403, "writes_off", **_request(deed))
            _left(desk, before, 0, deed)
            number += 1
    return f"отправок: {number}, все отвергнуты, на Kwork ничего не ушло"


def with_approval(walk: Walk) -> str:
    stand, number = _stand(walk), 0
    with _mode(walk, "approval"):
        for deed in (desk := Desk(walk, stand)).deeds():
            before = stand.mark()
            called_off = _asked(walk, deed, 202, "prepared")
            expect(walk.ask("POST", f"writes/{called_off['id']}/cancel")["state"] == "cancelled", deed.title)
            waiting = _asked(walk, deed, 202, "prepared")
            expect(waiting["plan"], f"{deed.title}: не показано, что уйдёт")
            listed = walk.ask("GET", "writes", params={"state": "prepared", "target": waiting["target"]})
            expect([row["id"] for row in listed["items"]] == [waiting["id"]], f"{deed.title}: не ждёт")
            _left(desk, before, 0, deed)
            done = walk.ask("POST", f"writes/{waiting['id']}/confirm")
            expect(done["done"] and done["confirmed_by"], f"{deed.title}: {done['state']} {done['detail']}")
            _left(desk, before, deed.traces, deed)
            walk.problem("POST", f"writes/{waiting['id']}/confirm", 409, "write_not_waiting")
            number += 1
    return f"отправок: {number}, каждая отменена, подтверждена и ушла один раз"


def at_once(walk: Walk) -> str:
    stand, number = _stand(walk), 0
    for deed in (desk := Desk(walk, stand)).deeds():
        before = stand.mark()
        shown = walk.ask(deed.method, deed.path, **_request(deed, dry_run="true"))
        expect(shown["dry_run"] and shown["requests"], f"{deed.title}: проба ничего не показала")
        _left(desk, before, 0, deed)
        key = {"Idempotency-Key": uuid.uuid4().hex}
        done = walk.ask(deed.method, deed.path, headers=key, **_request(deed))
        expect(done["done"], f"{deed.title}: {done['state']} {done['detail']}")
        again = walk.ask(deed.method, deed.path, headers=key, **_request(deed))
        expect(again["id"] == done["id"], f"{deed.title}: тот же ключ завёл вторую отправку")
        _left(desk, before, deed.traces, deed)
        expect(walk.ask("GET", f"writes/{done['id']}")["settled"], f"{deed.title}: не завершена")
        _told_once(walk, done["id"])
        number += 1
    made, taken_back = (
        walk.ask("GET", "offers", params={"project_id": project})["items"][0]["status"]
        for project in (desk.project, desk.offered)
    )
    expect((made, taken_back) == ("new", "withdrawn"), f"отклики стоят как {made}, {taken_back}")
    return f"отправок: {number}, каждая показана заранее и ушла один раз"


def unclear(walk: Walk) -> str:
    stand = _stand(walk)
    desk = Desk(walk, stand)
    path, before = f"chat/{desk.dialog}/send", stand.mark()
    stand.fault("drop", path="/inboxCreate", when="before", count=1)
    lost = walk.ask("POST", path, 202, json={"message": "Дошло ли?"})
    expect(lost["state"] == "unknown", f"потерянный ответ: {lost['state']}")
    walk.problem("POST", path, 409, "write_unsettled", json={"message": "А теперь?"})
    told = {"happened": False, "reason": "в диалоге этого нет"}
    expect(
        walk.ask("POST", f"writes/{lost['id']}/resolve", json=told)["state"] == "reconciled_absent",
        "не решено",
    )
    walk.ask("POST", path, json={"message": "А теперь?"})
    stand.fault("drop", path="/inboxCreate", when="after", count=1)
    found = walk.ask("POST", path, json={"message": "Ушло, но ответ потерян"})
    expect(found["state"] == "reconciled_done", f"ушедшее не найдено: {found['state']}")
    _left(desk, before, 2, "неясный исход")
    return "потерянное решает человек, ушедшее сервис находит сам; дважды не ушло ничего"


def broken_off(walk: Walk) -> str:
    stand = _stand(walk)
    desk = Desk(walk, stand)
    stand.advance_order(desk.plain, "take")
    before = stand.mark()
    stand.fault("asked", path="/inboxCreate", name="dialog_forbidden", count=1)
    body = {"message": "Готово", "files": [desk.file("итог.txt")]}
    path = f"orders/order-{desk.plain}/deliver"
    answer = walk.client.post(f"/api/v1/{path}", json=body)
    expect(answer.status_code == 409, f"отказ Kwork: код {answer.status_code}")
    number = answer.json()["write_id"]
    expect(stand.order(desk.plain)["status"] == 4, "заказ не сдан, хотя отказано было только в сообщении")
    expect(walk.ask("POST", f"writes/{number}/continue")["done"], "сдача не продолжена")
    _left(desk, before, 2, "прерванная сдача")
    return "Kwork отказал посреди сдачи: продолжено с этого места, дважды не ушло ничего"


def _stand(walk: Walk) -> Stand:
    assert walk.stand is not None
    return walk.stand


@contextmanager
def _mode(walk: Walk, mode: str) -> Iterator[None]:
    walk.ask("PUT", "tenant/settings", json={"writes": {"mode": mode}})
    try:
        yield
    finally:
        walk.ask("PUT", "tenant/settings", json={"writes": {"mode": "direct"}})


def _request(deed: Deed, **query: str) -> Row:
    given: Row = {"params": {**deed.query, **query}}
    return given if deed.body is None else {**given, "json": deed.body}


def _asked(walk: Walk, deed: Deed, status: int, state: str) -> Row:
    found: Row = walk.ask(deed.method, deed.path, status, **_request(deed))
    expect(found["state"] == state, f"{deed.title}: {found['state']} {found['detail']}")
    return found


def _left(desk: Desk, since: int, number: int, deed: Deed | str) -> None:
    """Столько следов на Kwork, и ни одного дважды."""
    found = [str(effect) for entry in desk.stand.journal(since=since) for effect in entry["effects"]]
    title = deed if isinstance(deed, str) else deed.title
    expect(len(found) == number, f"{title}: на Kwork следов {len(found)} вместо {number}: {found}")


def _told_once(walk: Walk, write_id: str) -> None:
    query = {"last_event_id": 0, "follow": "false", "types": "write.settled"}
    for _ in range(50):
        told = walk.client.get("/api/v1/events", params=query).text.count(write_id)
        if told:
            expect(told == 1, f"о завершении отправки сказано {told} раза")
            return
        time.sleep(0.05)
    raise Failed("о завершении отправки не сказано")


WRITING: tuple[tuple[str, Callable[[Walk], str]], ...] = (
    ("Отправки выключены", switched_off),
    ("Отправки с подтверждением", with_approval),
    ("Отправки сразу", at_once),
    ("Неясный исход", unclear),
    ("Прерванная сдача", broken_off),
)
