"""What a person does about deliveries that failed: look, let them go out again, name their record, discard them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.core.database import Database, TenantConnection
from app.domain.access import Caller
from app.domain.crm import Entity
from app.domain.errors import Conflict, NotFound
from app.domain.failures import FailureFilter
from app.repositories.audit import Audit
from app.repositories.crm_problems import CrmProblems
from app.repositories.failures import Failure, Failures
from app.services.current_payloads import current_payloads

MOST_AT_ONCE = 10_000


class WorkOnFailures:
    """Everything that changes something is audited. What wakes up goes out with the next drain."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, tenant_id: str, wanted: FailureFilter, limit: int, after: int | None
    ) -> tuple[list[Failure], int]:
        """Newest first, and how many there are in all."""
        async with self._database.tenant(tenant_id) as scope:
            return await Failures(scope).page(wanted, limit, after)

    async def get(self, tenant_id: str, failure_id: int) -> Failure:
        """Raises ``NotFound``."""
        async with self._database.tenant(tenant_id) as scope:
            return await _found(scope, failure_id)

    async def replay(
        self, caller: Caller, failure_id: int, *, crm_id: str | None = None, absent: bool = False
    ) -> None:
        """Lets one go out again, as it is now on Kwork. ``crm_id``: a person says which record of the CRM it is;
        ``absent``: a person saw that the CRM has none, so that it may be made without looking.

        Raises ``NotFound``, and ``Conflict`` where it does not wait for a person or the record is another key's.
        """
        async with self._database.tenant(caller.tenant_id) as scope:
            failure = await _found(scope, failure_id, lock=True)
            if failure.state != "parked":
                raise Conflict("Эта доставка уже отброшена.", code="failure_not_parked")
            if crm_id is not None:
                await _link(scope, failure, crm_id)
            await _wake(scope, [failure], absent=absent or crm_id is not None)
            said = {"crm_id": crm_id, "absent": absent}
            await _audit(scope, caller, "crm_failure.replay", [failure], said)

    async def replay_many(self, caller: Caller, wanted: Sequence[int] | FailureFilter) -> int:
        """Those of the ids, or all that the filter finds; at most ``MOST_AT_ONCE``. Returns how many."""
        async with self._database.tenant(caller.tenant_id) as scope:
            failures = await _parked(scope, wanted)
            await _wake(scope, failures)
            await _audit(scope, caller, "crm_failure.replay", failures, {})
        return len(failures)

    async def discard(self, caller: Caller, failure_id: int, reason: str) -> None:
        """It is not sent as it is. Raises as ``replay`` does."""
        async with self._database.tenant(caller.tenant_id) as scope:
            failure = await _found(scope, failure_id, lock=True)
            if failure.state != "parked":
                raise Conflict("Эта доставка уже отброшена.", code="failure_not_parked")
            await _discard(scope, caller, [failure], reason)

    async def discard_many(self, caller: Caller, wanted: Sequence[int] | FailureFilter, reason: str) -> int:
        """As ``replay_many``."""
        async with self._database.tenant(caller.tenant_id) as scope:
            failures = await _parked(scope, wanted)
            await _discard(scope, caller, failures, reason)
        return len(failures)


async def _found(scope: TenantConnection, failure_id: int, *, lock: bool = False) -> Failure:
    found = await Failures(scope).by_ids([failure_id], lock=lock)
    if not found:
        raise NotFound("Такой неудавшейся доставки нет: возможно, она уже ушла в CRM.")
    return found[0]


async def _parked(scope: TenantConnection, wanted: Sequence[int] | FailureFilter) -> list[Failure]:
    failures = Failures(scope)
    if isinstance(wanted, FailureFilter):
        found, _ = await failures.page(wanted, MOST_AT_ONCE)
        wanted = [failure.id for failure in found]
    return [one for one in await failures.by_ids(wanted, lock=True) if one.state == "parked"]


async def _link(scope: TenantConnection, failure: Failure, crm_id: str) -> None:
    failures = Failures(scope)
    if failure.entity == Entity.NOTE:
        await failures.link(failure, crm_id)
        await failures.settle_note(failure)
        return
    other = await failures.holder_of(failure, crm_id)
    if other is not None:
        raise Conflict(
            f"Запись CRM с этим номером уже связана с «{other}»: проверьте номер.", code="crm_record_taken"
        )
    await failures.link(failure, crm_id)


async def _wake(scope: TenantConnection, failures: Sequence[Failure], *, absent: bool = False) -> None:
    newer = await current_payloads(scope, failures)
    await Failures(scope).wake([one.id for one in failures], newer, absent=absent)
    await _close_problems(scope, failures)


async def _discard(scope: TenantConnection, caller: Caller, failures: Sequence[Failure], reason: str) -> None:
    await Failures(scope).discard([one.id for one in failures], caller.actor, reason)
    await _close_problems(scope, failures)
    await _audit(scope, caller, "crm_failure.discard", failures, {"reason": reason})


async def _close_problems(scope: TenantConnection, failures: Sequence[Failure]) -> None:
    for connection_id in {failure.connection_id for failure in failures}:
        await CrmProblems(scope).close_settled(connection_id)


async def _audit(
    scope: TenantConnection,
    caller: Caller,
    action: str,
    failures: Sequence[Failure],
    said: Mapping[str, object],
) -> None:
    keys = [f"{one.entity}/{one.external_id}" for one in failures]
    target = f"delivery:{failures[0].id}" if len(failures) == 1 else f"deliveries:{len(failures)}"
    if failures:
        told = {name: value for name, value in said.items() if value}
        await Audit(scope).add(caller.actor, action, target, {"keys": keys[:100], "count": len(keys), **told})
