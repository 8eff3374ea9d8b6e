"""All tenants of the demo CRM, and the variant they work in."""

from collections.abc import Callable

from sandbox.crm.fields import contact_shape, lead_shape, spelled
from sandbox.crm.store import Collection, Tenant
from sandbox.crm.variant import Variant


class Office:
    """`now`: unix seconds, the journal's clock."""

    def __init__(self, variant: Variant, now: Callable[[], float]) -> None:
        self.now = now
        self.work_in(variant)

    def work_in(self, variant: Variant) -> None:
        """Takes up a variant; all records are thrown away, as their shape may differ."""
        self.variant = variant
        self.shapes = {"leads": lead_shape(variant), "contacts": contact_shape(variant)}
        leads = "opportunities" if variant.lead_shape == "opportunity" else "leads"
        self.resources = {leads: "leads", "contacts": "contacts"}
        self.query_key = spelled("external_id", variant)
        self.tenants: dict[str, Tenant] = {}

    def tenant(self, tenant_id: str) -> Tenant:
        found = self.tenants.get(tenant_id)
        if found is None:
            found = self.tenants[tenant_id] = Tenant(self._collection)
        return found

    def knows(self, tenant_id: str) -> bool:
        return not self.variant.tenants or tenant_id in self.variant.tenants

    def _collection(self, kind: str) -> Collection:
        variant = self.variant
        return Collection(
            "L" if kind == "leads" else "C",
            self.shapes[kind],
            spelled("created_at", variant),
            spelled("updated_at", variant),
        )
