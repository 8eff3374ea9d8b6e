"""The table of refusals: text or number in, our family and code out."""

from __future__ import annotations

import pytest

from app.domain.errors import (
    AuthExpired,
    Blocked,
    Challenge,
    ChallengeRequired,
    LayoutChanged,
    Maintenance,
    RateLimited,
    Rejected,
)
from app.marketplaces.kwork.errors import REFUSALS, CaptchaRequired, WrongPassword, refusal


@pytest.mark.parametrize(
    ("text", "number", "family", "code"),
    [
        ("", 118, CaptchaRequired, "kwork_captcha"),
        ("Подтвердите, что вы не робот", None, CaptchaRequired, "kwork_captcha"),
        ("ПОДТВЕРДИТЕ,  что\nвы не робот", 1, CaptchaRequired, "kwork_captcha"),
        (
            "Необходимо ввести последние 4 цифры номера телефона.",
            1,
            ChallengeRequired,
            "kwork_phone_digits",
        ),
        ("", 116, ChallengeRequired, "kwork_quiz"),
        ("Логин или пароль указаны неверно", 1, WrongPassword, "kwork_wrong_password"),
        ("Необходима авторизация", 1, AuthExpired, "kwork_session_lost"),
        ("Вам заблокирован доступ к сайту", None, Blocked, "kwork_blocked"),
        ("Идут технические работы", None, Maintenance, "kwork_maintenance"),
        ("Переписка запрещена", 1, Rejected, "kwork_dialog_forbidden"),
        ("Некорректные значения параметров", 1, Rejected, "kwork_bad_values"),
        ("Недостаточно параметров для метода API", 100, LayoutChanged, "kwork_parameters_changed"),
        ("", 100, LayoutChanged, "kwork_parameters_changed"),
        ("Метод API не найден", 404, LayoutChanged, "kwork_method_gone"),
        ("Разрешен только HTTP метод POST", 403, LayoutChanged, "kwork_method_gone"),
        ("Неизвестная ошибка", 1, Rejected, "kwork_refused"),
        ("", None, Rejected, "kwork_refused"),
        ("Необходима авторизация", 118, AuthExpired, "kwork_session_lost"),
    ],
)
def test_a_refusal_becomes_its_family(text: str, number: int | None, family: type, code: str) -> None:
    error = refusal(text, number)
    assert type(error) is family
    assert error.code == code
    assert error.detail


def test_challenges_name_what_a_person_must_do() -> None:
    asked = {
        refusal("вы не робот").challenge,  # type: ignore[attr-defined]
        refusal("последние 4 цифры").challenge,  # type: ignore[attr-defined]
        refusal("", 116).challenge,  # type: ignore[attr-defined]
    }
    assert asked == {Challenge.CAPTCHA, Challenge.PHONE_DIGITS, Challenge.QUIZ}


def test_only_a_person_mends_a_password() -> None:
    assert refusal("Логин или пароль указаны неверно").needs_person


def test_a_time_to_wait_comes_before_any_text() -> None:
    error = refusal("Переписка запрещена", 1, wait_seconds=10**9)
    assert isinstance(error, RateLimited)
    assert error.retry_after == 86400


def test_an_unknown_text_is_quoted_short_and_on_one_line() -> None:
    error = refusal("Слишком\nмного " * 100, 77)
    assert "код 77" in error.detail
    assert "\n" not in error.detail
    assert len(error.detail) < 250


def test_no_two_rows_claim_the_same() -> None:
    numbers = [number for row in REFUSALS for number in row.numbers]
    fragments = [part for row in REFUSALS for part in row.fragments]
    assert len(set(numbers)) == len(numbers)
    assert len(set(fragments)) == len(fragments)
    assert all(part == part.casefold().replace("ё", "е") for part in fragments)
    assert all(row.sure and row.sentence.endswith(".") for row in REFUSALS)
