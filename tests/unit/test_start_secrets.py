"""The secrets made on first start: whole or not there at all."""

from __future__ import annotations

import base64
import errno
import os
import secrets
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.core.crypto import new_key
from app.core.secrets import SecretsError, load_secrets
from app.core.settings import Settings


def settings(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder / "data")


def test_they_are_made_once_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    made = load_secrets(settings(tmp_path))
    assert load_secrets(settings(tmp_path)).secret_key == made.secret_key
    kept = list((tmp_path / "data").iterdir())
    assert [path.name for path in kept] == ["secrets.json"]
    assert kept[0].stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_nothing_half_written_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(SecretsError, match=r"нет места на диске.*DATA_DIR"):
            load_secrets(settings(tmp_path))
    assert list((tmp_path / "data").iterdir()) == []
    load_secrets(settings(tmp_path))


def test_what_another_start_made_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = load_secrets(settings(tmp_path)).secret_key
    # This start looked before the other one had put its file there.
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert load_secrets(settings(tmp_path)).secret_key == theirs
    assert len(list((tmp_path / "data").iterdir())) == 1


def test_a_damaged_file_is_not_replaced_and_the_message_says_what_is_lost(tmp_path: Path) -> None:
    load_secrets(settings(tmp_path))
    path = tmp_path / "data" / "secrets.json"
    path.write_text("{")
    with pytest.raises(SecretsError, match=r"повреждён.*резервной копии"):
        load_secrets(settings(tmp_path))
    assert path.read_text() == "{"


REAL = "q7Jm2XvN4bT9zLr5WcK8yHd3GfS6pAeU1oRiQ0MnBxVt"
PLACEHOLDERS = [
    "your-secret-key-change-in-production",
    "your-super-secret-key-please-make-it-a-long-one",
    "YOUR_SECRET_KEY_YOUR_SECRET_KEY_YOUR_SECRET",
    "change-me-change-me-please-change-me-before-use",
    "ChangeMeChangeMeChangeMeChangeMe1234567",
    "changeit-0123456789-abcdefghijklmnopqrstuvwxyz",
    "replace-me-0123456789-abcdefghijklmnopqrstuvw",
    "replace_with_a_long_random_string_of_characters",
    "this-is-a-placeholder-0123456789-abcdefghijklm",
    "insert-here-0123456789-abcdefghijklmnopqrstuvw",
    "my-secret-key 0123456789 abcdefghijklmnopqrstu",
    "dummy-0123456789-abcdefghijklmnopqrstuvwxyz-AB",
    "<a long random string of 48 characters or more>",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "TODO make a real one 0123456789 abcdefghijklmnop",
    "замените-этот-ключ-на-настоящий-перед-запуском",
    "ваш_ключ_0123456789_abcdefghijklmnopqrstuvwxyz",
    "00000000000000000000000000000000000000000000000",
    "0123456789abcdef0123456789abcdef0123456789abcdef",
    "qwertyqwertyqwertyqwertyqwertyqwertyqwerty",
    "short-but-real",
]


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_placeholder_for_the_secret_key_stops_the_start_unless_debugging(
    tmp_path: Path, placeholder: str
) -> None:
    given = {"_env_file": None, "data_dir": tmp_path, "secret_key": SecretStr(placeholder)}
    with pytest.raises(SecretsError, match=r"SECRET_KEY.*заглушка.*token_urlsafe.*DEBUG=true") as refused:
        load_secrets(Settings(**given))
    assert placeholder not in str(refused.value)
    assert load_secrets(Settings(**given, debug=True)).secret_key == placeholder


@pytest.mark.parametrize(
    "key",
    [b"\0" * 32, b"change-me-change-me-change-me-ab", b"0123456789abcdef0123456789abcdef", b"a" * 32],
)
def test_a_made_up_key_for_stored_secrets_stops_the_start(tmp_path: Path, key: bytes) -> None:
    keys = f"{new_key('k1')},old:{base64.b64encode(key).decode()}"
    given = {"data_dir": tmp_path, "secret_key": SecretStr(REAL), "credentials_keys": SecretStr(keys)}
    with pytest.raises(SecretsError, match=r"CREDENTIALS_KEYS.*admin new-key"):
        load_secrets(Settings(_env_file=None, **given))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crm_api_key", "your-crm-api-key"),
        ("crm_api_key", "changeme"),
        ("postgres_password", "your_password"),
        ("postgres_password", "<password>"),
        ("kwork_mobile_key", "app:your-mobile-key"),
        ("database_url", "postgresql://kwork:change_me@db.example.com/kwork"),
        ("redis_url", "redis://:replace-me@cache.example.com/0"),
    ],
)
def test_placeholders_for_what_others_give_stop_the_start(tmp_path: Path, name: str, value: str) -> None:
    keys = SecretStr(new_key("k1"))
    given = {"secret_key": SecretStr(REAL), "credentials_keys": keys, name: SecretStr(value)}
    with pytest.raises(SecretsError, match=f"{name.upper()} в .env — заглушка") as refused:
        load_secrets(Settings(_env_file=None, data_dir=tmp_path, **given))
    assert value not in str(refused.value)
    load_secrets(Settings(_env_file=None, data_dir=tmp_path, debug=True, **given))


def test_a_key_whose_bytes_begin_and_end_like_a_placeholder_is_taken(tmp_path: Path) -> None:
    key = base64.b64encode(b"<" + bytes(range(128, 158)) + b">").decode()
    given = {"secret_key": SecretStr(REAL), "credentials_keys": SecretStr(f"k1:{key}")}
    load_secrets(Settings(_env_file=None, data_dir=tmp_path, **given))


def test_real_secrets_are_no_placeholders(tmp_path: Path) -> None:
    for _ in range(300):
        secret, keys = secrets.token_urlsafe(48), new_key("k1")
        given = {"secret_key": SecretStr(secret), "credentials_keys": SecretStr(keys)}
        load_secrets(Settings(_env_file=None, data_dir=tmp_path, crm_api_key=SecretStr(secret[:20]), **given))


def test_an_external_database_without_keys_stops_the_start_and_names_them(tmp_path: Path) -> None:
    for given in ({}, {"secret_key": SecretStr(REAL)}, {"credentials_keys": SecretStr(new_key("k1"))}):
        with pytest.raises(SecretsError, match=r"нужны SECRET_KEY и CREDENTIALS_KEYS.*admin new-key"):
            load_secrets(Settings(_env_file=None, data_dir=tmp_path, postgres_host="db", **given))


@pytest.mark.parametrize(
    "keys", [" , ", "k1", "k1:", ":AAAA", "k1:short", "k1:не base64", "k" * 33 + ":" + "A" * 44]
)
def test_malformed_keys_stop_the_start(tmp_path: Path, keys: str) -> None:
    given = {"secret_key": SecretStr(REAL), "credentials_keys": SecretStr(keys), "debug": True}
    with pytest.raises(SecretsError, match=r"CREDENTIALS_KEYS.*admin new-key"):
        load_secrets(Settings(_env_file=None, data_dir=tmp_path, **given))
