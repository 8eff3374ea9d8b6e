"""Carrying out planned calls on ``api.kwork.ru``: once, and the answer taken for a yes only when it says so."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from app.domain.errors import Blocked, CapabilityUnavailable, Rejected, ServiceError, VendorError
from app.domain.kwork import Surface
from app.domain.writing import Answered, Encoding, Marker, PlannedCall
from app.marketplaces.kwork.errors import refusal, unclear_answer, write_refusal
from app.marketplaces.kwork.mobile.calls import Calls, without_secrets
from app.marketplaces.kwork.mobile.envelope import (
    RESPONSE,
    error_number,
    json_object,
    said,
    unwrap,
    wait_seconds,
)
from app.marketplaces.kwork.mobile.methods import ForbiddenCall, allowed
from app.marketplaces.kwork.multipart import deadline_of, multipart
from app.marketplaces.kwork.transport import Answer

_YES = (True, 1, "1", "true")
_NO = (False, 0, "0", "false")


async def carry_out(calls: Calls, call: PlannedCall, marker: Marker | None) -> Answered:
    """Sends a planned call once.

    Raises ``ForbiddenCall`` and ``CapabilityUnavailable`` before the marker. For one that cannot be taken back
    everything but a clear yes or no is ``Ambiguous``.
    """
    name = call.path.removeprefix("/")
    if call.surface is not Surface.MOBILE or call.method != "POST" or call.query:
        raise ForbiddenCall(f"{name!r} is no call of the mobile surface")
    method = allowed(name, frozenset(field for field, _ in call.fields))
    if method.irrevocable is not call.irrevocable:
        raise ForbiddenCall(f"mobile method {name} is planned as what it is not")
    secrets = calls.credentials(method)
    pairs = [*call.fields, *secrets.items()]
    with ExitStack() as opened:
        content: dict[str, Any] = {"form": pairs}
        if call.encoding is Encoding.MULTIPART:
            content = {"files": multipart(pairs, call.file, opened)}
        answer = await calls.transport.send(
            "POST",
            call.path,
            write=method.irrevocable,
            headers=calls.headers(),
            marker=marker,
            deadline_seconds=deadline_of(call),
            **content,
        )
    try:
        return verdict(name, answer) if method.irrevocable else _record(unwrap(name, answer).body)
    except VendorError as error:
        raise without_secrets(error, secrets) from None


def verdict(name: str, answer: Answer) -> Answered:
    """What the answer to a call that cannot be taken back means."""
    try:
        body = json_object(name, answer)
    except ServiceError as error:
        raise _instead_of_json(error) from None
    words, success = said(body), body.get("success")
    complains = bool(words or error_number(body))
    if success in _YES and not complains:
        return _record(body)
    if success in _YES or (success not in _NO and not complains):
        raise unclear_answer()
    told = refusal(words, error_number(body), wait_seconds=wait_seconds(body))
    raise write_refusal(told, words)


def _instead_of_json(error: ServiceError) -> ServiceError:
    """A page, an empty or a cut answer: only the block page and the refused app key are a clear no."""
    if isinstance(error, Blocked):
        return error
    if isinstance(error, CapabilityUnavailable):
        return Rejected(error.detail, code=error.code)
    return unclear_answer()


def _record(body: Mapping[str, Any]) -> Answered:
    """What stands in ``response``: alone or in a list of one [SPEC]; often there is nothing."""
    value = body.get(RESPONSE)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return Answered(value if isinstance(value, dict) else {})
