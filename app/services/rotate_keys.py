"""Re-seals everything under the newest key while the service runs: in batches, tenant by tenant.

What is done shows in the values themselves (their heads name the key), so a rotation that was cut off is carried on by
running it again. A value that somebody changes meanwhile keeps the change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from app.core.crypto import SecretBox, SecretUnreadable, sealed_with
from app.core.database import Database
from app.repositories.sealed import SEALED, SealedColumn, SealedValue, SealedValues, UnreadableSecrets
from app.repositories.tenants import all_tenants

BATCH = 200


@dataclass(slots=True)
class Rotation:
    """How far it is, and how it ended."""

    resealed: int = 0
    changed_meanwhile: int = 0
    """Somebody else was faster: the newer value stays."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Tenant and place of what does not open."""
    in_use: Counter[str] = field(default_factory=Counter)
    """How many values each key still seals, at the end."""
    unused: list[str] = field(default_factory=list)
    """Keys that seal nothing any more."""


class RotateKeys:
    """One rotation. Several at once do the same work twice, and no harm."""

    def __init__(self, database: Database, box: SecretBox, *, batch: int = BATCH) -> None:
        self._database = database
        self._box = box
        self._batch = batch

    async def run(self, tell: Callable[[str, Rotation], None] = lambda _tenant, _so_far: None) -> Rotation:
        """Through all tenants; ``tell`` hears of each when it is done. Raises what the database raises."""
        found = Rotation()
        for tenant_id in await self._tenants():
            unreadable: list[str] = []
            for column in SEALED:
                unreadable += await self._column(tenant_id, column, found)
            async with self._database.tenant(tenant_id) as scope:
                await UnreadableSecrets(scope).keep_only(unreadable)
            found.unreadable += [(tenant_id, place) for place in unreadable]
            tell(tenant_id, found)
        for tenant_id in await self._tenants():
            async with self._database.tenant(tenant_id) as scope:
                for column in SEALED:
                    found.in_use.update(await SealedValues(scope, column).keys_in_use())
        found.unused = [name for name in self._box.key_names if name not in found.in_use]
        return found

    async def _tenants(self) -> list[str]:
        async with self._database.shared() as connection:
            return await all_tenants(connection)

    async def _column(self, tenant_id: str, column: SealedColumn, found: Rotation) -> list[str]:
        """Places that do not open."""
        unreadable: list[str] = []
        after = None
        while True:
            async with self._database.tenant(tenant_id) as scope:
                values = SealedValues(scope, column)
                batch = await values.under_other_keys(self._box.current_key, after, self._batch)
                for value in batch:
                    place = await self._value(values, value, found)
                    if place is not None:
                        await UnreadableSecrets(scope).mark(place, sealed_with(value.sealed))
                        unreadable.append(place)
            if len(batch) < self._batch:
                return unreadable
            after = batch[-1].key

    async def _value(self, values: SealedValues, value: SealedValue, found: Rotation) -> str | None:
        place = values.place(value)
        try:
            opened = self._box.unseal(value.sealed, place)
        except SecretUnreadable:
            return f"{place.row} {place.field}"
        if await values.replace(value, self._box.seal(opened, place)):
            found.resealed += 1
        else:
            found.changed_meanwhile += 1
        return None
