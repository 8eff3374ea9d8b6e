"""Whom a page of Kwork may talk to in our browser: Kwork and the makers of its captcha, nobody else.

Trackers, advertising and fonts are left out: they cost seconds and tell strangers about a sign-in. The
captcha is let through whole, so that it can decide as it would for anybody: it is never answered by us.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Route

from app.marketplaces.kwork.hosts import KworkHosts

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
        self._kwork = KworkHosts(web_url)

    def allows(self, url: str) -> bool:
        parts = urlsplit(url)
        if parts.scheme in ("data", "blob", "about"):
            return True
        host = parts.hostname or ""
        return self._kwork.is_family(host) or (not self._kwork.is_local and host in _CAPTCHA_HOSTS)

    async def guard(self, context: BrowserContext) -> None:
        """Aborts every other request of the context."""
        await context.route(lambda url: not self.allows(url), _abort)


async def _abort(route: Route) -> None:
    await route.abort("blockedbyclient")
