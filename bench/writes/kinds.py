"""Every kind of write the API takes: how the stand is prepared for one, and the call that asks for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.writes.asked import Asked, Deed
from tests.service import Api
from tests.stand import Stand

TEXT = "Здравствуйте! Сделаю «под ключ», покажу похожие работы и отвечу на вопросы. " * 3
STAGES = [["Первый этап", 1000], ["Второй этап", 2000]]
_DETAILS = ("api", "/getOrderDetails")


@dataclass(slots=True)
class Maker:
    """Prepares writes of one account. Each gets things of its own at the stand, so that effects tell whose they are."""

    stand: Stand
    api: Api
    account_id: str
    username: str
    prefix: str
    numbers: itertools.count[int]
    offered: list[Asked]
    """Offers made only so that they can be taken back: writes, too."""
    send: Callable[[Asked], None]

    def key(self) -> str:
        return f"{self.prefix}-{self.username}-{next(self.numbers)}"

    def order(self, *events: str, **fields: Any) -> int:
        number: int = self.stand.add_order(account=self.username, **fields)["id"]
        for event in events:
            self.stand.advance_order(number, event)
        return number

    def buyer(self, text: str = "Здравствуйте, вы свободны?") -> int:
        """Somebody who has just written."""
        number: int = self.stand.add_user()["user_id"]
        self.stand.add_message(text, from_id=number, account=self.username)
        return number

    def files(self, *names: str) -> list[str]:
        if not names:
            return []
        form = [("files", (name, f"Содержимое {name} {self.key()}".encode())) for name in names]
        return [one["id"] for one in self.api.call("POST", "/files", files=form)["items"]]

    def stage(self, order: int, place: int) -> int:
        number: int = self.stand.order(order)["stages"][place]["id"]
        return number


Make = Callable[[Maker], Asked]


def respond(maker: Maker, *, files: tuple[str, ...] = ()) -> Asked:
    project: int = maker.stand.add_project(price=5000, is_higher_price=True)["id"]
    body = {"message": TEXT, "price": 5000, "duration_days": 7, "account_id": maker.account_id}
    deed = Deed("web", "/api/offer/createoffer", "offer created", ("project", project), "wantId")
    return Asked(
        "respond", maker.username, "POST", f"/orders/project-{project}/respond", maker.key(), (deed,),
        json={**body, "files": maker.files(*files)}, reading=("web", "/new_offer"),
        uploads=("web", "/api/file/upload") if files else None, world={"project": project},
    )  # fmt: skip


def delete_offer(maker: Maker) -> Asked:
    """The offer is made first, on a good day."""
    made = respond(maker)
    maker.send(made)
    maker.offered.append(made)
    project = made.deeds[0].detail[1]
    assert made.write is not None, made.told()
    number: int = made.write["outcome"]["offer_id"]
    deed = Deed("api", "/deleteOffer", "offer deleted", ("offer", number), "id")
    return Asked(
        "delete_offer", maker.username, "DELETE", f"/offers/{number}", maker.key(), (deed,),
        params={"project_id": project, "account_id": maker.account_id}, reading=("api", "/offers"),
    )  # fmt: skip


def _stage(
    maker: Maker, kind: str, order: int, method: str, effect: str, body: Mapping[str, Any], field: str = "order_id"
) -> Asked:
    deed = Deed("api", f"/{method}", effect, ("order_id", order), field)
    return Asked(
        kind, maker.username, "PATCH", f"/orders/order-{order}/stage", maker.key(), (deed,),
        json=dict(body), reading=_DETAILS, world={"order": order},
    )  # fmt: skip


def take_order(maker: Maker) -> Asked:
    body = {"stage": "in_progress"}
    return _stage(maker, "take_order", maker.order(), "workerInprogress", "order: take", body)


def report_progress(maker: Maker) -> Asked:
    body = {"action": "report_progress", "progress": 40, "message": "Собрал данные, «черновик» готов"}
    return _stage(maker, "report_progress", maker.order("take"), "sendReport", "order: report", body)


def report_stages(maker: Maker) -> Asked:
    order = maker.order("take", stages=STAGES)
    stages = [{"id": maker.stage(order, 0), "progress": 60}]
    body = {"action": "report_stages", "message": "Почти готово", "stages": stages}
    return _stage(maker, "report_stages", order, "updateStageProgress", "order: report", body)


def suggest_stages(maker: Maker) -> Asked:
    stages = [{"title": "Третий этап", "price": 3000}]
    body = {"action": "suggest_stages", "days": 9, "message": "Предлагаю так", "stages": stages}
    order = maker.order("take", stages=STAGES)
    return _stage(maker, "suggest_stages", order, "suggestStages", "stages suggested", body)


def add_stages(maker: Maker) -> Asked:
    body = {"action": "add_stages", "days": 2, "stages": [{"title": "Этап сверх плана", "price": 3000}]}
    order = maker.order("take", stages=STAGES)
    return _stage(maker, "add_stages", order, "createStage", "stages created", body)


def edit_stages(maker: Maker) -> Asked:
    order = maker.order("take", stages=STAGES)
    stage = {"id": maker.stage(order, 1), "title": "Другое имя", "price": 2500, "change": "edit"}
    body = {"action": "edit_stages", "days": 0, "stages": [stage]}
    return _stage(maker, "edit_stages", order, "editStage", "stages edited", body, "orderId")


def delete_stage(maker: Maker) -> Asked:
    order = maker.order("take", stages=STAGES)
    body = {"action": "delete_stage", "stages": [{"id": maker.stage(order, 1)}]}
    return _stage(maker, "delete_stage", order, "deleteStage", "stage deleted", body, "orderId")


def _suggested(maker: Maker) -> int:
    order = maker.order("take", stages=STAGES)
    maker.stand.suggest_stages(order, days=5, message="Давайте так", stages=[["Ещё этап", 700]])
    return order


def accept_suggestion(maker: Maker) -> Asked:
    body, method = {"action": "accept_suggestion"}, "acceptStageSuggestion"
    return _stage(maker, "accept_suggestion", _suggested(maker), method, "suggestion accepted", body)


def reject_suggestion(maker: Maker) -> Asked:
    body, method = {"action": "reject_suggestion"}, "rejectStageSuggestion"
    return _stage(maker, "reject_suggestion", _suggested(maker), method, "suggestion rejected", body)


def cancel_order(maker: Maker) -> Asked:
    body = {"stage": "cancelled", "reason": "worker_no_time", "message": "Не успеваю, извините"}
    return _stage(
        maker, "cancel_order", maker.order("take"), "cancelOrderByWorker", "order: cancel_by_seller", body
    )


def accept_cancel(maker: Maker) -> Asked:
    order, method = maker.order("take", "propose_cancel"), "confirmCancelOrderRequestByWorker"
    return _stage(maker, "accept_cancel", order, method, "order: cancel_by_buyer", {"action": "accept_cancel"})


def reject_cancel(maker: Maker) -> Asked:
    order, method = maker.order("take", "propose_cancel"), "rejectCancelOrderRequestByWorker"
    return _stage(maker, "reject_cancel", order, method, "cancel request rejected", {"action": "reject_cancel"})


def withdraw_cancel(maker: Maker) -> Asked:
    order, method = maker.order("take", "seller_proposes_cancel"), "deleteCancelOrderRequestByWorker"
    body = {"action": "withdraw_cancel"}
    return _stage(maker, "withdraw_cancel", order, method, "cancel request withdrawn", body)


def deliver(maker: Maker) -> Asked:
    order = maker.order("take")
    deeds = (
        Deed("api", "/sendOrderForApproval", "order: hand_in", ("order_id", order), "orderId"),
        Deed("api", "/inboxCreate", "track message sent", ("order_id", order), "order_id"),
    )
    body = {"message": "Готово, проверяйте", "files": maker.files("итог.txt", "исходники.txt")}
    return Asked(
        "deliver", maker.username, "POST", f"/orders/order-{order}/deliver", maker.key(), deeds,
        json=body, reading=_DETAILS, uploads=("api", "/fileUpload"), world={"order": order},
    )  # fmt: skip


def send_message(maker: Maker, *, files: tuple[str, ...] = ()) -> Asked:
    buyer = maker.buyer()
    deed = Deed("api", "/inboxCreate", "message sent", ("to_id", buyer), "user_id", "order_id")
    body = {"message": "Добрый «день»!\n\n\nГотов начать.", "files": maker.files(*files)}
    return Asked(
        "send_message", maker.username, "POST", f"/chat/{buyer}/send", maker.key(), (deed,),
        json=body, uploads=("api", "/fileUpload") if files else None,
    )  # fmt: skip


def mark_read(maker: Maker) -> Asked:
    buyer = maker.buyer("Вы тут?")
    deed = Deed("api", "/inboxRead", "dialog marked read", ("user_id", buyer), "user_id")
    return Asked("mark_read", maker.username, "PATCH", f"/chat/{buyer}/read", maker.key(), (deed,))


def edit_gig(maker: Maker) -> Asked:
    gig: int = maker.stand.add_gig(account=maker.username)["id"]
    deed = Deed("web", "/save_kwork", "gig saved", ("gig", gig), "id")
    body = {"title": "Другое имя кворка", "price": 1700}
    return Asked(
        "edit_gig", maker.username, "PUT", f"/gigs/{gig}", maker.key(), (deed,), json=body,
        reading=("web", "/edit"),
    )  # fmt: skip


def _switch(maker: Maker, kind: str, group: int, method: str, effect: str) -> Asked:
    gig: int = maker.stand.add_gig(account=maker.username, group=group)["id"]
    deed = Deed("api", f"/{method}", effect, ("gigs", gig), "kwork_id")
    path = f"/gigs/{gig}/{kind.partition('_')[0]}"
    reading = ("api", "/kworksStatusList")
    return Asked(kind, maker.username, "POST", path, maker.key(), (deed,), reading=reading)


def pause_gig(maker: Maker) -> Asked:
    return _switch(maker, "pause_gig", 7, "pauseKwork", "gig paused")


def start_gig(maker: Maker) -> Asked:
    return _switch(maker, "start_gig", 3, "startKwork", "gig started")


KINDS: Mapping[str, Make] = {
    "respond": respond,
    "respond с файлом": lambda maker: respond(maker, files=("схема.txt",)),
    "delete_offer": delete_offer,
    "take_order": take_order,
    "report_progress": report_progress,
    "report_stages": report_stages,
    "suggest_stages": suggest_stages,
    "add_stages": add_stages,
    "edit_stages": edit_stages,
    "delete_stage": delete_stage,
    "accept_suggestion": accept_suggestion,
    "reject_suggestion": reject_suggestion,
    "cancel_order": cancel_order,
    "accept_cancel": accept_cancel,
    "reject_cancel": reject_cancel,
    "withdraw_cancel": withdraw_cancel,
    "deliver": deliver,
    "send_message": send_message,
    "send_message с файлами": lambda maker: send_message(maker, files=("макет.txt", "смета.txt")),
    "mark_read": mark_read,
    "edit_gig": edit_gig,
    "pause_gig": pause_gig,
    "start_gig": start_gig,
}
