"""Sign-in and out, the bridge to the web, the websocket channel."""

from __future__ import annotations

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import (
    Answer,
    bad_values,
    captcha_needed,
    done,
    found,
    phone_digits_needed,
    wrong_credentials,
)
from sandbox.world import queries
from sandbox.world.model import Account

_TIMEZONES = (
    (12, "+02:00", "Калининград"),
    (13, "+03:00", "Москва"),
    (14, "+04:00", "Самара"),
    (15, "+05:00", "Екатеринбург"),
    (16, "+06:00", "Омск"),
    (17, "+07:00", "Новосибирск"),
    (18, "+08:00", "Иркутск"),
    (19, "+09:00", "Якутск"),
    (20, "+10:00", "Владивосток"),
)


def sign_in(call: Call) -> Answer:
    """`login` (e-mail or user name), `password`; captcha and phone digits when Kwork wants them.

    `response{token, expired, need_2fa}`, `expired` in seconds [LIVE]."""
    login, password = call.parameters.needed_text("login"), call.parameters.needed_text("password")
    pass_token = _let_through_captcha(call)
    account = queries.find_account(call.world, login)
    if account is None or account.password != password:
        call.entry.decide("sign-in refused", login=login)
        raise wrong_credentials()
    _check_phone(call, account)
    token, life = call.world.sessions.open_mobile(account.user_id)
    call.entry.account = account.username
    call.entry.decide("signed in")
    beside = {"recaptcha_pass_token": pass_token} if pass_token else {}
    return found({"token": token, "expired": life, "need_2fa": False}, **beside)


def _let_through_captcha(call: Call) -> str:
    """Error 118 until the captcha is answered; a pass token that was earned so spares the next one."""
    passes = call.world.sessions.captcha_passes
    pass_token = call.parameters.text("recaptcha_pass_token")
    if call.parameters.text("g-recaptcha-response").strip():
        pass_token = pass_token if pass_token in passes else call.world.sessions.new_captcha_pass()
        passes[pass_token] = True
        return pass_token
    if not passes.get(pass_token) and call.faults.take("captcha"):
        call.entry.decide("captcha demanded")
        raise captcha_needed(call.world.sessions.new_captcha_pass())
    return ""


def _check_phone(call: Call, account: Account) -> None:
    digits = call.parameters.text("phone_last").strip()
    is_wrong = digits != account.phone_digits
    if (digits and is_wrong) or (is_wrong and call.faults.take("phone_digits")):
        call.entry.decide("phone digits demanded")
        raise phone_digits_needed()


def logout(call: Call) -> Answer:
    call.me()
    call.world.sessions.mobile.pop(call.parameters.text("token"), None)
    return done()


def web_auth_token(call: Call) -> Answer:
    """A one-time token for `/login-by-token` on the web surface, good for a minute [SPEC]."""
    target = call.parameters.text("url_to_redirect")
    if target and not target.startswith("/"):
        raise bad_values()
    bridge = call.world.sessions.open_bridge(call.me().user_id, target or "/")
    return found(
        {
            "token": bridge.token,
            "expires_at": int(bridge.expires_at),
            "url": f"{call.web_url}/login-by-token?web_auth_token={bridge.token}",
            "url_to_redirect": target or "/",
        }
    )


def channel(call: Call) -> Answer:
    return found({"channel": queries.channel_of(call.world, call.me().user_id)})


def captcha_status(call: Call) -> Answer:
    call.me()
    return found({"show_captcha": False})


def offline(call: Call) -> Answer:
    account = call.me()
    account.is_online, account.live_at = False, call.now
    return done()


def timezones(call: Call) -> Answer:
    return found([{"id": number, "utc_offset": offset, "name": name} for number, offset, name in _TIMEZONES])


METHODS: Methods = {
    "signIn": Method(sign_in, is_open=True),
    "logout": Method(logout),
    "getWebAuthToken": Method(web_auth_token),
    "getChannel": Method(channel),
    "getCaptchaStatus": Method(captcha_status),
    "offline": Method(offline),
    "timezones": Method(timezones, is_open=True),
}
