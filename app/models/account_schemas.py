"""What the API takes and gives about Kwork accounts. Neither password nor session is ever given."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AliasChoices, BaseModel, Field, model_validator

from app.domain.accounts import AccountState, Capability
from app.domain.kwork import Surface
from app.models.schemas import Exact, In, Line, Secret, Text


class AccountIn(In):
    """A Kwork account to connect."""

    title: Line | None = Field(
        None,
        max_length=200,
        validation_alias=AliasChoices("title", "name"),
        description="For people; the login when left out.",
        examples=["Студия, основной"],
    )
    login: Line = Field(
        max_length=200,
        validation_alias=AliasChoices("login", "username", "email"),
        description="E-mail or name on Kwork.",
        examples=["seller@example.com"],
    )
    password: Secret | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Kept encrypted, never shown. Without it a session must be brought.",
        examples=["kwork password"],
    )
    sign_in: bool = Field(True, description="Sign in by the browser right away and wait for it.")


class AccountChange(In):
    """What to change; what is left out stays."""

    title: Line | None = Field(None, max_length=200, validation_alias=AliasChoices("title", "name"))
    login: Line | None = Field(
        None, max_length=200, validation_alias=AliasChoices("login", "username", "email")
    )
    password: Secret | None = Field(None, min_length=1, max_length=500)


class AnswerIn(Exact):
    """What Kwork asks a person for at the mobile sign-in."""

    phone_last: str | None = Field(None, pattern=r"^\d{4}$", description="Last four digits of the phone.")
    captcha_response: Text | None = Field(None, min_length=1, max_length=8192)
    recaptcha_pass_token: Text | None = Field(None, min_length=1, max_length=8192)


class SessionIn(Exact):
    """Nothing: sign in again. Or one of: an answer, cookies, a Playwright ``storage_state``."""

    answer: AnswerIn | Annotated[str, Field(pattern=r"^\d{4}$")] | None = Field(
        None, description="The phone's last four digits as text, or an object.", examples=["1234"]
    )
    phone_last: str | None = Field(None, pattern=r"^\d{4}$", description="Short for `answer.phone_last`.")
    cookies: list[dict[str, Any]] | None = Field(
        None, max_length=300, description="Exported from a browser that is signed in to Kwork."
    )
    storage_state: dict[str, Any] | None = Field(None, description="As Playwright saves it.")
    user_agent: Text | None = Field(
        None, max_length=500, description="Of the browser that the cookies or the state come from."
    )

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        given = [self.answer, self.phone_last, self.cookies, self.storage_state]
        if sum(part is not None for part in given) > 1:
            raise ValueError("укажите что-то одно: answer, cookies или storage_state")
        return self

    def the_answer(self) -> AnswerIn | None:
        """The answer, however it was written."""
        if isinstance(self.answer, AnswerIn):
            return self.answer
        digits = self.answer or self.phone_last
        return AnswerIn(phone_last=digits) if digits else None


class PauseIn(Exact):
    """True: no traffic to Kwork for this account until it is false again."""

    paused: bool


class CapabilityOut(BaseModel):
    """Whether an account can do something, through which surface, and if not: why and what helps."""

    available: bool
    surface: Surface | None
    reason: str | None = Field(description="A Russian sentence.")


class AccountOut(BaseModel):
    """A Kwork account. Neither its password nor its session is ever shown."""

    id: UUID
    title: str = Field(examples=["Студия, основной"])
    login: str = Field(examples=["seller@example.com"])
    username: str | None = Field(description="The name on Kwork, once signed in.", examples=["studio"])
    kwork_user_id: int | None = Field(examples=[1048576])
    state: AccountState
    state_code: str | None = Field(description="Stable: why it is not connected.", examples=["captcha"])
    what_to_do: str | None = Field(description="A Russian sentence: what happened and what to do.")
    needs_person: bool = Field(description="Nothing goes on until a person acts.")
    state_since: datetime | None
    blocked_until: datetime | None
    last_checked_at: datetime | None
    created_at: datetime


class AccountCard(AccountOut):
    """An account with what it can be asked for."""

    capabilities: dict[Capability, CapabilityOut]


class SignInOut(BaseModel):
    """How the sign-in asked for went, when it did not end in a state of the account."""

    code: str = Field(description="Stable.", examples=["sign_in_too_soon"])
    detail: str = Field(description="A Russian sentence.")
    retryable: bool
    retry_after: int | None = Field(description="Seconds to wait.")


class AccountAdded(AccountCard):
    """The saved account. ``sign_in_problem``: why signing in could not be tried to its end, if so."""

    sign_in_problem: SignInOut | None = None
