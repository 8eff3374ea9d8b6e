"""Signing in and out, the bridge to the web, the account's own profile."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import quote

from app.domain.errors import AuthExpired, Challenge, ChallengeRequired, Invalid, Rejected
from app.domain.kwork import MobileSession, OwnProfile
from app.marketplaces.kwork.mobile.calls import Calls
from app.marketplaces.kwork.mobile.readers import address, flag
from app.marketplaces.kwork.values import Fields, count, identifier, integer, label, signed_kopecks, text

_LONGEST_LIFE = timedelta(days=2 * 366)


class SignedIn:
    """Fields of ``/signIn``."""

    TOKEN = "token"  # [LIVE]  # noqa: S105 - a field's name
    LIFE = "expired"  # seconds; 2 592 000 [SPEC], 31 536 000 [LIVE]
    TWO_FACTOR = "need_2fa"  # [LIVE], meaning unsure


class Actor:
    """Fields of ``/actor``."""

    ID = "id"  # [LIVE]
    USERNAME = "username"  # [LIVE]
    FULL_NAME = "fullname"  # [SPEC]
    PICTURE = "profilepicture"  # [SPEC] a path
    UNREAD = "unread_messages_count"  # [LIVE]
    NOTICES = "notify_unread_count"  # [LIVE]
    FREE = "free_amount"  # [LIVE] roubles
    HELD = "hold_amount"  # [LIVE] roubles
    GIGS = "kworks_count"  # [LIVE]


async def sign_in(
    calls: Calls,
    login: str,
    password: str,
    *,
    uad: str,
    phone_last: str | None = None,
    captcha_response: str | None = None,
    recaptcha_pass_token: str | None = None,
) -> MobileSession:
    """A new session, tied to the device id ``uad``. Kwork bears few sign-ins: the caller minds the pause.

    ``captcha_response`` is what a person got at ``kwork.ru/captcha_only``. Raises ``ChallengeRequired``
    (captcha, phone digits, quiz, second factor) and ``WrongPassword``.
    """
    envelope = await calls.call(
        "signIn",
        {
            "login": login,
            "password": password,
            "uad": uad,
            "phone_last": phone_last,
            "g-recaptcha-response": captcha_response,
            "recaptcha_pass_token": recaptcha_pass_token,
        },
    )
    fields = envelope.record()
    if fields.may(flag, SignedIn.TWO_FACTOR):
        raise ChallengeRequired(
            "Kwork просит второй шаг входа: подтвердите вход на сайте или в приложении.",
            challenge=Challenge.TWO_FACTOR,
            code="kwork_two_factor",
        )
    token = fields.need(label, SignedIn.TOKEN)
    return MobileSession(token=token, uad=uad, expires_at=_expires(fields, calls.now()))


async def sign_out(calls: Calls) -> None:
    """Ends the session on Kwork; one that had ended already is fine."""
    try:
        await calls.call("logout")
    except (AuthExpired, Rejected):
        return


async def web_auth_url(calls: Calls, redirect: str) -> str:
    """A one-time address that signs a browser in to the web: good for one minute [SPEC]. A secret.

    ``redirect`` is the page to land on, a path. The address is built here, whatever host Kwork names.
    """
    if not redirect.startswith("/") or redirect.startswith("//"):
        raise Invalid("The page to land on must be a path of Kwork's site", field="redirect")
    fields = (await calls.call("getWebAuthToken", {"url_to_redirect": redirect})).record()
    token = quote(fields.need(label, "token"), safe="")
    return f"{calls.web_url}/login-by-token?web_auth_token={token}"


async def own_profile(calls: Calls) -> OwnProfile:
    """The account itself. Connects are not told here: see ``exchange.connects``."""
    fields = (await calls.call("actor")).record()
    return OwnProfile(
        user_id=fields.need(identifier, Actor.ID),
        username=fields.need(label, Actor.USERNAME),
        full_name=fields.may(text, Actor.FULL_NAME),
        picture_url=fields.may(address(calls.web_url), Actor.PICTURE),
        unread_messages=fields.may(count, Actor.UNREAD),
        unread_notifications=fields.may(count, Actor.NOTICES),
        free_kopecks=fields.may(signed_kopecks, Actor.FREE),
        held_kopecks=fields.may(signed_kopecks, Actor.HELD),
        gigs=fields.may(count, Actor.GIGS),
    )


async def channel(calls: Calls) -> str:
    """Name of the account's websocket channel [SPEC]. A secret: it alone opens the channel."""
    return (await calls.call("getChannel")).record().need(label, "channel")


def _expires(fields: Fields, now: datetime) -> datetime | None:
    seconds = fields.may(integer, SignedIn.LIFE)
    if seconds is None or not 0 < seconds <= _LONGEST_LIFE.total_seconds():
        return None
    return now + timedelta(seconds=seconds)
