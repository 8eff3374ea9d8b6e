"""What orders and projects become on a portal: leads or deals, each its own where the settings say so.

Then leads and deals have stages of the same name that mean different things, so a stage outside says which it is:
``lead/NEW``, ``deal/NEW``.
"""

from collections.abc import Mapping
from typing import Final

from app.crm.bitrix24.items import ItemType
from app.crm.bitrix24.settings import Bitrix24Settings

_PROJECT: Final = "kwork:project:"
_BY_NAME: Final[Mapping[str, ItemType]] = {kind.owner: kind for kind in (ItemType.LEAD, ItemType.DEAL)}


class Kinds:
    """``orders`` is None until the portal was asked where the settings leave it to it."""

    def __init__(self, settings: Bitrix24Settings) -> None:
        self.orders: ItemType | None = _BY_NAME.get(settings.entity)
        self.projects = _BY_NAME.get(settings.project_entity or "")
        """None: the same as orders."""

    @property
    def are_two(self) -> bool:
        return self.projects is not None and self.projects is not self.orders

    def of(self, external_id: str) -> ItemType | None:
        """Of a lead's key."""
        if self.projects is not None and external_id.startswith(_PROJECT):
            return self.projects
        return self.orders

    def shown(self, kind: ItemType, stage: str) -> str:
        """A stage of the portal as it is called outside."""
        return f"{kind.owner}/{stage}" if self.are_two else stage


def stage_meant(kind: ItemType, stage: str) -> str | None:
    """A stage as the portal calls it; None: it is one of another kind of item."""
    name, _, own = stage.rpartition("/")
    return own if name in ("", kind.owner) else None
