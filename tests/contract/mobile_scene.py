"""A world with at least one of everything, and for each mobile method a call that succeeds in it."""

from __future__ import annotations

from typing import Any

import httpx2

from sandbox.world import changes, queries
from sandbox.world.model import StageChange, StageSuggestion
from tests.mobile_client import Mobile, Row


class Scene:
    """A world with at least one of everything, and for each method the parameters of a call that succeeds."""

    def __init__(self) -> None:
        self.mobile = Mobile(orders=48)
        self.me = self.mobile.accounts[0]
        world = self.mobile.world
        self.orders = queries.orders_of(world, self.me.user_id)
        self.buyer = self.orders[0].payer_id
        bought = changes.NewOrder(self.mobile.accounts[1].user_id, self.me.user_id, "Баннер", 900)
        changes.add_order(world, bought)
        self.unseen = changes.add_project(
            world, user_id=self.buyer, name="Новый", description="Текст", category_id=41, price=900
        )
        talk = queries.dialogs_of(world, self.me.user_id)[0]
        self.partner = world.users[talk.user_id]
        self.me.notes[self.partner.user_id] = "Пишет по вечерам"
        self.message = changes.add_message(
            world,
            self.partner.user_id,
            self.me.user_id,
            "Индивидуальный заказ",
            type="custom_request",
            budget=5000,
            duration=3,
            order_id=self.orders[0].id,
        )

    def order(self, **wanted: Any) -> Any:
        """The first order with these values; `stages=True` stands for having any."""
        for order in self.orders:
            if all(
                bool(order.stages) == v if k == "stages" else getattr(order, k) == v
                for k, v in wanted.items()
            ):
                return order
        raise LookupError(f"no order with {wanted}")

    def parameters(self, method: str) -> Row:
        me, world = self.me.user_id, self.mobile.world
        working = self.order(status=1, in_work=True, stages=False, is_cancel_request=False)
        fresh = self.order(status=1, in_work=False)
        staged = self.order(status=1, in_work=True, stages=True)
        gig = queries.gigs_of(world, me, 7)[0].id
        project = queries.listed_projects(world)[0].id
        offer = queries.offers_of(world, me)[0]
        track = working.tracks[0]
        first_stage, last_stage = staged.stages[0], staged.stages[-1]
        table: dict[str, Row] = {
            "signIn": {"login": self.me.login, "password": self.me.password},
            "getWebAuthToken": {"url_to_redirect": "/inbox"},
            "user": {"id": self.buyer},
            "userByUsername": {"username": self.partner.username},
            "userSearch": {"query": self.partner.username[:3]},
            "getUserInfo": {"id": self.buyer},
            "userReviews": {"user_id": me, "type": "all"},
            "portfolioList": {"user_id": me, "category_id": "all", "page": 1},
            "saveUserNote": {"user_id": self.buyer, "note": "Заметка"},
            "deleteUserNote": {"user_id": self.buyer},
            "projects": {"categories": "all"},
            "getWantsCount": {"categories": "all"},
            "project": {"id": project},
            "want": {"id": project},
            "offer": {"id": offer.id},
            "deleteOffer": {"id": offer.id},
            "category": {"category_id": 41},
            "categoryAttributes": {"category_id": 41},
            "catalogCategories": {"rubricId": 11},
            "addFavoriteCategories": {"categories": "41,79"},
            "delFavoriteCategories": {"categories": "41"},
            "workerOrders": {"filter": "all"},
            "payerOrders": {"filter": "all"},
            "saveOrderNote": {"order_id": working.id, "note": "Перезвонить"},
            "deleteOrderNote": {"order_id": working.id},
            "getOrderHeader": {"orderId": next(order for order in self.orders if order.note).id},
            "getOrderDetails": {"orderId": next(order for order in self.orders if order.files).id},
            "getOrderProvidedData": {"order_id": self.order(status=5).id},
            "getOrderFiles": {"id": next(order for order in self.orders if order.files).id},
            "getTracks": {"orderId": fresh.id},
            "trackRead": {"ids[]": track.id},
            "workerInprogress": {"order_id": fresh.id},
            "sendReport": {"order_id": working.id, "progress": 60, "comment": "Готово больше половины"},
            "updateStageProgress": {
                "order_id": staged.id,
                f"stages[{first_stage.id}]": 40,
                "comment": "Иду по плану",
            },
            "sendOrderForApproval": {"orderId": working.id},
            "getOrderCancellationReasons": {"orderId": working.id},
            "cancelOrderByWorker": {
                "order_id": working.id,
                "reason_type": "worker_no_time",
                "message": "Не успеваю",
            },
            "suggestStages": {
                "order_id": staged.id,
                "days": 5,
                "message": "Разобьём иначе",
                "stages[0][title]": "Проверка",
                "stages[0][payer_price]": 700,
                "stages[0][action]": "add",
            },
            "createStage": _new_stage(staged.id),
            "addStage": _new_stage(staged.id),
            "editStage": {"orderId": staged.id, "extendTime": 1, f"stages[{last_stage.id}][title]": "Выпуск"},
            "deleteStage": {"orderId": staged.id, "stageId": last_stage.id},
            "acceptStageSuggestion": {"order_id": staged.id},
            "rejectStageSuggestion": {"order_id": staged.id},
            "userKworks": {"user_id": me},
            "kworksCategoriesList": {"user_id": me},
            "getKworkDetails": {"id": gig},
            "startKwork": {"kwork_id": gig},
            "pauseKwork": {"kwork_id": gig},
            "getDialog": {"id": self.partner.user_id},
            "searchDialogs": {"query": self.partner.username[:4]},
            "isDialogAllow": {"receiverId": self.partner.user_id},
            "typing": {"recipientId": self.partner.user_id},
            "inboxes": {"username": self.partner.username},
            "getInboxTracks": {"userId": self.buyer},
            "inboxMessage": {"messageId": self.message.id},
            "inboxCreate": {"user_id": self.partner.user_id, "text": "Добрый день"},
            "inboxRead": {"user_id": self.partner.user_id},
            "markInboxTracksAsRead": {
                "userId": self.partner.user_id,
                "conversationIds[]": self.message.id * 2,
            },
        }
        waiting = self.order(status=1, in_work=True, is_cancel_request=True).id
        if method.endswith("CancelOrderRequestByWorker"):
            return {"order_id": waiting}
        return table.get(method, {})

    def prepare(self, method: str) -> None:
        """What has to be there before the method can succeed."""
        staged = self.order(status=1, in_work=True, stages=True)
        if method.endswith("StageSuggestion"):
            change = StageChange("add", title="Ещё этап", price=500)
            staged.suggestion = StageSuggestion(staged.payer_id, 9, "Предлагаю", [change])
        if method == "deleteCancelOrderRequestByWorker":
            order = self.order(status=1, in_work=True, is_cancel_request=True)
            order.tracks[-1].type = 22
        if method == "want":
            queries.listed_projects(self.mobile.world)[0].views = 0
        if method == "getOrderHeader":
            self.orders[0].note = self.orders[0].note or "Заметка"


def _new_stage(order_id: int) -> Row:
    return {
        "order_id": order_id,
        "extend_time": 2,
        "stages[0][title]": "Новый этап",
        "stages[0][payer_price]": 1200,
    }


async def answer_of(scene: Scene, method: str) -> Row:
    token = await scene.mobile.sign_in()
    scene.prepare(method)
    if method == "fileUpload":
        return await uploaded(scene, token)
    if method == "fileDelete":
        stored = await uploaded(scene, token)
        return await scene.mobile.call(method, token, file_id=stored["response"]["id"])
    return await scene.mobile.call(method, token, **scene.parameters(method))


async def uploaded(scene: Scene, token: str) -> Row:
    answer: httpx2.Response = await scene.mobile.http.post(
        "/fileUpload", params={"token": token}, files={"upload_files": ("отчёт.txt", b"text", "text/plain")}
    )
    row: Row = answer.json()
    return row
