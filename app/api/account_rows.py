"""Kwork accounts as the API shows them: the fields are named one by one, so that no secret slips in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from app.domain.accounts import Account, AccountState, Capability
from app.domain.errors import ServiceError
from app.services.kwork_capabilities import CapabilityReport


def account_row(account: Account) -> dict[str, Any]:
    """``AccountOut``."""
    return {
        "id": account.id,
        "title": account.title,
        "login": account.login,
        "username": account.username,
        "kwork_user_id": account.kwork_user_id,
        "state": account.state,
        "state_code": account.state_code,
        "what_to_do": account.state_detail,
        "needs_person": account.state is AccountState.NEEDS_PERSON,
        "state_since": account.state_since,
        "blocked_until": account.blocked_until,
        "last_checked_at": account.last_checked_at,
        "created_at": account.created_at,
    }


def account_card(account: Account, capabilities: Mapping[Capability, CapabilityReport]) -> dict[str, Any]:
    """``AccountCard``."""
    shown = {
        capability.value: {"available": one.available, "surface": one.surface, "reason": one.reason}
        for capability, one in capabilities.items()
    }
    return {**account_row(account), "capabilities": shown}


def sign_in_problem(error: ServiceError | None) -> dict[str, Any] | None:
    """``SignInOut``."""
    if error is None:
        return None
    wait = getattr(error, "retry_after", None)
    return {
        "code": error.code,
        "detail": error.detail,
        "retryable": error.retryable,
        "retry_after": math.ceil(wait) if wait is not None else None,
    }
