"""The stand-in: `build(journal, faults, account, tokens)` gives its app.

In the journal the surface is `amocrm`, and an entry says what was done: `lead created`, `contact updated`,
`contact linked`, `note added`, `field created`, `tokens granted`.
"""

from starlette.applications import Starlette
from starlette.types import ASGIApp

from sandbox.amocrm.account import Account
from sandbox.amocrm.api import Api
from sandbox.amocrm.tokens import Tokens
from sandbox.crm.wire import Wire
from sandbox.door import Door
from sandbox.faults import Faults
from sandbox.journal import Journal

SURFACE = "amocrm"


def build(journal: Journal, faults: Faults, account: Account, tokens: Tokens) -> ASGIApp:
    """An account without records, behind the sandbox's door."""
    api = Api(account, tokens)
    app = Starlette(routes=api.routes(), exception_handlers=api.exception_handlers())
    return Wire(Door(app, surface=SURFACE, journal=journal, faults=faults), faults)
