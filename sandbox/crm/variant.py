"""How this demo CRM differs from `docs/crm-contract.yaml`. By default it does not."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin


class VariantError(ValueError):
    """No such variant, or no such value of it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What CRMs in the wild do differently; each is switched on its own."""

    repeat: Literal["existing", "conflict", "conflict_bare", "another"] = "existing"
    """Same external_id again: 200, 409 with id and key, 409 with the id only, or a second record (as most CRMs do)."""
    lead_shape: Literal["lead", "opportunity"] = "lead"
    contact_names: Literal["full", "split"] = "full"
    naming: Literal["snake", "camel"] = "snake"
    update_method: Literal["PATCH", "PUT"] = "PATCH"
    list_key: Literal["items", "data", "resource", "bare"] = "items"
    lookup: bool = True
    """False: external_id in the query is ignored and everything comes back."""
    user_id_required: bool = False
    tenants: tuple[str, ...] = field(default=())
    """The tenants that exist; empty: every tenant does."""
    unknown_tenant: Literal[404, 403] = 404

    @classmethod
    def parse(cls, given: dict[str, Any]) -> "Variant":
        """From JSON. Raises VariantError, naming what is wrong."""
        known = cls.__annotations__
        for name, value in given.items():
            if name not in known:
                raise VariantError(f"no such variant: {name}")
            if not _fits(known[name], value):
                raise VariantError(f"{name}: {value!r} is not one of its values")
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})


def _fits(kind: Any, value: Any) -> bool:
    if kind is bool:
        return isinstance(value, bool)
    if get_origin(kind) is Literal:
        return any(value == one and type(value) is type(one) for one in get_args(kind))
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
