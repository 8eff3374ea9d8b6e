"""The demo CRM: `build(journal, faults, settings)` gives its app.

    /api/v1/…, /health   the contract (docs/crm-contract.yaml), behind the sandbox's door: journal and faults
    /                    a page that shows what arrives (Russian)
    /_demo/…             what the page and tests read and switch; see `demo.py`

In the journal the surface is `crm`, the account is the tenant, and a write's entry says what was done:
`lead created`, `lead existing`, `lead updated`, `contact created` … with `id` and `external_id` in its details.
"""

from typing import Protocol

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.crm.api import Api
from sandbox.crm.demo import demo_routes
from sandbox.crm.office import Office
from sandbox.crm.variant import Variant
from sandbox.crm.wire import Wire
from sandbox.door import Door
from sandbox.faults import Faults
from sandbox.incoming import Incoming
from sandbox.journal import Journal


class CrmKey(Protocol):
    """What is needed of the sandbox's settings."""

    crm_key: str


def build(journal: Journal, faults: Faults, settings: CrmKey, variant: Variant | None = None) -> ASGIApp:
    """A CRM without records. `variant`: how it differs from the contract; also `PUT /_demo/variant`."""
    office = Office(variant or Variant(), journal.now)
    contract = Api(office, settings)
    api = Starlette(routes=contract.routes(), exception_handlers=contract.exception_handlers())
    demo = Starlette(routes=demo_routes(office))
    behind_the_door = Wire(Door(api, surface="crm", journal=journal, faults=faults, identify=_tenant), faults)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        for_people = path in ("/", "/favicon.ico") or path.startswith("/_demo/")
        await (demo if for_people else behind_the_door)(scope, receive, send)

    return app


def _tenant(incoming: Incoming) -> str | None:
    return incoming.headers.get("x-tenant-id")
