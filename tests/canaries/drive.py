"""Good and bad paths through the service, each with a secret in its hands."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.canaries.world import TENANT, World
from tests.service import PASSWORD
from tests.stand import ROOT

NOBODY = "http://127.0.0.1:9"
_SECONDS = 40.0


def drive(world: World, *, short: bool = False) -> None:
    """All of them. Raises ``AssertionError`` where a path does not lead where it should.

    ``short``: without what waits for slow vendors, and without the commands that are told what is wrong.
    """
    token = let_in(world)
    account = connect_kwork(world, token)
    webhooks(world, token)
    with amocrm() as greeting:
        connections(world, token, greeting)
        syncs(world, token, account, short=short)
    refused_bodies(world, token, account)
    refused_entries(world, token)
    if not short:
        commands(world)
    world.ask("POST", "/api/v1/auth/logout", token=token)
    world.ask("GET", "/api/v1/auth/me", token=token)


def let_in(world: World) -> str:
    """A local user, a wrong password, a right one."""
    email = "admin@example.com"
    world.command("admin", "create", "--email", email, "--tenant", TENANT, typed=PASSWORD)
    wrong = world.secret("wrong password of a user")
    assert (
        world.ask("POST", "/api/v1/auth/login", json={"email": email, "password": wrong}).status_code == 401
    )
    body = {"email": email, "password": PASSWORD, "tenant_id": TENANT}
    signed = world.ask("POST", "/api/v1/auth/login", json=body, shows=True)
    assert signed.status_code == 200, signed.text
    token: str = signed.json()["access_token"]
    world.secrets["JWT"] = token.encode()
    world.secrets["signature of the JWT"] = token.rpartition(".")[2].encode()
    return token


def connect_kwork(world: World, token: str) -> str:
    """A wrong password at Kwork, a right one, cookies brought along, Kwork that breaks off in the middle."""
    stand, main = world.stand, world.stand.accounts[0]
    right = world.secret("Kwork password")
    stand.change_account(main["username"], password=right)
    wrong = world.secret("wrong Kwork password")
    body = {"title": "Студия", "login": main["login"], "password": wrong}
    made = world.ask("POST", "/api/v1/accounts", token=token, json=body)
    stand.fault("error_500", surface="api", path="/signIn", count=1)
    account = (
        made.json().get("id") or world.ask("GET", "/api/v1/accounts", token=token).json()["items"][0]["id"]
    )
    for password in (right, right):
        world.ask("PUT", f"/api/v1/accounts/{account}", token=token, json={"password": password})
        world.ask("POST", f"/api/v1/accounts/{account}/session", token=token, json={})
    stand.clear_faults()
    _until(lambda: _state(world, token, account) == "connected", world, token, account)
    world.ask("POST", f"/api/v1/accounts/{account}/check", token=token)
    second = world.ask(
        "POST", "/api/v1/accounts", token=token, json={"login": "other", "password": world.secret("second password"), "sign_in": False}
    ).json()["id"]  # fmt: skip
    cookie = {
        "name": "RORSSQIHEK",
        "value": world.secret("cookie brought along", odd=False),
        "domain": "127.0.0.1",
        "path": "/",
    }
    world.ask("POST", f"/api/v1/accounts/{second}/session", token=token, json={"cookies": [cookie]})
    world.ask(
        "POST",
        f"/api/v1/accounts/{second}/session",
        token=token,
        json={"storage_state": {"cookies": [cookie], "origins": []}},
    )
    return str(account)


def webhooks(world: World, token: str) -> None:
    """Shown once when made and when changed, used for signing, tried against nobody."""
    hook = {"url": f"{NOBODY}/{world.secret('secret in a webhook address', odd=False)}?key=1"}
    world.secrets.pop("secret in a webhook address")  # an address is the tenant's own and is shown to it
    made = world.ask("POST", "/api/v1/webhooks", token=token, json=hook, shows=True)
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    world.ask("POST", f"/api/v1/webhooks/{number}/rotate-secret", token=token, json={}, shows=True)
    world.ask("POST", f"/api/v1/webhooks/{number}/test", token=token)
    for path in ("", f"/{number}", f"/{number}/deliveries"):
        world.ask("GET", f"/api/v1/webhooks{path}", token=token)


def connections(world: World, token: str, amocrm_greeting: dict[str, Any]) -> None:
    """Each kind: refused, nobody there, and what works; secrets as keys, in addresses, and for OAuth."""
    refused = world.secret("key the CRM refuses", odd=False)
    in_address = world.secret("CRM secret in an address", odd=False)
    native = {"kind": "native", "settings": {"base_url": world.stand.crm}}
    oauth = {
        "client_id": "sandbox-client", "redirect_uri": "https://example.com/oauth",
    }  # fmt: skip
    amo = {
        "kind": "amocrm",
        "settings": {
            "base_url": amocrm_greeting["CRM_API_URL"],
            "oauth": oauth,
            **amocrm_greeting["CRM_SETTINGS"],
        },
    }
    spent = world.secret("authorization code", odd=False)
    bodies: list[tuple[dict[str, Any], dict[str, str]]] = [
        (native, {"api_key": refused}),
        ({**native, "settings": {"base_url": NOBODY}}, {"api_key": refused}),
        ({"kind": "bitrix24", "settings": {}}, {"webhook_url": f"{world.stand.crm}/rest/1/{in_address}/"}),
        ({"kind": "bitrix24", "settings": {}}, {"webhook_url": f"{NOBODY}/rest/1/{in_address}/"}),
        ({"kind": "bitrix24", "settings": {}}, {"webhook_url": f"not an address {in_address}"}),
        (amo, {"oauth.client_secret": "sandbox-client-secret", "oauth.code": spent}),
        (amo, {"oauth.client_secret": world.secret("wrong client secret", odd=False), "oauth.code": spent}),
    ]
    for number, (body, secrets) in enumerate(bodies):
        wanted = {**body, "name": f"connection {number}", "secrets": secrets}
        world.ask("POST", "/api/v1/crm/connection/check", token=token, json=wanted)
        world.ask("PUT", "/api/v1/crm/connection", token=token, json=wanted)
    good = [
        (
            # The settings name this CRM as well: another tenant of it is another place.
            {**native, "name": "good", "settings": {"base_url": world.stand.crm, "tenant_id": "another-tenant"}},
            {"api_key": world.stand.crm_key},
        ),
        # Saved above with a code that was spent.
        ({**amo, "name": "connection 5"}, {"oauth.client_secret": "sandbox-client-secret", "oauth.code": "sandbox-authorization-code"}),
    ]  # fmt: skip
    world.secrets["client secret"] = b"sandbox-client-secret"
    world.secrets["the authorization code"] = b"sandbox-authorization-code"
    for body, secrets in good:
        made = world.ask("PUT", "/api/v1/crm/connection", token=token, json={**body, "secrets": secrets})
        assert made.status_code in (200, 201), made.text
        number = made.json()["id"]
        world.ask("POST", f"/api/v1/crm/connection/{number}/mode", token=token, json={"mode": "live"})
        world.ask("POST", f"/api/v1/crm/connection/{number}/check", token=token)
        world.ask("GET", f"/api/v1/crm/connection/{number}", token=token)


def syncs(world: World, token: str, account: str, *, short: bool) -> None:
    """Jobs that go well, that the CRM refuses or drops, that Kwork breaks; deliveries that stay parked."""
    stand = world.stand
    sync = {"account_id": account, "kinds": ["order"], "create_leads": True}
    stand.fault(
        "error", surface="crm", method="POST", status=422, body={"detail": f"no {stand.crm_key}"}, count=3
    )
    stand.fault("error_500", surface="crm", method="POST", count=3)
    stand.fault("drop", surface="crm", when="before", count=2)
    world.ask("POST", "/api/v1/crm-sync/sync-orders", token=token, json=sync)
    stand.clear_faults()
    if not short:
        broken_syncs(world, token, account, sync)
    look_around(world, token)


def broken_syncs(world: World, token: str, account: str, sync: dict[str, Any]) -> None:
    """Kwork's shape drifts, its answers are slow or no JSON, the session is gone."""
    stand = world.stand
    stand.fault("field_dropped", surface="api", path="/workerOrders", field="response", count=2)
    world.ask("POST", "/api/v1/crm-sync/sync-orders", token=token, json=sync)
    stand.clear_faults()
    stand.fault("html_instead_of_json", surface="api", count=2)
    stand.fault("slow", surface="api", seconds=4, count=1)
    world.ask("POST", "/api/v1/crm-sync/sync-contacts", token=token, json={"account_id": account})
    stand.clear_faults()
    stand.sign_out()
    world.ask("POST", "/api/v1/crm-sync/sync-orders", token=token, json=sync)


def look_around(world: World, token: str) -> None:
    """Everything that the API shows."""
    for path in ("sync-status", "runs", "failures", "problems"):
        world.ask("GET", f"/api/v1/crm-sync/{path}", token=token)
    for failure in world.ask("GET", "/api/v1/crm-sync/failures", token=token).json()["items"][:3]:
        world.ask("GET", f"/api/v1/crm-sync/failures/{failure['id']}", token=token)
    for path in (
        "orders",
        "gigs",
        "chat",
        "writes",
        "accounts",
        "crm/connection",
        "tenant/settings",
        "events?last_event_id=0&follow=false",
    ):
        world.ask("GET", f"/api/v1/{path}", token=token)


def refused_bodies(world: World, token: str, account: str) -> None:
    """422 and 400: what was sent is never told back."""
    sent = world.secret("secret in a refused body")
    bodies: list[tuple[str, str, Any]] = [
        ("POST", "/api/v1/accounts", {"login": "x", "password": [sent]}),
        ("POST", "/api/v1/accounts", {"login": "x", "password": sent * 50}),
        ("POST", "/api/v1/accounts", {"login": "x", "password": {"a": sent}, sent: 1}),
        ("PUT", f"/api/v1/accounts/{account}", {"password": 5, "pasword": sent}),
        ("POST", "/api/v1/auth/login", {"email": ["x"], "password": sent}),
        ("POST", "/api/v1/auth/login", {"email": "x", "password": {sent: sent}}),
        ("PUT", "/api/v1/crm/connection", {"name": "x", "kind": sent, "settings": {}, "secrets": {"api_key": sent}}),
        ("PUT", "/api/v1/crm/connection", {"name": "x", "kind": "native", "settings": {"base_url": sent}, "secrets": {"api_key": sent}}),
        ("PUT", "/api/v1/crm/connection", {"name": "x", "kind": "native", "settings": {"base_url": NOBODY, "api_key": sent}, "secrets": {}}),
        ("PUT", "/api/v1/crm/connection", {"name": "x", "kind": "native", "settings": {"base_url": NOBODY}, "secrets": {"other": sent}}),
        ("POST", f"/api/v1/accounts/{account}/session", {"cookies": sent}),
        ("POST", f"/api/v1/accounts/{account}/session", {"cookies": [{"name": 1, "value": sent}]}),
        ("POST", f"/api/v1/accounts/{account}/session", {"answer": sent}),
        ("POST", f"/api/v1/accounts/{account}/session", {"storage_state": {"cookies": [sent]}}),
    ]  # fmt: skip
    for method, path, body in bodies:
        assert world.ask(method, path, token=token, json=body).status_code >= 400, (method, path, body)
    broken = json.dumps({"password": sent})[:-1].encode()
    world.ask(
        "POST", "/api/v1/accounts", token=token, content=broken, headers={"Content-Type": "application/json"}
    )
    world.ask(
        "POST",
        "/api/v1/accounts",
        token=token,
        content=b"\xff" + sent.encode(),
        headers={"Content-Type": "application/json"},
    )


def refused_entries(world: World, token: str) -> None:
    """Tokens that are not let in, tokens and keys in queries, headers that hold what they should not."""
    head, body, _ = token.split(".")
    for name, value in (
        ("forged JWT", f"{head}.{body}.{world.secret('signature of a forged JWT', odd=False)}"),
        ("not a JWT", world.secret("token that is none", odd=False)),
    ):
        assert world.ask("GET", "/api/v1/orders", token=value).status_code == 401, name
    in_query = world.secret("token in a query", odd=False)
    for query in (
        {"access_token": in_query},
        {"token": in_query},
        {"api_key": in_query},
        {"q": "x", "password": in_query},
    ):
        world.ask("GET", "/api/v1/orders", params=query)
        world.ask("GET", "/api/v1/orders", params=query, token=token)
    in_header = world.secret("secret in a header", odd=False)
    for header in ("X-API-Key", "Cookie", "Proxy-Authorization", "X-Tenant-ID", "Authorization"):
        world.ask("GET", "/api/v1/orders", headers={header: in_header})


def commands(world: World) -> None:
    """The command line: told what is wrong without the secret, and doing its work."""
    wrong = world.secret("wrong database password", odd=False)
    world.command(
        "migrate", DATABASE_URL=f"postgresql://kwork:{wrong}@127.0.0.1:{world.postgres.port}/{world.database}"
    )
    world.command("migrate", DATABASE_URL=f"postgresql://kwork:{wrong}@127.0.0.1:9/nothing")
    world.command("migrate", DATABASE_URL=f"mysql://kwork:{wrong}@127.0.0.1/nothing")
    world.command("serve", CREDENTIALS_KEYS=f"k1:{world.secret('malformed key', odd=False)}")
    world.command(
        "serve", CRM_SETTINGS=json.dumps({"api_key": world.secret("key in CRM_SETTINGS", odd=False), "x": 1})
    )
    world.command("serve", KWORK_MOBILE_KEY=world.secret("malformed mobile key", odd=False))
    world.command("admin", "rotate-keys")
    world.command("admin", "create", "--email", "admin@example.com", "--tenant", TENANT, typed=PASSWORD)


@contextmanager
def amocrm() -> Iterator[dict[str, Any]]:
    """A stand-in that grants OAuth tokens."""
    process = subprocess.Popen([sys.executable, "-m", "sandbox.amocrm"], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(10)


def _state(world: World, token: str, account: str) -> str:
    found: str = world.ask("GET", f"/api/v1/accounts/{account}", token=token).json()["state"]
    return found


def _until(condition: Any, world: World, token: str, account: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, world.ask("GET", f"/api/v1/accounts/{account}", token=token).text
        time.sleep(0.1)
