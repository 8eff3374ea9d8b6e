"""Local users of a tenant."""

from __future__ import annotations

import re

from app.core.database import Database
from app.core.passwords import MAX_PASSWORD_CHARACTERS, Passwords
from app.domain.access import TENANT_ID, Role, User
from app.domain.errors import Conflict, Invalid
from app.repositories.tenants import Tenants
from app.repositories.users import Users

MIN_PASSWORD_CHARACTERS = 10
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,255}")


async def create_user(
    database: Database, passwords: Passwords, *, email: str, password: str, role: Role, tenant_id: str
) -> User:
    """A new local user; the tenant is made when it is new.

    Raises ``Invalid`` (e-mail, password, tenant id) or ``Conflict`` (``user_exists``), each with a Russian
    sentence.
    """
    email = email.strip()
    _check(email, password, tenant_id)
    hashed = await passwords.hash(password)
    async with database.tenant(tenant_id) as scope:
        await Tenants(scope.connection).ensure(tenant_id)
        user = await Users(scope).add(email, hashed, role)
    if user is None:
        raise Conflict(
            f"Пользователь с адресом {email} у тенанта «{tenant_id}» уже есть.", code="user_exists"
        )
    return user


def _check(email: str, password: str, tenant_id: str) -> None:
    if not _EMAIL.fullmatch(email):
        raise Invalid("Адрес почты записан неверно.", field="email", code="email_malformed")
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise Invalid(
            f"Пароль короткий: нужно не меньше {MIN_PASSWORD_CHARACTERS} символов.",
            field="password",
            code="password_too_short",
        )
    if len(password) > MAX_PASSWORD_CHARACTERS:
        raise Invalid(
            f"Пароль длинный: допустимо не больше {MAX_PASSWORD_CHARACTERS} символов.",
            field="password",
            code="password_too_long",
        )
    if password.lower() == email.lower():
        raise Invalid("Пароль совпадает с адресом почты.", field="password", code="password_is_email")
    if not TENANT_ID.fullmatch(tenant_id):
        raise Invalid(
            "Идентификатор тенанта: 1–64 символа, латинские буквы, цифры и . _ : @ -",
            field="tenant_id",
            code="tenant_malformed",
        )
