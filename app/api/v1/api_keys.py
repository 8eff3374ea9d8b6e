"""Keys of the tenant's machines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Response

from app.api.cursors import page_number, plain_cursor
from app.api.describe import problems
from app.api.queries import documented, query_of
from app.api.rows import json_answer, list_answer
from app.api.v1.deps import Admin, AdminPerson, UseCases
from app.domain.access import ApiKey
from app.models.access_schemas import ApiKeyIn, ApiKeyMade, ApiKeyOut
from app.models.schemas import Listed, PageQuery

router = APIRouter(prefix="/api-keys", tags=["api-keys"])


@router.post(
    "",
    operation_id="add_api_key",
    summary="Make a key for a machine",
    status_code=201,
    response_model=ApiKeyMade,
    responses=problems(409, 413, 415),
)
async def add_api_key(body: ApiKeyIn, caller: AdminPerson, services: UseCases) -> Response:
    """`key` is shown this once. It acts for this tenant only, in the rate limit it counts as a user of its own.

    422 `scope_beyond_role`: `write` needs the role operator, `admin` the role admin. 409 `key_exists` (the name),
    `too_many_keys` (100). 403 `people_only`: a key makes no keys.
    """
    made = await services.api_keys.add(
        caller.tenant_id,
        name=body.name,
        role=body.role,
        scopes=body.scopes,
        days=body.expires_in_days,
        by=caller.actor,
    )
    return json_answer({**_shown(made.key), "key": made.secret}, 201)


@router.get(
    "",
    operation_id="list_api_keys",
    summary="List the tenant's keys",
    response_model=Listed[ApiKeyOut],
    responses=problems(),
    openapi_extra=documented(PageQuery),
)
async def list_api_keys(
    caller: Admin, query: Annotated[PageQuery, Depends(query_of(PageQuery))], services: UseCases
) -> Response:
    """Oldest first, expired ones as well; of the key itself only how it begins."""
    page = page_number(query)
    offset = (page - 1) * query.limit
    found, total = await services.api_keys.list(caller.tenant_id, limit=query.limit, offset=offset)
    return list_answer(
        [_shown(one) for one in found],
        page=None if query.cursor else page,
        limit=query.limit,
        total=total,
        next_cursor=plain_cursor(offset, len(found), total),
    )


@router.delete(
    "/{id}",
    operation_id="delete_api_key",
    summary="Revoke a key",
    status_code=204,
    response_class=Response,
    responses=problems(),
)
async def delete_api_key(
    key_id: Annotated[UUID, Path(alias="id", description="Id of the key, from `GET api-keys`.")],
    caller: AdminPerson,
    services: UseCases,
) -> Response:
    """It opens nothing from now on (in other processes of the service within five seconds)."""
    ended = await services.api_keys.revoke(caller.tenant_id, key_id, by=caller.actor)
    services.authenticator.forget(ended.tenant_id, ended.jti)
    return Response(status_code=204)


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "role": key.role,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "created_by": key.created_by,
        "expires_at": key.expires_at,
        "expired": key.expires_at is not None and key.expires_at <= datetime.now(UTC),
        "last_used_at": key.last_used_at,
    }
