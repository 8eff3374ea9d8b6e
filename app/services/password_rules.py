"""What is taken for an e-mail, a password and a tenant's id. Every refusal is a Russian sentence without the value."""

from __future__ import annotations

import re

from app.core.passwords import MAX_PASSWORD_CHARACTERS
from app.domain.access import TENANT_ID
from app.domain.errors import Invalid

MIN_PASSWORD_CHARACTERS = 10
_LEAST_DIFFERENT = 5
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,255}")
_RUNS = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "йцукенгшщзхъфывапролджэячсмитьбю",
)
_KNOWN = frozenset({"password", "passw0rd", "qwerty", "administrator", "letmein", "welcome", "iloveyou", "пароль", "kwork"})  # fmt: skip
"""Guessed first, with whatever digits and signs around them."""


def check_email(email: str) -> None:
    """Raises ``Invalid`` (``email_malformed``)."""
    if not _EMAIL.fullmatch(email):
        raise Invalid("Адрес почты записан неверно.", field="email", code="email_malformed")


def check_password(password: str, email: str) -> None:
    """Long enough and not among what is guessed first. Raises ``Invalid``."""
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise _weak(f"Пароль короткий: нужно не меньше {MIN_PASSWORD_CHARACTERS} символов.", "too_short")
    if len(password) > MAX_PASSWORD_CHARACTERS:
        raise _weak(f"Пароль длинный: допустимо не больше {MAX_PASSWORD_CHARACTERS} символов.", "too_long")
    if any(ord(character) < 32 or "\ud800" <= character <= "\udfff" for character in password):
        raise _weak("В пароле недопустимые символы: перевод строки, табуляция и подобные.", "malformed")
    folded = password.casefold()
    if folded in (email.casefold(), email.casefold().partition("@")[0]):
        raise _weak("Пароль совпадает с адресом почты.", "is_email")
    if _is_guessed_first(folded):
        raise _weak(
            "Такой пароль подбирают одним из первых. Возьмите несколько несвязанных слов.", "too_common"
        )


def check_tenant_id(tenant_id: str) -> None:
    """Raises ``Invalid`` (``tenant_malformed``)."""
    if not TENANT_ID.fullmatch(tenant_id):
        raise Invalid(
            "Идентификатор тенанта: 1–64 символа, латинские буквы, цифры и . _ : @ -",
            field="tenant_id",
            code="tenant_malformed",
        )


def _is_guessed_first(folded: str) -> bool:
    return (
        len(set(folded)) < _LEAST_DIFFERENT
        or any(folded in run or folded[::-1] in run for run in _RUNS)
        or re.sub(r"[\W\d_]+", "", folded) in _KNOWN
    )


def _weak(sentence: str, reason: str) -> Invalid:
    return Invalid(sentence, field="password", code=f"password_{reason}")
