"""The service's own secrets: from the settings, or made on first start beside the embedded database."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from app.core.crypto import BadKeys, SecretBox, new_key
from app.core.os_words import why
from app.core.settings import Settings

SECRETS_FILE = "secrets.json"
_PLACEHOLDERS = ("your-secret-key", "change-me", "changeme", "change-in-production", "placeholder")
_SHORTEST_SECRET = 32


class SecretsError(RuntimeError):
    """The start is refused. The message is a Russian sentence with what to do."""


@dataclass(frozen=True, slots=True)
class ServiceSecrets:
    """What signs tokens and what seals stored passwords and sessions."""

    secret_key: str = field(repr=False)
    box: SecretBox = field(repr=False)


def load_secrets(settings: Settings) -> ServiceSecrets:
    """Raises ``SecretsError``. With the embedded database missing secrets are made and kept in ``DATA_DIR``."""
    secret_key = settings.secret_key.get_secret_value() if settings.secret_key else None
    keys = settings.credentials_keys.get_secret_value() if settings.credentials_keys else None
    if secret_key is None or keys is None:
        kept = _kept(settings)
        secret_key, keys = secret_key or kept["SECRET_KEY"], keys or kept["CREDENTIALS_KEYS"]
    _refuse_placeholders(settings, secret_key)
    try:
        return ServiceSecrets(secret_key, SecretBox(keys))
    except BadKeys as error:
        raise SecretsError(str(error)) from None


def _refuse_placeholders(settings: Settings, secret_key: str) -> None:
    if settings.debug:
        return
    if any(word in secret_key.lower() for word in _PLACEHOLDERS) or len(secret_key) < _SHORTEST_SECRET:
        raise SecretsError(
            "SECRET_KEY в .env — заглушка или короче 32 символов. Поставьте настоящий: "
            'python -c "import secrets; print(secrets.token_urlsafe(48))". '
            "Для разработки можно вместо этого указать DEBUG=true."
        )


def _kept(settings: Settings) -> dict[str, str]:
    if not settings.embedded_postgres:
        raise SecretsError(
            "С внешней базой данных нужны SECRET_KEY и CREDENTIALS_KEYS в .env: иначе вторая копия сервиса "
            "не прочтёт сохранённое первой. Сделать ключ: python main.py admin new-key"
        )
    path = settings.data_dir / SECRETS_FILE
    try:
        if not path.exists():
            _make(path)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SecretsError(
            f"Не удаётся прочитать или создать {path}: {why(error)}. Проверьте права на папку данных и место на "
            "диске или укажите другую папку в DATA_DIR."
        ) from error
    try:
        found = json.loads(text)
        return {"SECRET_KEY": str(found["SECRET_KEY"]), "CREDENTIALS_KEYS": str(found["CREDENTIALS_KEYS"])}
    except (ValueError, KeyError, TypeError) as error:
        raise SecretsError(
            f"Файл {path} повреждён. Верните его из резервной копии: без него сохранённые пароли не открыть."
        ) from error


def _make(path: Path) -> None:
    """Whole or not at all: a half-written file would stop every later start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {"SECRET_KEY": secrets.token_urlsafe(48), "CREDENTIALS_KEYS": new_key("k1")}
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # readable by us alone
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(made, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        _put(Path(scratch), path)
    finally:
        Path(scratch).unlink(missing_ok=True)


def _put(scratch: Path, path: Path) -> None:
    """A link never replaces what another start made meanwhile; not every file system has links."""
    try:
        path.hardlink_to(scratch)
    except FileExistsError:
        return
    except OSError:
        scratch.replace(path)
