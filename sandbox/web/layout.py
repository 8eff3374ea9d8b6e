"""The shell of every page: head, configuration in scripts, header, the state object."""

import html as escaping
from typing import Any

from sandbox.web.assets import address
from sandbox.web.php import php_json
from sandbox.web.visit import Visit
from sandbox.world import queries
from sandbox.world.clock import moscow

# Keys as a real page shows them; the values are invented.
CAPTCHA_CONFIG = {
    "recaptchaSiteKey": "6Lsandbox0000000000000000000000000000v2",
    "recaptchaV3SiteKey": "6Lsandbox0000000000000000000000000000v3",
    "isYandexSmartCaptcha": True,
    "yandexSmartCaptchaSiteKey": "ysc1_sandbox000000000000000000000000000000",
    "yandexSmartCaptchaFieldName": "smart-token",
    "yandexSmartCaptchaScript": "https://smartcaptcha.yandexcloud.net/captcha.js",  # named, never loaded here
}
TECHNICAL_WORKS = (
    "Внимание! Каждый день с 7:00 до 8:00 по московскому времени возможны плановые технические работы."
)

_MENU = "".join(
    f'<li class="header-menu__item"><a href="{address}">{title}</a></li>'
    for address, title in (
        ("/projects", "Биржа"),
        ("/manage_orders", "Заказы"),
        ("/manage_kworks", "Кворки"),
        ("/inbox", "Сообщения"),
    )
)
_FOOTER = (
    '<footer class="footer"><div class="footer__inner">© Kwork</div></footer>\n'
    "<script>(function(w){var q=w.kmq=w.kmq||[];w.kmTrack=function(n,d){q.push({n:n,d:d||{}})};}(window))"
    ";</script>\n</body></html>\n"
).encode()


def render(
    visit: Visit,
    title: str,
    body: bytes | str,
    *,
    state: bytes | None = None,
    window: dict[str, Any] | None = None,
    script: str = "",
    linked: str = "",
) -> bytes:
    """A page. `state`: the encoded `window.stateData`; `window`: further assignments; `linked`: an asset's name,
    a script that runs before `script`.
    """
    content = body if isinstance(body, bytes) else body.encode()
    head = (
        f'<!DOCTYPE html>\n<html lang="ru"><head><meta charset="UTF-8"><title>{escaping.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="{address("app.css")}"></head>\n'
        f'<body class="{"is_not_auth" if visit.account is None else "is_auth is_worker"}">\n<script>'
    ).encode()
    variables = b"".join(
        b"window.%s=%s;" % (name.encode(), php_json(value, escaped=True))
        for name, value in {**_window(visit), **(window or {})}.items()
    )
    chunks = [head, variables, b"</script>\n", _header(visit)]
    if state is not None:
        chunks += [b"<script>window.stateData=", state, b";</script>\n"]
    chunks += [b'<div id="app" class="page-wrapper">', content, b"</div>\n"]
    if linked:
        chunks.append(f'<script src="{address(linked)}"></script>\n'.encode())
    if script:
        chunks.append(f"<script>{script}</script>\n".encode())
    return b"".join([*chunks, _FOOTER])


def _window(visit: Visit) -> dict[str, Any]:
    """Signed out: USER_ID an empty string, actorType and csrftoken null [CAP]."""
    account, now = visit.account, visit.world.clock.now()
    known: dict[str, Any] = {
        "USER_ID": account.user_id if account else "",
        "USER_LOGIN": account.username if account else "",
        "actorType": "worker" if account else None,
        "csrftoken": visit.session.csrf if visit.session else None,
        "ORIGIN_URL": visit.site.settings.told_web_url,
        "CANONICAL_ORIGIN_URL": visit.site.settings.told_web_url,
        "serverTime": int(now),
        "serverTimeMsk": moscow(now),
        "technicalWorksText": TECHNICAL_WORKS,
        "pageConfig": CAPTCHA_CONFIG,
        **CAPTCHA_CONFIG,
    }
    if account:
        known["pullModuleSettings"] = {
            "host": f"{visit.site.settings.told_notice_url}/",
            "channelId": queries.channel_of(visit.world, account.user_id),
            "userId": account.user_id,
        }
    return known


def _header(visit: Visit) -> bytes:
    account = visit.account
    if account is None:
        who = '<a class="header__login" href="/login">Вход</a>'
    else:
        who = f'<a class="header__username" href="/user/{account.username}">{account.username}</a>'
    return f'<header class="header"><ul class="header-menu">{_MENU}</ul>{who}</header>\n'.encode()


def message_page(visit: Visit, title: str, text: str) -> bytes:
    """A page with one sentence, e.g. for what is no longer there."""
    body = f'<div class="page-error"><h1>{escaping.escape(title)}</h1><p>{escaping.escape(text)}</p></div>'
    return render(visit, title, body)


def text_html(stored: str) -> str:
    """A stored text (escaped already) as markup."""
    return stored.replace("\n", "<br>\n")


def roubles(value: float) -> str:
    """«1 500 ₽» with the non-breaking spaces that Kwork prints."""
    return f"{int(value):,}".replace(",", "&nbsp;") + "&nbsp;₽"
