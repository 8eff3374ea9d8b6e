"""A tenant's connection to a CRM: what it may do, where it came from, and what a check of it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.domain.crm import ConnectionReport
from app.domain.errors import Conflict, Invalid


class ConnectionMode(StrEnum):
    """What goes to the CRM."""

    PREVIEW = "preview"
    """Nothing is queued and nothing is sent."""
    LIVE = "live"
    PAUSED = "paused"
    """Queued, but not sent."""


class ConnectionOrigin(StrEnum):
    """Who described the connection."""

    SETTINGS = "settings"
    """Whoever runs the service, by ``CRM_KIND``, ``CRM_API_URL`` and ``CRM_API_KEY``."""
    API = "api"
    """The tenant."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a set-up check found, step by step. Its sentences are Russian and hold no secret."""

    at: datetime
    ok: bool
    steps: tuple[Mapping[str, Any], ...]
    """Each with ``name``, ``ok`` and ``detail``."""

    @classmethod
    def of(cls, at: datetime, *reports: ConnectionReport) -> CheckReport:
        """Of one report or several, in that order; a step that two of them know is told as the last one left it."""
        steps = {step.name: asdict(step) for report in reports for step in report.steps}
        return cls(at, all(step["ok"] for step in steps.values()), tuple(steps.values()))

    def stored(self) -> dict[str, Any]:
        return {"ok": self.ok, "at": self.at.isoformat(), "steps": list(self.steps)}


class CheckFailed(Conflict):
    """The CRM does not take what the connection needs; ``report`` tells step by step."""

    code = "connection_check_failed"

    def __init__(self, report: CheckReport, then: str) -> None:
        failed = " ".join(str(step["detail"]) for step in report.steps if not step["ok"])
        super().__init__(f"Проверка подключения не прошла: {failed} {then}")
        self.report = report.stored()


class SettingsInvalid(Invalid):
    """Settings that no connection can be made with. ``errors`` name fields and rules, never values."""

    code = "connection_settings_invalid"

    def __init__(self, errors: Sequence[Mapping[str, str]], *, code: str | None = None) -> None:
        super().__init__("Настройки подключения не годятся: смотрите errors.", code=code)
        self.errors = [dict(error) for error in errors]
