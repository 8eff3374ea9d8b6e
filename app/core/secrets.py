"""The service's own secrets: from the settings, or made on first start beside the embedded database."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from app.core.crypto import BadKeys, SecretBox, new_key
from app.core.os_words import why
from app.core.settings import Settings

SECRETS_FILE = "secrets.json"
_PLACEHOLDER = re.compile(
    r"your[-_ ](\w+[-_ ])*(key|secret|password|token)|change[-_ ]?(me|it|this|in[-_ ]prod)|replace[-_ ]?(me|it|this|with)"
    r"|place[-_ ]?holder|insert[-_ ]|example[-_ ](key|secret|password)|dummy|\bto[-_ ]?do\b|secret[-_ ]?key\b|^<.*>$|x{6}|\*{4}"
    r"|замени|укажите|секретный[-_ ]ключ|ваш[-_ ](ключ|пароль|секрет)",
    re.IGNORECASE,
)
_OR_DEBUG = "Для разработки можно вместо этого указать DEBUG=true."
_SHORTEST_SECRET = 32
_FEWEST_CHARACTERS = 8
_FROM_OTHERS = ("crm_api_key", "postgres_password", "kwork_mobile_key", "database_url", "redis_url")
"""Settings whose secrets somebody else made: how long they are is not ours to judge."""


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
    if not settings.debug:
        _refuse_placeholders(settings, secret_key, keys)
    try:
        return ServiceSecrets(secret_key, SecretBox(keys))
    except BadKeys as error:
        raise SecretsError(str(error)) from None


def _refuse_placeholders(settings: Settings, secret_key: str, keys: str) -> None:
    if _is_made_up(secret_key) or len(secret_key) < _SHORTEST_SECRET:
        raise SecretsError(
            "SECRET_KEY в .env — заглушка или короче 32 символов. Поставьте настоящий: "
            f'python -c "import secrets; print(secrets.token_urlsafe(48))". {_OR_DEBUG}'
        )
    if any(_is_made_up(key) for key in _values(keys)):
        raise SecretsError(
            f"CREDENTIALS_KEYS в .env — заглушка. Поставьте настоящий ключ: python main.py admin new-key. {_OR_DEBUG}"
        )
    for name in _FROM_OTHERS:
        given: SecretStr | None = getattr(settings, name)
        if given is not None and _PLACEHOLDER.search(given.get_secret_value()):
            raise SecretsError(
                f"{name.upper()} в .env — заглушка. Поставьте настоящее значение или оставьте пустым. {_OR_DEBUG}"
            )


def _values(keys: str) -> Iterator[str]:
    """Each key as it is written, and as text where it is text."""
    for entry in keys.split(","):
        written = entry.partition(":")[2].strip()
        yield written
        with suppress(ValueError):
            text = base64.b64decode(written, validate=True).decode()
            if text.isprintable():  # bytes by chance may begin and end like a placeholder
                yield text


def _is_made_up(secret: str) -> bool:
    is_repeated = (secret + secret).find(secret, 1) < len(secret)
    few = len(set(secret)) < _FEWEST_CHARACTERS
    return bool(_PLACEHOLDER.search(secret)) or is_repeated or few


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
