"""A connection's settings and its secrets are kept apart; here they come together, and faults are told by field."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, Final

from pydantic import ValidationError

from app.core.validation import described
from app.crm.registry import CRM_KINDS, ConnectionSettings
from app.domain.connections import SettingsInvalid

_ANY_NAME: Final = "secrets.*"


def validated(kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> ConnectionSettings:
    """The kind's own settings. Raises ``SettingsInvalid``, whose errors hold no value."""
    _refuse_misplaced(kind, settings, secrets)
    try:
        return CRM_KINDS[kind].settings_model.model_validate(with_secrets(kind, settings, secrets))
    except ValidationError as error:
        raise SettingsInvalid([_told(kind, described(dict(one))) for one in error.errors()]) from None


def with_secrets(kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """The settings with each secret in its place."""
    whole = deepcopy(dict(settings))
    if _names_any(kind):
        return {**whole, "secrets": dict(secrets)}
    for name, secret in secrets.items():
        *way, last = name.split(".")
        place = whole
        for step in way:
            place = place.setdefault(step, {})
        place[last] = secret
    return whole


def _refuse_misplaced(kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    paths = ("secrets",) if _names_any(kind) else CRM_KINDS[kind].secrets
    errors = [
        _error(f"settings.{path}", "secret_in_settings", "секреты передаются отдельно, в поле secrets")
        for path in paths
        if _is_at(settings, path)
    ]
    if not _names_any(kind):
        errors += [
            _error("secrets", "unknown_secret", f"бывают только {', '.join(paths)}")
            for name in secrets
            if name not in paths
        ][:1]
        if any("." in name for name in secrets) and not isinstance(settings.get("oauth", {}), dict):
            errors.append(_error("settings.oauth", "dict_type", "нужен объект JSON"))
    if errors:
        raise SettingsInvalid(errors)


def _is_at(settings: Any, path: str) -> bool:
    for step in path.split("."):
        if not isinstance(settings, dict) or step not in settings:
            return False
        settings = settings[step]
    return settings is not None


def _told(kind: str, error: dict[str, str]) -> dict[str, str]:
    """The field as the caller gave it: below ``secrets`` or below ``settings``."""
    field = error["field"]
    if _names_any(kind) and (field == "secrets" or field.startswith("secrets.")):
        return {**error, "field": field}
    inside = "secrets" if field in CRM_KINDS[kind].secrets else "settings"
    return {**error, "field": f"{inside}.{field}" if field else inside}


def _names_any(kind: str) -> bool:
    return CRM_KINDS[kind].secrets == (_ANY_NAME,)


def _error(field: str, code: str, message: str) -> dict[str, str]:
    return {"field": field, "code": code, "message": message}
