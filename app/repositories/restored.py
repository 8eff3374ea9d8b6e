"""After a restore: what happened since the backup was made is not in the database, but in the CRM and on Kwork it is."""

from __future__ import annotations

from app.core.database import TenantConnection

_TENANT = "UPDATE tenants SET restored_at = now() WHERE id = $1"
_DELIVERIES = """
UPDATE deliveries d SET state = 'unknown', due_at = now(), sent_at = now(), sent_hash = d.payload_hash
WHERE d.tenant_id = $1 AND d.state IN ('pending', 'retry', 'in_flight') AND d.entity <> 'note'
  AND NOT EXISTS (SELECT 1 FROM crm_links l
                  WHERE l.tenant_id = $1 AND l.connection_id = d.connection_id AND l.entity = d.entity
                    AND l.external_id = d.external_id)
"""
_WRITES = """
UPDATE kwork_writes SET state = 'expired', settled_at = now(), problem = $2::jsonb
WHERE tenant_id = $1 AND state IN ('prepared', 'confirmed')
"""
_ON_THEIR_WAY = """
UPDATE kwork_writes SET state = 'unknown', held_until = NULL, due_at = now()
WHERE tenant_id = $1 AND state = 'committing'
"""
_RESTORED = {
    "code": "restored_from_backup",
    "detail": "База восстановлена из резервной копии: могло уйти после неё. Проверьте на Kwork и создайте запись заново.",
}


class Restored:
    """Marks one tenant's rows so that nothing is sent a second time."""

    def __init__(self, scope: TenantConnection) -> None:
        self._connection = scope.connection
        self._tenant_id = scope.tenant_id

    async def mark(self) -> tuple[int, int]:
        """What may be in the CRM already is looked up there before it is created; what waited to be sent to Kwork is not
        sent any more. Returns how many deliveries and how many writes that were.
        """
        await self._connection.execute(_TENANT, self._tenant_id)
        deliveries = await self._connection.execute(_DELIVERIES, self._tenant_id)
        await self._connection.execute(_ON_THEIR_WAY, self._tenant_id)
        writes = await self._connection.execute(_WRITES, self._tenant_id, _RESTORED)
        return _count(deliveries), _count(writes)


def _count(told: str) -> int:
    return int(told.rsplit(" ", 1)[1])
