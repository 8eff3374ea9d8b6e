"""OAuth tokens of a connection, and the port of what keeps them.

Where a refresh token works once, two workers that renew at the same time leave one of them with nothing. So a
renewal happens under a lock that all workers share, and looks first at what another has saved meanwhile.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a vendor granted. Secret: keep it encrypted, show it nowhere."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: datetime
    """Aware, UTC: when ``access`` ends."""
    origin: str
    """Fingerprint of the secret a person gave, from which these grew. Another one in the settings: a person
    gave the access anew, and what is kept counts no more."""


class Renewal(Protocol):
    """The lock is held: nobody else renews this connection's tokens."""

    @property
    def tokens(self) -> Tokens | None:
        """As they were kept when the lock was taken."""
        ...

    async def save(self, tokens: Tokens) -> None:
        """Keeps them durably before it returns, whoever holds the lock by now: the vendor forgot the old ones.

        Waits for a database that is away rather than give them up.
        """
        ...


class TokenKeeper(Protocol):
    """Keeps the tokens of one connection.

    The lock is a lease, not an open transaction: a call to the vendor happens under it. It is given up by
    itself when its holder dies.
    """

    async def load(self) -> Tokens | None: ...

    def renewing(self) -> AbstractAsyncContextManager[Renewal]:
        """Waits for the lock, then reads what is kept. Raises ``Unavailable`` when it cannot be had in time."""
        ...
