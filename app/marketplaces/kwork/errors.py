"""Kwork's refusals as our errors: one table for both surfaces, by text first, then by number.

The numbers of most refusals are not known, so texts decide (FACTS B2). Marks say how surely a row is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.errors import (
    AuthExpired,
    Blocked,
    Challenge,
    ChallengeRequired,
    LayoutChanged,
    Maintenance,
    RateLimited,
    Rejected,
    Unavailable,
    VendorError,
)

Maker = Callable[[str, str], VendorError]

MAX_WAIT_SECONDS = 24 * 3600.0
_LONGEST_QUOTE = 200


class WrongPassword(Rejected):
    """Kwork does not accept the login and password: a person must correct them."""

    code = "kwork_wrong_password"
    needs_person = True


class CaptchaRequired(ChallengeRequired):
    """A person must solve the captcha. ``pass_token`` goes along with the solution, should Kwork have given one."""

    code = "kwork_captcha"
    pass_token: str | None = None


def _captcha(detail: str, code: str) -> CaptchaRequired:
    return CaptchaRequired(detail, challenge=Challenge.CAPTCHA, code=code)


def _challenge(challenge: Challenge) -> Maker:
    return lambda detail, code: ChallengeRequired(detail, challenge=challenge, code=code)


def _plain(family: type[VendorError]) -> Maker:
    return lambda detail, code: family(detail, code=code)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way in which Kwork says no. ``fragments`` are lower-case pieces of its text, ``ё`` as ``е``."""

    make: Maker
    code: str
    sentence: str
    sure: str
    fragments: tuple[str, ...] = ()
    numbers: frozenset[int] = frozenset()

    def error(self) -> VendorError:
        return self.make(self.sentence, self.code)


REFUSALS = (
    Refusal(
        _captcha,
        "kwork_captcha",
        "Kwork просит подтвердить, что это не робот: откройте https://kwork.ru/captcha_only и пройдите проверку.",
        "LIVE/SPEC",
        ("вы не робот", "капч", "captcha"),
        frozenset({118}),
    ),
    Refusal(
        _challenge(Challenge.PHONE_DIGITS),
        "kwork_phone_digits",
        "Kwork просит последние 4 цифры номера телефона, указанного в профиле.",
        "LIVE",
        ("последние 4 цифры", "последние четыре цифры"),
    ),
    Refusal(
        _challenge(Challenge.QUIZ),
        "kwork_quiz",
        "Kwork просит пройти опрос о защите от мошенников: пройдите его на сайте или в приложении.",
        "SPEC",
        ("антифишинг", "мошенник"),
        frozenset({116}),
    ),
    Refusal(
        _plain(WrongPassword),
        "kwork_wrong_password",
        "Kwork не принял логин или пароль: исправьте их в настройках аккаунта.",
        "LIVE",
        ("логин или пароль указаны неверно", "неверный логин или пароль", "неверный пароль"),
    ),
    Refusal(
        _plain(AuthExpired),
        "kwork_session_lost",
        "Сессия Kwork закончилась: нужно войти заново.",
        "LIVE",
        ("необходима авторизация", "необходимо авторизоваться"),
    ),
    Refusal(
        _plain(Blocked),
        "kwork_blocked",
        "Kwork закрыл доступ этому адресу или аккаунту: все запросы остановлены.",
        "LIVE",
        ("заблокирован доступ", "аккаунт заблокирован", "доступ заблокирован"),
    ),
    Refusal(
        _plain(Maintenance),
        "kwork_maintenance",
        "На Kwork идут технические работы.",
        "LIVE",
        ("технические работы", "технических работ"),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_dialog_forbidden",
        "Kwork запрещает переписку с этим пользователем.",
        "LIVE",
        ("переписка запрещена",),
    ),
    Refusal(
        _plain(Rejected),
        "kwork_bad_values",
        "Kwork не принял значения: такой записи нет, или она не видна этому аккаунту.",
        "LIVE",
        ("некорректные значения параметров",),
    ),
    Refusal(
        lambda detail, code: LayoutChanged(detail, path="parameters", code=code),
        "kwork_parameters_changed",
        "Kwork ждёт других параметров: изменился его API.",
        "LIVE/SPEC",
        ("недостаточно параметров",),
        frozenset({100}),
    ),
    Refusal(
        lambda detail, code: LayoutChanged(detail, path="method", code=code),
        "kwork_method_gone",
        "Такого метода у Kwork больше нет: изменился его API.",
        "LIVE",
        ("метод api не найден", "разрешен только http метод"),
        frozenset({404}),
    ),
)

UNKNOWN_REFUSAL_CODE = "kwork_refused"

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
    row = _by_text(text) or _by_number(number)
    if row is not None:
        return row.error()
    said = " ".join(text.split())[:_LONGEST_QUOTE]
    about = f" (код {number})" if number is not None else ""
    return Rejected(f"Kwork отказал{about}: {said or 'без объяснения'}", code=UNKNOWN_REFUSAL_CODE)


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
