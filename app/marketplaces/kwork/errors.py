"""Kwork's refusals as our errors: by text first, then by number; see the table in ``refusals``."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.errors import (
    Ambiguous,
    AuthExpired,
    Blocked,
    ChallengeRequired,
    LayoutChanged,
    Maintenance,
    RateLimited,
    Rejected,
    Unavailable,
    VendorError,
)
from app.marketplaces.kwork.refusals import (
    FORM_INVALID_CODE,
    NO_VERDICT,
    REFUSALS,
    UNKNOWN_REFUSAL_CODE,
    CaptchaRequired,
    Refusal,
    WrongPassword,
)

__all__ = ["REFUSALS", "UNKNOWN_REFUSAL_CODE", "CaptchaRequired", "WrongPassword"]

MAX_WAIT_SECONDS = 24 * 3600.0
_LONGEST_QUOTE = 200

_BLOCK_MARKS = ("заблокирован доступ", "not_access.php", "qrator", "автоматических скриптов")
_MAINTENANCE_MARKS = ("технические работы", "технических работ")


def refusal(text: str, number: int | None = None, *, wait_seconds: float | None = None) -> VendorError:
    """The error for what Kwork answered instead of data.

    ``text`` is Kwork's own, without anything secret in it; ``number`` its ``error_code``;
    ``wait_seconds`` its ``expire_time``: how long it refuses.
    """
    if wait_seconds is not None and wait_seconds > 0:
        return RateLimited(
            "Kwork просит подождать.", retry_after=min(wait_seconds, MAX_WAIT_SECONDS), code="kwork_wait"
        )
    known = known_refusal(text, number)
    if known is not None:
        return known
    about = f" (код {number})" if number is not None else ""
    return Rejected(f"Kwork отказал{about}: {quoted(text) or 'без объяснения'}", code=UNKNOWN_REFUSAL_CODE)


def known_refusal(text: str, number: int | None = None) -> VendorError | None:
    """The error of the table's row for this text or number, if there is one."""
    row = _by_text(text) or _by_number(number)
    return row.error() if row is not None else None


def form_refusal(errors: Sequence[tuple[str, str]]) -> VendorError:
    """The error for a form Kwork checked and sent back: (field, sentence) pairs, in its own words."""
    said = " ".join(text for _, text in errors)
    known = known_refusal(said)
    if known is not None:
        return known
    return Rejected(f"Kwork не принял форму: {quoted(said)}", code=FORM_INVALID_CODE)


def write_refusal(error: VendorError, said: str = "") -> VendorError:
    """What a refusal means for a call that cannot be taken back.

    A clear no stays what it is. A lost session, planned works and texts that tell nothing leave open
    whether it took effect.
    """
    if isinstance(error, AuthExpired):
        return SessionLostMidway()
    if isinstance(error, LayoutChanged):
        return Rejected(error.detail, code=error.code)
    if any(mark in _normal(said) for mark in NO_VERDICT):
        return unclear_answer()
    if isinstance(error, (Rejected, RateLimited, Blocked, ChallengeRequired)):
        return error
    return unclear_answer()


def unclear_answer() -> Ambiguous:
    """Kwork answered something that is neither yes nor no."""
    return Ambiguous("Kwork ответил не так, как ожидалось: выполнено ли действие, неизвестно.")


def quoted(text: str) -> str:
    """Kwork's words as they may stand in ours: one line, cut, nothing that does not print."""
    line = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(line.split())[:_LONGEST_QUOTE]


class SessionLostMidway(Ambiguous):
    """The session turned out to be lost by a call that cannot be taken back."""

    code = "kwork_session_lost_midway"

    def __init__(self) -> None:
        super().__init__("Сессия Kwork пропала в момент отправки: выполнено ли действие, неизвестно.")


def page_refusal(page: str, path: str) -> VendorError:
    """The error for a page of HTML (or nothing) where something else was expected; ``path`` says where."""
    if not page.strip():
        return Unavailable("Kwork прислал пустой ответ.", code="kwork_empty_answer")
    words = _normal(page)
    if any(mark in words for mark in _BLOCK_MARKS):
        return Blocked(
            "Kwork закрыл доступ этому адресу или аккаунту: все запросы остановлены.", code="kwork_blocked"
        )
    if any(mark in words for mark in _MAINTENANCE_MARKS):
        return Maintenance("На Kwork идут технические работы.")
    return LayoutChanged("Kwork прислал неожиданную страницу.", path=path)


def _by_text(text: str) -> Refusal | None:
    words = _normal(text)
    return next((row for row in REFUSALS if any(part in words for part in row.fragments)), None)


def _by_number(number: int | None) -> Refusal | None:
    return next((row for row in REFUSALS if number in row.numbers), None)


def _normal(text: str) -> str:
    return " ".join(text.casefold().replace("ё", "е").split())
