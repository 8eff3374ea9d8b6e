"""How each operation is called for a tenant, and every name under which it takes a tenant's things.

What the OpenAPI document holds and these tables do not is unclassified, and fails the build.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tests.api import NOWHERE, Shop

NOBODY = UUID("00000000-0000-4000-8000-000000000000")


@dataclass(frozen=True)
class Case:
    """How to call an operation for a tenant. ``role``: the least that suffices."""

    role: str = "viewer"
    path: Callable[[Shop], dict[str, object]] = field(default=lambda _: {})
    body: dict[str, Any] | None = None
    query: dict[str, str] | None = None
    content: bytes | None = None
    """A body that is not JSON."""
    shows_canary: bool = True
    """Its own answer holds the tenant's canary: shows that looking for the other's can find something."""
    status: int = 200
    """What the own tenant gets. Its account is paused, so that nothing is sent to Kwork."""


def account(shop: Shop) -> dict[str, object]:
    return {"id": shop.account_id}


def file(shop: Shop) -> dict[str, object]:
    return {"id": shop.file_id}


def write(shop: Shop) -> dict[str, object]:
    return {"id": shop.write_id}


def webhook(shop: Shop) -> dict[str, object]:
    return {"id": shop.webhook_id}


def search(shop: Shop) -> dict[str, object]:
    return {"id": shop.search_id}


def connection(shop: Shop) -> dict[str, object]:
    return {"id": shop.connection_id}


NEW_CONNECTION = {
    "kind": "native",
    "settings": {"base_url": NOWHERE, "tenant_id": "another-than-that-of-the-settings"},
    "secrets": {"api_key": "x"},
}


def failure(shop: Shop) -> dict[str, object]:
    return {"id": shop.failure_id}


CASES: dict[str, Case] = {
    "list_orders": Case(),
    "get_order": Case(path=lambda shop: {"id": f"order-{shop.order_id}"}),
    "list_order_events": Case(path=lambda shop: {"id": shop.order_id}),
    "list_gigs": Case(),
    "get_gig": Case(path=lambda shop: {"id": shop.gig_id}),
    "list_dialogs": Case(),
    "list_messages": Case(path=lambda shop: {"dialog_id": shop.dialog_id}),
    "list_accounts": Case(),
    "add_account": Case(
        role="admin", body={"login": "new", "password": "x", "sign_in": False}, shows_canary=False, status=201
    ),
    "get_account": Case(path=account),
    "update_account": Case(role="admin", path=account, body={"password": "y"}),
    "check_account": Case(role="operator", path=account),
    "renew_session": Case(role="operator", path=account, shows_canary=False, status=409),
    "pause_account": Case(role="operator", path=account, body={"paused": True}),
    "get_crm_event_address": Case(path=connection, shows_canary=False),
    "issue_crm_event_address": Case(role="admin", path=connection, shows_canary=False, status=201),
    "close_crm_event_address": Case(role="admin", path=connection, shows_canary=False, status=204),
    "get_crm_mapping": Case(path=connection),
    "put_crm_mapping": Case(
        role="admin", path=connection, body={"tags": [{"tags": ["x"]}]}, shows_canary=False, status=409
    ),
    "preview_crm_delivery": Case(
        role="operator", path=connection, body={"sample": True}, shows_canary=False, status=409
    ),
    "list_crm_moves": Case(path=connection),
    "sync_orders": Case(
        role="operator", body={"kinds": ["project"], "wait": False}, shows_canary=False, status=202
    ),
    "sync_contacts": Case(role="operator", body={"wait": False}, shows_canary=False, status=409),
    "sync_status": Case(),
    "list_runs": Case(),
    "get_run": Case(path=lambda shop: {"id": shop.run_id}),
    "list_crm_problems": Case(),
    "list_failures": Case(),
    "get_failure": Case(path=failure),
    "replay_failure": Case(role="operator", path=failure, body={}, shows_canary=False),
    "discard_failure": Case(
        role="operator",
        path=lambda shop: {"id": shop.other_failure_id},
        body={"reason": "x"},
        shows_canary=False,
    ),
    "replay_failures": Case(role="operator", body={"filter": {}}, shows_canary=False),
    "discard_failures": Case(role="operator", body={"filter": {}, "reason": "x"}, shows_canary=False),
    "stream_events": Case(query={"last_event_id": "0", "follow": "false"}),
    "list_webhooks": Case(role="operator"),
    "add_webhook": Case(
        role="admin", body={"url": "https://example.com/hook"}, shows_canary=False, status=201
    ),
    "get_webhook": Case(role="operator", path=webhook),
    "update_webhook": Case(role="admin", path=webhook, body={"description": "x"}),
    "test_webhook": Case(role="operator", path=webhook, shows_canary=False),
    "rotate_webhook_secret": Case(role="admin", path=webhook),
    "list_webhook_deliveries": Case(role="operator", path=webhook),
    "replay_webhook_delivery": Case(
        role="operator",
        path=lambda shop: {"id": shop.webhook_id, "delivery_id": shop.delivery_id},
        shows_canary=False,
        status=409,
    ),
    "delete_webhook": Case(role="admin", path=webhook, shows_canary=False, status=204),
    "list_searches": Case(),
    "add_search": Case(role="operator", body={"name": "x"}, shows_canary=False, status=201),
    "preview_search": Case(body={}, shows_canary=False),
    "get_search": Case(path=search),
    "update_search": Case(role="operator", path=search, body={"enabled": True}),
    "run_search": Case(role="operator", path=search, shows_canary=False),
    "delete_search": Case(role="operator", path=search, shows_canary=False, status=204),
    "list_crm_connections": Case(),
    "get_crm_connection": Case(path=connection),
    "check_crm_connection": Case(role="operator", path=connection, status=409),
    "put_crm_connection": Case(
        role="admin", body={**NEW_CONNECTION, "name": "new"}, shows_canary=False, status=201
    ),
    "update_crm_connection": Case(role="admin", path=connection, body=NEW_CONNECTION),
    "check_crm_settings": Case(role="operator", body=NEW_CONNECTION, shows_canary=False),
    "backfill_crm_connection": Case(
        role="operator",
        path=connection,
        body={"created_after": "2020-01-01T00:00:00Z", "dry_run": True},
        shows_canary=False,
    ),
    "switch_crm_connection": Case(role="admin", path=connection, body={"mode": "paused"}),
    "delete_crm_connection": Case(role="admin", path=connection, shows_canary=False),
    "me": Case(shows_canary=False),
    "logout": Case(shows_canary=False, status=204),
    "upload_files": Case(
        role="operator", query={"name": "a.txt"}, content=b"text", shows_canary=False, status=201
    ),
    "list_files": Case(),
    "get_file": Case(path=file),
    "get_file_content": Case(path=file),
    "delete_file": Case(role="operator", path=file, shows_canary=False, status=204),
    "get_message_file": Case(
        path=lambda shop: {"dialog_id": shop.dialog_id, "message_id": shop.order_id, "file_id": "77"},
        shows_canary=False,
        status=409,
    ),
    "get_order_file": Case(
        path=lambda shop: {"id": f"order-{shop.order_id}", "file_id": "77"}, shows_canary=False, status=409
    ),
    "respond_to_project": Case(
        role="operator",
        path=lambda shop: {"id": f"project-{shop.order_id}"},
        body={"message": "x" * 150, "price": 1000, "duration_days": 3},
        shows_canary=False,
        status=409,
    ),
    "change_order_stage": Case(
        role="operator",
        path=lambda shop: {"id": f"order-{shop.order_id}"},
        body={"action": "take_order"},
        shows_canary=False,
        status=409,
    ),
    "deliver_order": Case(
        role="operator",
        path=lambda shop: {"id": f"order-{shop.order_id}"},
        body={"message": "x"},
        shows_canary=False,
        status=409,
    ),
    "send_message": Case(
        role="operator",
        path=lambda shop: {"dialog_id": shop.dialog_id},
        body={"message": "x"},
        shows_canary=False,
        status=409,
    ),
    "mark_dialog_read": Case(
        role="operator", path=lambda shop: {"dialog_id": shop.dialog_id}, shows_canary=False, status=409
    ),
    "edit_gig": Case(
        role="operator",
        path=lambda shop: {"id": shop.gig_id},
        body={"title": "x"},
        shows_canary=False,
        status=409,
    ),
    "pause_gig": Case(role="operator", path=lambda shop: {"id": shop.gig_id}, shows_canary=False, status=409),
    "start_gig": Case(role="operator", path=lambda shop: {"id": shop.gig_id}, shows_canary=False, status=409),
    "list_writes": Case(),
    "get_write": Case(path=write),
    "cancel_write": Case(role="operator", path=write),
    "confirm_write": Case(role="operator", path=write, shows_canary=False, status=409),
    "resolve_write": Case(
        role="operator",
        path=write,
        body={"happened": True, "reason": "x"},
        shows_canary=False,
        status=409,
    ),
    "continue_write": Case(role="operator", path=write, shows_canary=False, status=409),
    "list_offers": Case(),
    "delete_offer": Case(
        role="operator",
        path=lambda shop: {"id": shop.order_id},
        query={"project_id": "5"},
        shows_canary=False,
        status=409,
    ),
    "get_tenant_settings": Case(shows_canary=False),
    "change_tenant_settings": Case(role="admin", body={"writes": {"offers_per_day": 3}}, shows_canary=False),
    "list_api_keys": Case(role="admin"),
    "add_api_key": Case(role="admin", body={"name": "new"}, shows_canary=False, status=201),
    "delete_api_key": Case(
        role="admin", path=lambda shop: {"id": shop.api_key_id}, shows_canary=False, status=204
    ),
    "list_audit": Case(role="admin"),
    "export_audit": Case(role="admin"),
    "delete_account": Case(role="admin", path=account, shows_canary=False, status=204),
}

OTHER_NAMES: dict[str, list[Callable[[Shop], dict[str, object]]]] = {
    "get_order": [lambda shop: {"id": shop.order_id}],
    "list_order_events": [lambda shop: {"id": f"order-{shop.order_id}"}],
    "list_messages": [lambda shop: {"dialog_id": shop.partner}, lambda shop: {"dialog_id": shop.order_id}],
    "get_message_file": [
        lambda shop: {"dialog_id": shop.partner, "message_id": shop.order_id, "file_id": "77"}
    ],
    "get_order_file": [lambda shop: {"id": shop.order_id, "file_id": "77"}],
}
"""Further ways to name what ``CASES`` names by its first id."""


ATTACHED = json.dumps(
    {"files": [{"id": "77", "name": "a.txt", "url": f"{NOWHERE}/files/a/a.txt", "size": 1}]}
)
NO_SHOP = Shop(
    "nobody",
    NOBODY,
    999,
    999,
    NOBODY,
    "nobody",
    "",
    NOBODY,
    NOBODY,
    NOBODY,
    NOBODY,
    NOBODY,
    NOBODY,
    999_999_999,
    999_999_998,
    NOBODY,
    NOBODY,
)

PUBLIC = {"login", "health", "ready", "take_crm_event", "metrics"}
"""Operations that want no token."""

KWORKS_OWN = {"respond_to_project", "delete_offer"}
"""The ids in their paths are Kwork's own, the same for everybody; whose account acts is told in query or body."""

IDS: dict[str, Callable[[Shop], object]] = {
    "account_id": lambda shop: str(shop.account_id),
    "account_ids": lambda shop: [str(shop.account_id)],
    "connection_id": lambda shop: str(shop.connection_id),
    "connection_ids": lambda shop: [str(shop.connection_id)],
    "run_id": lambda shop: str(shop.run_id),
    "files": lambda shop: [str(shop.file_id)],
    "ids": lambda shop: [shop.failure_id],
    "order": lambda shop: f"order-{shop.order_id}",
}
"""Names in queries and bodies that stand for a tenant's own things."""

NOT_A_TENANTS: dict[str, str] = {
    "project_id": "Kwork's number of a project, the same for everybody",
    "project": "Kwork's number of a project, the same for everybody",
    "category_ids": "Kwork's numbers of rubrics",
    "user_id": "the CRM's number of a user in a tenant's own mapping",
    "crm_id": "the CRM's number of a lead",
    "id": "Kwork's number of a stage inside the order that the path names",
    "last_event_id": "a position in the caller's own numbering",
    "upload_files: files": "the contents themselves",
}

Body = Callable[[object], dict[str, Any]]

BODIES: dict[tuple[str, str], Body] = {
    ("put_crm_mapping", "account_ids"): lambda ids: {"tags": [{"tags": ["x"], "when": {"account_ids": ids}}]},
    ("preview_crm_delivery", "account_ids"): lambda ids: {
        "sample": True,
        "mapping": {"tags": [{"tags": ["x"], "when": {"account_ids": ids}}]},
    },
    ("change_order_stage", "files"): lambda ids: {"stage": "on_review", "message": "x", "files": ids},
    ("sync_orders", "account_id"): lambda one: {"account_id": one, "wait": False},
    ("preview_crm_delivery", "order"): lambda order: {"order": order},
    ("replay_failures", "ids"): lambda ids: {"ids": ids},
    ("replay_failures", "connection_id"): lambda one: {"filter": {"connection_id": one}},
    ("replay_failures", "run_id"): lambda one: {"filter": {"run_id": one}},
    ("discard_failures", "ids"): lambda ids: {"ids": ids, "reason": "x"},
    ("discard_failures", "connection_id"): lambda one: {"filter": {"connection_id": one}, "reason": "x"},
    ("discard_failures", "run_id"): lambda one: {"filter": {"run_id": one}, "reason": "x"},
}
"""Where a body's field is not simply at its top."""

QUERY_PATHS: dict[tuple[str, str], Callable[[Shop], dict[str, object]]] = {
    ("list_messages", "account_id"): lambda shop: {"dialog_id": shop.partner},
    ("send_message", "account_id"): lambda shop: {"dialog_id": shop.partner},
    ("mark_dialog_read", "account_id"): lambda shop: {"dialog_id": shop.partner},
    ("get_message_file", "account_id"): lambda shop: {
        "dialog_id": shop.partner,
        "message_id": shop.order_id,
        "file_id": "77",
    },
}
"""Where a parameter decides something only beside such a path."""

BLIND: dict[str, str] = {
    "get_order_file: account_id": "the order of the path decides whose account it is",
    "put_crm_mapping: account_ids": "compared with the tenant's own orders only; the CRM of the tests answers nobody",
    "preview_crm_delivery: account_ids": "the same",
}
"""Where the own id is answered like an unknown one, too, and why that is right."""

SAMPLE = (
    "get_order",
    "list_orders",
    "get_account",
    "delete_search",
    "send_message",
    "replay_failures",
    "list_files",
)
"""Operations of every sort, for the control without both layers: with all of them it would take very long."""
