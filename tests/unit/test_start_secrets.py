"""The secrets made on first start: whole or not there at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

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
