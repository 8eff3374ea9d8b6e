"""One order: header, details, provided data, files. Lists of one where the spec has them."""

from __future__ import annotations

import zlib
from typing import Any

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, found, object_or_list
from sandbox.mobile.tracks import title_of
from sandbox.world import model
from sandbox.world.model import Order, StoredFile, Track, User

ROUBLES = 643  # [CAP]
REPORT_AFTER = 5 * 86400  # the reminder of a due report [CAP]
_MAX_STAGE_DAYS = 90
_KEY_TRACKS = {23, 8, 25, 33, 32, 17, 51, 52, 53, 54, 55, 56, 16, 35, 11, 2, 39, 77, 18, 27, 9, 1}


def header(call: Call) -> Answer:
    """Takes `orderId`. Hashes change when their block does."""
    order = call.order("orderId")
    blocks = {
        "order": _order_block(call, order),
        "kwork": _gig_block(call, order),
        "worker": _person(call, call.world.users[order.worker_id]),
        "payer": _person(call, call.world.users[order.payer_id]) | {"is_voice_message_blocked": False},
    }
    for block in blocks.values():
        block["hash"] = zlib.crc32(repr(sorted(block.items())).encode())
    return found([blocks])


def _order_block(call: Call, order: Order) -> dict[str, Any]:
    is_worker = order.worker_id == call.me().user_id
    open_statuses = (model.IN_WORK, model.ON_CHECK, model.PAYMENT_DUE)
    return {
        "id": order.id,
        "title": order.title,
        "kwork_title": order.title,
        "status": order.status,
        "created_at": int(order.created),
        "deadline_at": int(order.deadline),
        "worker_id": order.worker_id,
        "payer_id": order.payer_id,
        "price": order.price,
        "currency_id": ROUBLES,
        "has_stages": int(bool(order.stages)),
        "discount_amount": 0,
        "count": 1,
        "statusVirtual": order.status,
        "report_required": is_worker and _report_required(call, order),
        "isSendForApprovalAvailable": is_worker and order.status == model.IN_WORK and order.in_work,
        "isApproveDeliveryAvailable": not is_worker and order.status == model.ON_CHECK,
        "isCancelOrderAvailable": order.status in open_statuses,
        "isArbitrationAvailable": order.in_work and order.status in (model.IN_WORK, model.ON_CHECK),
        "stage_max_time_in_days": _MAX_STAGE_DAYS,
        "delivery": order.duration,
        "has_files": bool(order_files(order)),
        "payer_price": order.price,
        "metrics": False,
        "note": object_or_list({"posted_timestamp": int(call.now), "text": order.note} if order.note else {}),
        "is_order_data_provided": bool(order.provided_data),
        "is_required_self_employed_status": False,
        "yescrow_properties": {"can_pay_by_yescrow": True},
        "payment_type": order.payment_type,
        "isYoomoney": False,
        "receipt_upload_url": "",
    }


def _report_required(call: Call, order: Order) -> bool:
    if order.status != model.IN_WORK or not order.in_work or order.started_at is None:
        return False
    reports = [track.at for track in order.tracks if track.type == 48]
    return call.now - max([order.started_at, *reports]) > REPORT_AFTER


def _gig_block(call: Call, order: Order) -> dict[str, Any]:
    gig = call.world.gigs.get(order.gig_id or 0)
    return {
        "id": order.gig_id or 0,
        "title": gig.title if gig else order.title,
        "image_url": call.web_url + gig.photo if gig else "",
        "user_id": order.worker_id,
        "category": order.category_id,
    }


def _person(call: Call, person: User) -> dict[str, Any]:
    return {
        "id": person.user_id,
        "username": person.username,
        "fullname": person.fullname,
        "image_url": call.picture(person),
        "is_online": person.is_online,
    }


def details(call: Call) -> Answer:
    order = call.order("orderId")
    return found(
        [
            {
                "details": {
                    "description": order.description,
                    "files": [file_row(call, file) for file in order.files],
                    "package": [],
                    "attributes": [],
                },
                "stages": [_stage(stage) for stage in order.stages],
                "key_tracks": [_key_track(track) for track in order.tracks if track.type in _KEY_TRACKS],
                "attention_tracks": _attention(order),
                "volume": [],
                "draft": "",
                "draft_details": [],
            }
        ]
    )


def _stage(stage: model.Stage) -> Answer:
    return {
        "id": stage.id,
        "number": stage.number,
        "title": stage.title,
        "status": stage.status,
        "created_at": int(stage.created_at),
        "price": stage.price,
        "currency_id": ROUBLES,
        "currency_rate": 1,
        "progress": stage.progress,
    }


def _key_track(track: Track) -> Answer:
    return {
        "id": track.id,
        "type_id": track.type,
        "created_at": int(track.at),
        "title": title_of(track.type),
    }


def _attention(order: Order) -> list[Answer]:
    """What waits for somebody to act: the request to cancel, the work on check, the order not yet taken."""
    waiting = {22, 31} if order.is_cancel_request else set()
    if order.status == model.ON_CHECK:
        waiting = waiting | {32}
    if order.status == model.IN_WORK and not order.in_work:
        waiting = waiting | {23}
    last = next((track for track in reversed(order.tracks) if track.type in waiting), None)
    return [{"track_id": last.id, "title": title_of(last.type)}] if last else []


def file_row(call: Call, file: StoredFile) -> Answer:
    """The spec types `name` as a number; names come."""
    return {
        "id": file.id,
        "name": file.name,
        "file_url": call.file_url(file),
        "miniature_url": "",
        "size_in_bytes": file.size,
        "path": file.path,
        "status": True,
    }


def provided_data(call: Call) -> Answer:
    """Takes `order_id`; nothing provided is an empty list."""
    order = call.order("order_id")
    if not order.provided_data:
        return found([])
    files = [
        {
            "extension": file.name.rpartition(".")[2],
            "id": file.id,
            "name": file.name,
            "file_url": call.file_url(file),
            "size_in_bytes": file.size,
            "is_metrics": False,
            "miniature_url": "",
        }
        for file in order.files
        if file.owner_id == order.payer_id
    ]
    return found([{"message": order.provided_data, "files": files}])


def order_files(order: Order) -> list[StoredFile]:
    attached = [*order.files, *(file for track in order.tracks for file in track.files)]
    return list({file.id: file for file in attached}.values())


def files(call: Call) -> Answer:
    """Takes `id`."""
    order = call.order("id")
    mine = call.me().user_id
    return found(
        [
            {
                "id": file.id,
                "entity_type": "track",
                "fname": file.name,
                "cloudUrl": file.path,
                "size": file.size,
                "url": call.file_url(file),
                "miniature_url": "",
                "date": int(file.at),
                "owner": file.owner_id == mine,
            }
            for file in order_files(order)
        ]
    )


METHODS: Methods = {
    "getOrderHeader": Method(header),
    "getOrderDetails": Method(details),
    "getOrderProvidedData": Method(provided_data),
    "getOrderFiles": Method(files),
}
