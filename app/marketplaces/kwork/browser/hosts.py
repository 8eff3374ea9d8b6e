"""Whom a page of Kwork may talk to in our browser: Kwork and the makers of its captcha, nobody else.

Trackers, advertising and fonts are left out: they cost seconds and tell strangers about a sign-in. The
captcha is let through whole, so that it can decide as it would for anybody: it is never answered by us.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Route

_CAPTCHA_HOSTS = (
    "smartcaptcha.yandexcloud.net",
    "smartcaptcha.cloud.yandex.ru",
    "captcha-api.yandex.ru",
    "yastatic.net",
    "www.google.com",
    "www.gstatic.com",
    "www.recaptcha.net",
)


class AllowedHosts:
    """Built from Kwork's web address; on a loopback address (the stand-in) only that very host."""

    def __init__(self, web_url: str) -> None:
        self._home = urlsplit(web_url).hostname or ""
        self._is_local = _is_loopback(self._home)
        self._family = "." + self._home.removeprefix("www.")

    def allows(self, url: str) -> bool:
        parts = urlsplit(url)
        if parts.scheme in ("data", "blob", "about"):
            return True
        host = parts.hostname or ""
        if host == self._home:
            return True
        return not self._is_local and (("." + host).endswith(self._family) or host in _CAPTCHA_HOSTS)

    async def guard(self, context: BrowserContext) -> None:
        """Aborts every other request of the context."""
        await context.route(lambda url: not self.allows(url), _abort)


async def _abort(route: Route) -> None:
    await route.abort("blockedbyclient")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
