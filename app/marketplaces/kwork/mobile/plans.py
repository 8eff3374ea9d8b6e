"""Calls of the mobile surface that change something, as plans: exact but for key, token and device.

Names of parameters are Kwork's, with their traps: ``order_id`` here, ``orderId`` there [SPEC]. ``Invalid`` for
what Kwork cannot take. No capture of an order-changing call is public: what is not marked is [SPEC].
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from app.domain.errors import Invalid
from app.domain.kwork import Surface
from app.domain.writing import Encoding, OutgoingFile, PlannedCall, StageChange, StageDraft
from app.marketplaces.kwork.outgoing import (
    BIGGEST_FILE,
    MOST_ORDER_FILES,
    MOST_STAGES,
    REPORT_LENGTH,
    message_text,
    needed,
    whole_roubles,
)

Field = tuple[str, object]


def upload_file(file: OutgoingFile) -> PlannedCall:
    """An upload nobody sees until it is named in a message or a hand-in: it may be repeated."""
    if not 0 < file.size <= BIGGEST_FILE:
        raise Invalid("Файл пуст или больше 100 МБ.", field="files")
    return PlannedCall(
        Surface.MOBILE, "POST", "/fileUpload", encoding=Encoding.MULTIPART, file=("upload_files", file)
    )


def delete_offer(offer_id: int) -> PlannedCall:
    return _call("deleteOffer", ("id", offer_id))


def take_order(order_id: int) -> PlannedCall:
    """Within 24 hours of payment, or Kwork cancels the order [CAP]."""
    return _call("workerInprogress", ("order_id", order_id))


def report(order_id: int, progress: int, comment: str) -> PlannedCall:
    """Interim report of an order without stages; ``progress`` in percent, by tens."""
    if progress not in range(10, 101, 10):
        raise Invalid("Готовность указывается десятками: 10, 20 … 100.", field="progress")
    return _call("sendReport", ("order_id", order_id), ("progress", progress), ("comment", _comment(comment)))


def stage_progress(order_id: int, progress: Mapping[int, int], comment: str) -> PlannedCall:
    """Interim report of an order with stages: percent per stage."""
    if not progress or not set(progress.values()) <= set(range(101)):
        raise Invalid("Укажите готовность этапов: от 0 до 100 процентов.", field="stages")
    stages = [(f"stages[{number}]", percent) for number, percent in progress.items()]
    return _call("updateStageProgress", ("order_id", order_id), *stages, ("comment", _comment(comment)))


def hand_in(order_id: int, stage_ids: Sequence[int], file_ids: Sequence[int]) -> PlannedCall:
    """For the buyer's check; there is no text: a message goes separately [SPEC + CODE]."""
    if len(file_ids) > MOST_ORDER_FILES:
        raise Invalid(f"К сдаче можно приложить не больше {MOST_ORDER_FILES} файлов.", field="files")
    stages, files = _repeated("stageIds[]", stage_ids), _repeated("filesIds[]", file_ids)
    return _call("sendOrderForApproval", ("orderId", order_id), *stages, *files)


def suggest_stages(order_id: int, days: int, message: str, stages: Sequence[StageDraft]) -> PlannedCall:
    """Other stages than now; the buyer has to answer. ``days`` for the whole order."""
    message = needed(message, "message", "Объясните покупателю предложение по этапам.")
    rows = [pair for at, stage in enumerate(_some(stages)) for pair in _suggested(at, stage)]
    return _call("suggestStages", ("order_id", order_id), ("days", _days(days)), ("message", message), *rows)


def create_stages(order_id: int, extend_days: int, stages: Sequence[StageDraft]) -> PlannedCall:
    """New stages that wait for the buyer's payment; ``extend_days`` are added to the order's term."""
    rows = []
    for at, stage in enumerate(_some(stages)):
        if not stage.title or stage.price_kopecks is None:
            raise Invalid("У нового этапа должны быть название и цена.", field="stages")
        rows += _titled(f"stages[{at}]", stage)
    return _call("createStage", ("order_id", order_id), ("extend_time", _days(extend_days)), *rows)


def edit_stages(order_id: int, extend_days: int, stages: Sequence[StageDraft]) -> PlannedCall:
    """Title or price of stages that are not paid yet, by their numbers."""
    rows = [pair for stage in _some(stages) for pair in _titled(f"stages[{_known(stage)}]", stage)]
    return _call("editStage", ("orderId", order_id), ("extendTime", _days(extend_days)), *rows)


def delete_stage(order_id: int, stage_id: int) -> PlannedCall:
    return _call("deleteStage", ("orderId", order_id), ("stageId", stage_id))


def accept_stages(order_id: int) -> PlannedCall:
    """Accepts the buyer's suggestion of stages."""
    return _call("acceptStageSuggestion", ("order_id", order_id))


def reject_stages(order_id: int) -> PlannedCall:
    """Rejects the buyer's suggestion of stages."""
    return _call("rejectStageSuggestion", ("order_id", order_id))


def cancel_order(order_id: int, reason: str, message: str) -> PlannedCall:
    """Gives the order back, or asks the buyer to agree, by the reason; see ``permissions.cancel_reasons``."""
    reason = needed(reason, "reason", "Укажите причину отмены.")
    return _call(
        "cancelOrderByWorker", ("order_id", order_id), ("reason_type", reason), ("message", message or None)
    )


def confirm_cancel(order_id: int) -> PlannedCall:
    """Agrees to the buyer's request to cancel."""
    return _call("confirmCancelOrderRequestByWorker", ("order_id", order_id))


def reject_cancel(order_id: int) -> PlannedCall:
    """Refuses the buyer's request to cancel."""
    return _call("rejectCancelOrderRequestByWorker", ("order_id", order_id))


def withdraw_cancel(order_id: int) -> PlannedCall:
    """Takes the seller's own request to cancel back."""
    return _call("deleteCancelOrderRequestByWorker", ("order_id", order_id))


def send_message(
    user_id: int,
    text: str,
    *,
    file_ids: Sequence[int] = (),
    order_id: int | None = None,
    reply_to: int | None = None,
    message_key: str | None = None,
) -> PlannedCall:
    """To the dialog, or with ``order_id`` into the order's thread [LIVE].

    ``message_key`` is the sender's own mark and comes back in readings: by it one's own message is known
    again after a lost answer [CODE].
    """
    return _call(
        "inboxCreate",
        ("user_id", user_id),
        ("text", message_text(text, file_ids)),
        *_repeated("uploaded_files[]", file_ids),
        ("order_id", order_id),
        ("reply_message_id", reply_to),
        ("message_key", message_key),
    )


def mark_read(user_id: int) -> PlannedCall:
    """The whole dialog: the other side sees that it was read."""
    return _call("inboxRead", ("user_id", user_id))


def start_gig(gig_id: int) -> PlannedCall:
    return _call("startKwork", ("kwork_id", gig_id))


def pause_gig(gig_id: int) -> PlannedCall:
    return _call("pauseKwork", ("kwork_id", gig_id))


def _call(method: str, *fields: Field) -> PlannedCall:
    """What is ``None`` is left out."""
    sent = tuple((name, str(value)) for name, value in fields if value is not None)
    return PlannedCall(Surface.MOBILE, "POST", f"/{method}", sent, irrevocable=True)


def _repeated(name: str, numbers: Iterable[int]) -> list[Field]:
    return [(name, number) for number in dict.fromkeys(numbers)]


def _comment(comment: str) -> str:
    if len(comment.strip()) not in REPORT_LENGTH:
        raise Invalid("Комментарий к отчёту: от 2 до 350 символов.", field="message")
    return comment.strip()


def _days(days: int) -> int:
    if days < 0:
        raise Invalid("Срок не может быть меньше нуля дней.", field="days")
    return days


def _some(stages: Sequence[StageDraft]) -> Sequence[StageDraft]:
    if not 0 < len(stages) <= MOST_STAGES:
        raise Invalid(f"Этапов должно быть от 1 до {MOST_STAGES}.", field="stages")
    return stages


def _known(stage: StageDraft) -> int:
    if stage.stage_id is None:
        raise Invalid("Укажите номер этапа, который меняется.", field="stages")
    return stage.stage_id


def _titled(prefix: str, stage: StageDraft) -> list[Field]:
    if stage.title is None and stage.price_kopecks is None:
        raise Invalid("Укажите название или цену этапа.", field="stages")
    price = None if stage.price_kopecks is None else whole_roubles(stage.price_kopecks, "stages")
    return [(f"{prefix}[title]", stage.title), (f"{prefix}[payer_price]", price)]


def _suggested(at: int, stage: StageDraft) -> list[Field]:
    """``stages[i][title|payer_price|action]`` [SPEC]; that a known stage goes by ``id`` is a guess."""
    prefix = f"stages[{at}]"
    known = None if stage.change is StageChange.ADD else _known(stage)
    if stage.change is StageChange.ADD and (not stage.title or stage.price_kopecks is None):
        raise Invalid("У нового этапа должны быть название и цена.", field="stages")
    content = [] if stage.change is StageChange.DELETE else _titled(prefix, stage)
    return [(f"{prefix}[id]", known), *content, (f"{prefix}[action]", stage.change.value)]
