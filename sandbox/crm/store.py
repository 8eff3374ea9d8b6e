"""Leads and contacts in memory, a store per tenant. Times are the journal's clock, unix seconds."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sandbox.crm.fields import Record, Shape


class Collection:
    """One resource of one tenant. A record is found by its id or by its external_id, never by anything else."""

    def __init__(self, prefix: str, shape: Shape, created_at: str, updated_at: str) -> None:
        self.shape = shape
        self._prefix = prefix
        self._created_at, self._updated_at = created_at, updated_at
        self._records: dict[str, Record] = {}
        self._by_key: dict[str, str] = {}
        self._born: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._records)

    def add(self, body: Record, now: float, *, another: bool = False) -> tuple[Record, bool]:
        """The record with this external_id and whether it was made just now; ``another``: it always is."""
        key = body[self.shape.key]
        if not another and (known := self._by_key.get(key)):
            return self._records[known], False
        crm_id = f"{self._prefix}{len(self._records) + 1}"
        moment = moment_text(now)
        record = {"id": crm_id, **self.shape.new(body), self._created_at: moment, self._updated_at: moment}
        self._records[crm_id] = record
        self._by_key.setdefault(key, crm_id)
        self._born[crm_id] = now
        return record, True

    def get(self, crm_id: str) -> Record | None:
        return self._records.get(crm_id)

    def change(self, record: Record, body: Record, now: float) -> Record:
        record.update(self.shape.changes_of(body))
        record[self._updated_at] = moment_text(now)
        return record

    def find(self, external_id: str, born_before: float) -> Record | None:
        """As a search index sees it: nothing that was created after `born_before`."""
        crm_id = self._by_key.get(external_id)
        return self._records[crm_id] if crm_id and self._born[crm_id] <= born_before else None

    def times_of(self, record: Record) -> dict[str, str]:
        return {"created_at": record[self._created_at], "updated_at": record[self._updated_at]}

    def newest(self, limit: int, offset: int = 0) -> list[Record]:
        return list(islice(reversed(self._records.values()), offset, offset + limit))

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())


class Tenant:
    """What one tenant keeps."""

    def __init__(self, make: Callable[[str], Collection]) -> None:
        self.leads = make("leads")
        self.contacts = make("contacts")


def moment_text(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def canonical(shape: Shape, record: Record) -> dict[str, Any]:
    """A record under the contract's names, whatever the variant."""
    return {"id": record["id"], **{name: record.get(wire) for name, wire in shape.wire.items()}}
