"""Settings that cannot be: each is named with its rule, and no value is ever repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.load_settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("PORT", "canary", "целое число"),
        ("PORT", "70000", "не больше 65535"),
        ("DEBUG", "canary", "true или false"),
        ("LOG_LEVEL", "canary", "DEBUG, INFO"),
        ("CRM_SETTINGS", "{canary", "JSON"),
        ("CRM_SETTINGS", '["canary"]', "объект JSON"),
        ("CRM_API_URL", "canary", "https://example.ru"),
        ("KWORK_WEB_URL", "https://", "https://example.ru"),
        ("KWORK_WEB_URL", "https://canary:99999999", "https://example.ru"),
        ("POSTGRES_PORT", "0", "не меньше 1"),
        ("DATABASE_URL", "mysql://user:canary@host/db", "postgresql://"),
        ("REDIS_URL", "canary", "redis://"),
        ("KWORK_MOBILE_KEY", "canary", "пользователь:пароль"),
        ("TENANT_ID_HEADER", "canary: x", "заголовка"),
        ("KWORK_DEADLINE_SECONDS", "0", "больше 0"),
        ("KWORK_ABSENT_AFTER_SECONDS", "29", "не меньше KWORK_DEADLINE_SECONDS"),
        ("KWORK_WRITE_HOLD_SECONDS", "0.5", "не меньше 1"),
        ("KWORK_WRITE_HOLD_SECONDS", "301", "не больше 300"),
    ],
)
def test_a_wrong_setting_is_named_with_its_rule(
    name: str, value: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    sentence = str(refused.value)
    assert name in sentence
    assert rule in sentence
    assert "canary" not in sentence


def test_every_wrong_setting_is_named_at_once(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text("PORT=x\nDEBUG=maybe\n")
    with pytest.raises(SettingsError, match=r"DEBUG.*PORT"):
        load_settings()


def test_a_line_that_is_none_is_named_by_its_number(empty_folder: Path) -> None:
    (empty_folder / ".env").write_text("PORT=8000\n\nthis = is = canary =\n'\n")
    with pytest.raises(SettingsError, match=r"строки: \d") as refused:
        load_settings()
    assert "canary" not in str(refused.value)


def test_a_file_in_another_encoding_is_told(empty_folder: Path) -> None:
    (empty_folder / ".env").write_bytes("DEFAULT_TENANT_ID=студия".encode("cp1251"))
    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings()


def test_the_template_as_it_is_changes_nothing(empty_folder: Path) -> None:
    plain = load_settings()
    template = Path(__file__).resolve().parents[2] / "env.template"
    (empty_folder / ".env").write_bytes(template.read_bytes())
    assert load_settings() == plain
