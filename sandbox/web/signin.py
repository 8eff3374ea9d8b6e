"""Signing in: the login page with its script, its JSON call, the bridge from a mobile token (A1, A3)."""

from typing import Any

from starlette.responses import Response

from sandbox.web.layout import CAPTCHA_CONFIG, message_page, render
from sandbox.web.login_script import CAPTCHA_ONLY_SCRIPT, LOGIN_SCRIPT
from sandbox.web.visit import Visit, answer, html, redirect
from sandbox.world import queries
from sandbox.world.model import Account

WRONG_PASSWORD = "Логин или пароль указаны неверно"
CAPTCHA_NEEDED = "Подтвердите, что вы не робот"
SOLVED = ("dD0", "03A")  # how answers of the page's two captcha widgets begin


async def login_page(visit: Visit) -> Response:
    if visit.account:
        return redirect("/")
    demanded = any(f.kind == "captcha" for f in visit.faults.found) or _captcha_waits(visit)
    body = '<div class="auth-page"><div id="auth-form" class="auth-form"></div></div>'
    window = {"authConfig": {"showCaptcha": demanded, **CAPTCHA_CONFIG}}
    return html(render(visit, "Вход на Kwork", body, window=window, script=LOGIN_SCRIPT))


def _captcha_waits(visit: Visit) -> bool:
    """Is a captcha switched on for the call behind the form?"""
    name = visit.entry.account
    found = visit.site.faults.for_request("web", "POST", "/api/user/login", name).found
    return any(f.kind == "captcha" for f in found)


async def login(visit: Visit) -> Response:
    form = visit.incoming.form
    solved = str(form.get("smart-token", "")) or str(form.get("g-recaptcha-response", ""))
    if not solved.startswith(SOLVED) and visit.faults.take("captcha"):
        visit.entry.decide("captcha demanded")
        return answer(_verdict(CAPTCHA_NEEDED))
    account = queries.find_account(visit.world, str(form.get("l_username", "")))
    if account is None or form.get("l_password") != account.password:
        visit.entry.decide("wrong login or password")
        return answer(_verdict(WRONG_PASSWORD))
    _enter(visit, account)
    visit.entry.decide("signed in")
    return answer(_verdict("", csrf=visit.session.csrf if visit.session else None))


def _verdict(error: str, csrf: str | None = None) -> dict[str, Any]:
    return {
        "success": not error,
        "error": error,
        "redirect": "" if error else "/",
        "action_after": "",
        "isUserVerified": not error,
        "csrftoken": csrf,
    }


def _enter(visit: Visit, account: Account, *, with_csrf: bool = True) -> None:
    if visit.session:
        visit.world.sessions.close_web(visit.session.id, forget=False)
    session = visit.world.sessions.open_web(account.user_id, visit.incoming.cookies.get("uad", ""))
    visit.enter(session, with_csrf=with_csrf)


async def login_by_token(visit: Visit) -> Response:
    """Sets the session's cookies; `csrf_user_token` appears with the page opened next [SPEC]."""
    bridge = visit.world.sessions.cross_bridge(visit.incoming.query.get("web_auth_token", ""))
    if bridge is None or bridge.account_id not in visit.world.accounts:
        visit.entry.decide("token unknown, used or too old")
        return redirect("/login")
    _enter(visit, visit.world.accounts[bridge.account_id], with_csrf=False)
    visit.entry.decide("signed in by token")
    target = bridge.url_to_redirect
    inside = target.startswith("/") and not target.startswith("//")
    return redirect(target if inside or target.startswith(visit.site.settings.told_web_url + "/") else "/")


async def logout(visit: Visit) -> Response:
    if visit.session:
        visit.world.sessions.close_web(visit.session.id)
        visit.leave()
    return redirect("/")


async def captcha_only(visit: Visit) -> Response:
    """reCAPTCHA for the mobile sign-in; the answer appears in the page's `#response=` hash [LIVE]."""
    body = '<div class="g-recaptcha" data-sitekey="' + str(CAPTCHA_CONFIG["recaptchaSiteKey"]) + '"></div>'
    if visit.incoming.query.get("error"):
        return html(message_page(visit, "Проверка", CAPTCHA_NEEDED))
    return html(render(visit, "Проверка — Kwork", body, script=CAPTCHA_ONLY_SCRIPT))
