"""Messages to a dialog or into an order's thread, and marking a dialog read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.errors import CapabilityUnavailable, Conflict, Invalid
from app.domain.sameness import same_text
from app.domain.writes import Checked, Finding, Found, Write, WriteAction, is_by_browser
from app.domain.writing import Answered, PlannedCall
from app.marketplaces.kwork import answers
from app.services.write_handlers import Hands, WriteHandler, since, uploads


class SendMessage(WriteHandler):
    """``payload``: text, user_id, username, file_ids, reply_to, order_id (then it goes into the order's thread), surface.

    The write's own id goes along as ``message_key``: by it the message is known again after a lost answer. On the
    dialog's page there is no such key: it is known again by its text.
    """

    action = WriteAction.SEND_MESSAGE

    async def check(self, write: Write, hands: Hands) -> Checked:
        payload = dict(write.payload)
        files = await hands.files.ready(write.tenant_id, uploads(payload))
        by_browser = is_by_browser(payload)
        if by_browser:
            _refuse_what_the_page_lacks(payload)
        user_id, username = payload.get("user_id"), payload.get("username", "")
        if user_id is None:
            user_id, username = await self._recipient(write, hands)
        if by_browser:
            call = hands.client.writing.message_by_page(username, user_id, payload["text"], files=files)
        else:
            call = self._call(write, hands, user_id, file_ids=())
        return Checked((call,), facts={"user_id": user_id, "recipient": username})

    async def prepare(self, write: Write, checked: Checked, hands: Hands) -> PlannedCall:
        """Uploads the files: an upload that no message names is seen by nobody, so it may be repeated."""
        if is_by_browser(write.payload):
            return checked.calls[-1]
        writing = hands.client.writing
        numbers = [
            answers.uploaded_file_id(await writing.carry_out(writing.upload_file(file)))
            for file in await hands.files.ready(write.tenant_id, uploads(write.payload))
        ]
        return self._call(write, hands, checked.facts["user_id"], file_ids=tuple(numbers))

    def outcome(self, write: Write, answered: Answered) -> Mapping[str, Any]:
        warned = {"mass_mailing_warning": True} if answers.mass_mailing_warned(answered) else {}
        return {"message_id": answers.sent_message_id(answered), **warned}

    async def find(self, write: Write, hands: Hands) -> Finding:
        payload = write.payload
        try:
            if payload.get("order_id") is not None:
                rows = [
                    (event.id, event.text or "", event.at, event.message_key, event.author_id)
                    for event in await hands.client.writing.recent_events(payload["order_id"])
                ]
            else:
                rows = [
                    (one.id, one.text, one.sent_at, one.message_key, None)
                    for one in await hands.client.writing.recent_messages(await self._username(write, hands))
                    if not one.incoming
                ]
        except CapabilityUnavailable:
            return await self._find_by_dialog(write, hands)
        key = str(write.id)
        for number, text, at, message_key, _ in reversed(rows):
            if message_key == key:
                return Finding(Found.DONE, {"message_id": number})
            if not message_key and at >= since(write) and same_text(text, payload["text"]):
                return Finding(Found.DONE, {"message_id": number})
        return Finding(Found.ABSENT)

    async def _find_by_dialog(self, write: Write, hands: Hands) -> Finding:
        """Without the mobile surface only the dialog's last message shows; that it is another proves nothing."""
        username = write.payload.get("username", "").lower()
        for dialog in (await hands.client.dialogs()).items:
            if dialog.user.username.lower() == username:
                same = same_text(dialog.last_message or "", write.payload["text"])
                if same and dialog.last_message_at is not None and dialog.last_message_at >= since(write):
                    return Finding(Found.DONE, {"message_id": dialog.last_message_id})
        return Finding(Found.UNCLEAR, why=_NOT_SHOWN)

    async def _recipient(self, write: Write, hands: Hands) -> tuple[int, str]:
        order_id = write.payload.get("order_id")
        if order_id is not None:
            permissions = await hands.client.writing.order_permissions(order_id)
            if permissions.buyer_id is not None:
                return permissions.buyer_id, permissions.buyer_username
        elif write.payload.get("username"):
            profile = await hands.client.user_profile(write.payload["username"])
            return profile.id, profile.username
        raise Conflict("Не удалось узнать номер собеседника на Kwork.", code="recipient_unknown")

    async def _username(self, write: Write, hands: Hands) -> str:
        known: str | None = write.payload.get("username")
        if known:
            return known
        return (await hands.client.user_profile(write.payload["user_id"])).username

    @staticmethod
    def _call(write: Write, hands: Hands, user_id: int, *, file_ids: tuple[int, ...]) -> PlannedCall:
        payload = write.payload
        return hands.client.writing.send_message(
            user_id,
            payload["text"],
            file_ids=file_ids,
            order_id=payload.get("order_id"),
            reply_to=payload.get("reply_to"),
            message_key=str(write.id),
        )


def _refuse_what_the_page_lacks(payload: Mapping[str, Any]) -> None:
    if payload.get("reply_to") is not None:
        raise Invalid(
            "На странице диалога сервис не умеет отвечать на выбранное сообщение: уберите reply_to или отправьте "
            "обычным способом (surface = usual).",
            field="body.reply_to",
            code="reply_not_by_browser",
        )
    if not payload.get("username"):
        raise Conflict(
            "Имя собеседника ещё не известно, без него страницу диалога не открыть: синхронизируйте диалоги.",
            code="recipient_unknown",
        )


class MarkRead(WriteHandler):
    """``payload``: user_id, username."""

    action = WriteAction.MARK_READ

    async def check(self, write: Write, hands: Hands) -> Checked:
        return Checked((hands.client.writing.mark_read(write.payload["user_id"]),))

    async def find(self, write: Write, hands: Hands) -> Finding:
        for dialog in (await hands.client.dialogs()).items:
            if dialog.user.id == write.payload["user_id"]:
                return Finding(Found.DONE if dialog.unread == 0 else Found.ABSENT)
        return Finding(Found.UNCLEAR, why=_NOT_SHOWN)


_NOT_SHOWN = (
    "В списке диалогов этого не видно. Посмотрите на kwork.ru и ответьте: POST /api/v1/writes/{id}/resolve."
)
