"""Webhooks of the tenant: where events are sent, with what secret, and how that goes."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Response

from app.api.cursors import page_number, plain_cursor
from app.api.describe import problems
from app.api.queries import documented, query_of
from app.api.rows import json_answer, list_answer
from app.api.v1.deps import Admin, Operator, UseCases
from app.domain.webhooks import Delivery, Webhook
from app.models.event_schemas import (
    DeliveriesQuery,
    DeliveryOut,
    RotateIn,
    WebhookChange,
    WebhookIn,
    WebhookOut,
    WebhookWithSecret,
)
from app.models.schemas import Listed, PageQuery
from app.repositories.webhook_deliveries import PENDING
from app.services.manage_webhooks import NewSecret

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

WebhookId = Annotated[UUID, Path(alias="id", description="Id of the webhook, from `GET webhooks`.")]


@router.post(
    "",
    operation_id="add_webhook",
    summary="Have events sent to an address",
    status_code=201,
    response_model=WebhookWithSecret,
    responses=problems(409, 413, 415),
)
async def add_webhook(body: WebhookIn, caller: Admin, services: UseCases) -> Response:
    """Begins with what happens from now on. `secret` is shown this once; verify with it every delivery.

    Deliveries follow [Standard Webhooks](https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp`,
    `webhook-signature`; the body is the event. Any 2xx within 10 seconds counts as taken. Otherwise it is tried again
    after 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, 2 h, 5 h, 10 h, 10 h; a receiver that fails all of these in a row is
    switched off. 410 switches it off at once. Redirects are not followed.

    422 `address_not_public`, `address_not_https`, `address_malformed`, `address_has_user`, `address_unknown`: the
    service does not send there. 409 `too_many_webhooks`: 20 are there already.
    """
    made = await services.webhooks.add(
        caller, url=body.url, description=body.description, types=body.types, active=body.active
    )
    return _with_secret(made, 201)


@router.get(
    "",
    operation_id="list_webhooks",
    summary="List the tenant's webhooks",
    response_model=Listed[WebhookOut],
    responses=problems(),
    openapi_extra=documented(PageQuery),
)
async def list_webhooks(
    caller: Operator, query: Annotated[PageQuery, Depends(query_of(PageQuery))], services: UseCases
) -> Response:
    """Oldest first, each with how it is doing."""
    page = page_number(query)
    found, total = await services.webhooks.list(caller.tenant_id, page=page, limit=query.limit)
    return _listed([_shown(one) for one in found], query, page, total)


@router.get(
    "/{id}",
    operation_id="get_webhook",
    summary="Show a webhook",
    response_model=WebhookOut,
    responses=problems(),
)
async def get_webhook(webhook_id: WebhookId, caller: Operator, services: UseCases) -> Response:
    """How it is set and how it is doing."""
    return json_answer(_shown(await services.webhooks.get(caller.tenant_id, webhook_id)))


@router.put(
    "/{id}",
    operation_id="update_webhook",
    summary="Change a webhook, or switch it on and off",
    response_model=WebhookOut,
    responses=problems(413, 415),
)
async def update_webhook(
    webhook_id: WebhookId, body: WebhookChange, caller: Admin, services: UseCases
) -> Response:
    """Changes what is given. While it is off nothing is queued: what happens then is told by `GET events` only.

    Switched on, it first gets what still waited, then what happens from now on.
    """
    changed = await services.webhooks.change(
        caller,
        webhook_id,
        url=body.url,
        description=body.description,
        types=body.types,
        active=body.active,
    )
    return json_answer(_shown(changed))


@router.delete(
    "/{id}",
    operation_id="delete_webhook",
    summary="Remove a webhook",
    status_code=204,
    response_class=Response,
    responses=problems(),
)
async def delete_webhook(webhook_id: WebhookId, caller: Admin, services: UseCases) -> Response:
    """With its secrets and its log; what waits is not sent."""
    await services.webhooks.delete(caller, webhook_id)
    return Response(status_code=204)


@router.post(
    "/{id}/test",
    operation_id="test_webhook",
    summary="Send a test now",
    response_model=DeliveryOut,
    responses=problems(),
)
async def test_webhook(webhook_id: WebhookId, caller: Operator, services: UseCases) -> Response:
    """Sends `webhook.test`, signed like any other, and answers with how that went; it is not tried again.

    200 in any case: look at `state` (`delivered` or `failed`), `status`, `answer` and `error`. Works while the webhook
    is off, too.
    """
    return json_answer(_delivery(await services.webhooks.test(caller.tenant_id, webhook_id)))


@router.post(
    "/{id}/rotate-secret",
    operation_id="rotate_webhook_secret",
    summary="Make a new secret",
    response_model=WebhookWithSecret,
    responses=problems(413, 415),
)
async def rotate_webhook_secret(
    webhook_id: WebhookId,
    caller: Admin,
    services: UseCases,
    body: Annotated[RotateIn | None, Body()] = None,
) -> Response:
    """The new secret is shown this once. Until the old one ends (`keep_old_hours`, a day by default) deliveries carry
    both signatures, so that the receiver can change over without missing any. 0: the old one ends at once.
    """
    wanted = body or RotateIn()
    return _with_secret(
        await services.webhooks.rotate(caller, webhook_id, keep_old_hours=wanted.keep_old_hours)
    )


@router.get(
    "/{id}/deliveries",
    operation_id="list_webhook_deliveries",
    summary="Show what was sent and how that went",
    response_model=Listed[DeliveryOut],
    responses=problems(),
    openapi_extra=documented(DeliveriesQuery),
)
async def list_webhook_deliveries(
    caller: Operator,
    webhook_id: WebhookId,
    query: Annotated[DeliveriesQuery, Depends(query_of(DeliveriesQuery))],
    services: UseCases,
) -> Response:
    """Newest first, as long as events are kept (`EVENTS_KEEP_DAYS`)."""
    page = page_number(query)
    state = query.state.value if query.state else None
    found, total = await services.webhooks.deliveries(
        caller.tenant_id, webhook_id, state, page=page, limit=query.limit
    )
    return _listed([_delivery(one) for one in found], query, page, total)


@router.post(
    "/{id}/deliveries/{delivery_id}/replay",
    operation_id="replay_webhook_delivery",
    summary="Send a delivery again",
    status_code=202,
    response_model=DeliveryOut,
    responses=problems(409),
)
async def replay_webhook_delivery(
    webhook_id: WebhookId,
    delivery_id: Annotated[UUID, Path(description="Id of the delivery.")],
    caller: Operator,
    services: UseCases,
) -> Response:
    """Whatever became of it before; with all its tries anew and the same `webhook-id`.

    409 `webhook_inactive`: switch it on first. 409 `test_delivery_not_replayable`: test again instead.
    """
    return json_answer(_delivery(await services.webhooks.replay(caller, webhook_id, delivery_id)), 202)


def _listed(items: list[dict[str, Any]], query: PageQuery, page: int, total: int) -> Response:
    return list_answer(
        items,
        page=None if query.cursor else page,
        limit=query.limit,
        total=total,
        next_cursor=plain_cursor((page - 1) * query.limit, len(items), total),
    )


def _with_secret(made: NewSecret, status: int = 200) -> Response:
    return json_answer({**_shown(made.webhook), "secret": made.secret}, status)


def _shown(webhook: Webhook) -> dict[str, Any]:
    return {
        "id": webhook.id,
        "url": webhook.url,
        "description": webhook.description,
        "types": list(webhook.types),
        "active": webhook.works,
        "disabled_reason": webhook.disabled_code,
        "disabled_detail": webhook.disabled_detail,
        "disabled_at": webhook.disabled_at,
        "failures": webhook.failures,
        "failing_since": webhook.failing_since,
        "retry_at": webhook.retry_at,
        "waiting": webhook.waiting,
        "old_secret_until": webhook.secret_ends_at,
        "created_at": webhook.created_at,
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "message_id": delivery.message_id,
        "event_id": delivery.event_id,
        "type": delivery.type,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "due_at": delivery.due_at if delivery.state == PENDING else None,
        "created_at": delivery.created_at,
        "attempted_at": delivery.attempted_at,
        "milliseconds": delivery.milliseconds,
        "status": delivery.status,
        "answer": delivery.answer,
        "error": delivery.error,
    }
