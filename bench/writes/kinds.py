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
        payer = self.stand.add_user()["user_id"]
        number: int = self.stand.add_order(account=self.username, payer_id=payer, **fields)["id"]
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
    maker: Maker, order: int, deed: tuple[str, str], body: Mapping[str, Any], *, field: str = "order_id"
) -> Asked:
    """``deed``: the mobile method and its effect. The kind of write is what ``body`` asks for."""
    method, effect = deed
    kind = body.get("action") or {"in_progress": "take_order", "cancelled": "cancel_order"}[body["stage"]]
    return Asked(
        kind, maker.username, "PATCH", f"/orders/order-{order}/stage", maker.key(),
        (Deed("api", f"/{method}", effect, ("order_id", order), field),),
        json=dict(body), reading=_DETAILS, world={"order": order},
    )  # fmt: skip


def take_order(maker: Maker) -> Asked:
    return _stage(maker, maker.order(), ("workerInprogress", "order: take"), {"stage": "in_progress"})


def report_progress(maker: Maker) -> Asked:
    body = {"action": "report_progress", "progress": 40, "message": "Собрал данные, «черновик» готов"}
    return _stage(maker, maker.order("take"), ("sendReport", "order: report"), body)


def _staged(maker: Maker, deed: tuple[str, str], body: Mapping[str, Any], *, of: int, **stage: Any) -> Asked:
    """About one of the stages that an order has."""
    order = maker.order("take", stages=STAGES)
    field = "order_id" if deed[0] == "updateStageProgress" else "orderId"
    stages = [{"id": maker.stage(order, of), **stage}]
    return _stage(maker, order, deed, {**body, "stages": stages}, field=field)


def report_stages(maker: Maker) -> Asked:
    body = {"action": "report_stages", "message": "Почти готово"}
    return _staged(maker, ("updateStageProgress", "order: report"), body, of=0, progress=60)


def edit_stages(maker: Maker) -> Asked:
    body = {"action": "edit_stages", "days": 0}
    stage = {"title": "Другое имя", "price": 2500, "change": "edit"}
    return _staged(maker, ("editStage", "stages edited"), body, of=1, **stage)


def delete_stage(maker: Maker) -> Asked:
    return _staged(maker, ("deleteStage", "stage deleted"), {"action": "delete_stage"}, of=1)


def suggest_stages(maker: Maker) -> Asked:
    stages = [{"title": "Третий этап", "price": 3000}]
    body = {"action": "suggest_stages", "days": 9, "message": "Предлагаю так", "stages": stages}
    return _stage(maker, maker.order("take", stages=STAGES), ("suggestStages", "stages suggested"), body)


def add_stages(maker: Maker) -> Asked:
    body = {"action": "add_stages", "days": 2, "stages": [{"title": "Этап сверх плана", "price": 3000}]}
    return _stage(maker, maker.order("take", stages=STAGES), ("createStage", "stages created"), body)


def _suggested(maker: Maker) -> int:
    order = maker.order("take", stages=STAGES)
    maker.stand.suggest_stages(order, days=5, message="Давайте так", stages=[["Ещё этап", 700]])
    return order


def accept_suggestion(maker: Maker) -> Asked:
    deed = ("acceptStageSuggestion", "suggestion accepted")
    return _stage(maker, _suggested(maker), deed, {"action": "accept_suggestion"})


def reject_suggestion(maker: Maker) -> Asked:
    deed = ("rejectStageSuggestion", "suggestion rejected")
    return _stage(maker, _suggested(maker), deed, {"action": "reject_suggestion"})


def cancel_order(maker: Maker) -> Asked:
    body = {"stage": "cancelled", "reason": "worker_no_time", "message": "Не успеваю, извините"}
    return _stage(maker, maker.order("take"), ("cancelOrderByWorker", "order: cancel_by_seller"), body)


def accept_cancel(maker: Maker) -> Asked:
    deed = ("confirmCancelOrderRequestByWorker", "order: cancel_by_buyer")
    return _stage(maker, maker.order("take", "propose_cancel"), deed, {"action": "accept_cancel"})


def reject_cancel(maker: Maker) -> Asked:
    deed = ("rejectCancelOrderRequestByWorker", "cancel request rejected")
    return _stage(maker, maker.order("take", "propose_cancel"), deed, {"action": "reject_cancel"})


def withdraw_cancel(maker: Maker) -> Asked:
    deed = ("deleteCancelOrderRequestByWorker", "cancel request withdrawn")
    return _stage(maker, maker.order("take", "seller_proposes_cancel"), deed, {"action": "withdraw_cancel"})


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
