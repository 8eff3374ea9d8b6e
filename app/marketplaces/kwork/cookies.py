"""Cookies of one account on one host, in and out in Playwright's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http.cookiejar import Cookie

import httpx2


class CookieJar:
    """Keeps only what belongs to ``host``: a browser's storage also holds strangers' cookies."""

    def __init__(self, host: str, cookies: Sequence[Mapping[str, object]]) -> None:
        self._cookies = httpx2.Cookies()
        for cookie in cookies:
            if _belongs(str(cookie.get("domain") or host), host):
                self._cookies.jar.set_cookie(_jar_cookie(cookie, host))

    def attach(self, request: httpx2.Request) -> None:
        self._cookies.set_cookie_header(request)

    def keep(self, response: httpx2.Response) -> None:
        self._cookies.extract_cookies(response)

    def export(self) -> tuple[Mapping[str, object], ...]:
        return tuple(_playwright_cookie(cookie) for cookie in self._cookies.jar if not cookie.is_expired())


def _belongs(domain: str, host: str) -> bool:
    return ("." + host).endswith("." + domain.lstrip("."))


def _jar_cookie(cookie: Mapping[str, object], host: str) -> Cookie:
    domain = str(cookie.get("domain") or host)
    expires = cookie.get("expires")
    lasting = isinstance(expires, (int, float)) and not isinstance(expires, bool) and expires > 0
    return Cookie(
        version=0,
        name=str(cookie["name"]),
        value=str(cookie["value"]),
        port=None,
        port_specified=False,
        domain=domain if "." in domain else f"{domain}.local",  # http.cookiejar's name for dotless hosts
        domain_specified=domain.startswith("."),
        domain_initial_dot=domain.startswith("."),
        path=str(cookie.get("path") or "/"),
        path_specified=True,
        secure=bool(cookie.get("secure")),
        expires=int(expires) if lasting else None,  # type: ignore[call-overload]
        discard=not lasting,
        comment=None,
        comment_url=None,
        rest={"HttpOnly": ""} if cookie.get("httpOnly") else {},
    )


def _playwright_cookie(cookie: Cookie) -> Mapping[str, object]:
    return {
        "name": cookie.name,
        "value": cookie.value or "",
        "domain": cookie.domain.removesuffix(".local"),
        "path": cookie.path,
        "expires": cookie.expires if cookie.expires is not None else -1,
        "httpOnly": cookie.has_nonstandard_attr("HttpOnly"),
        "secure": cookie.secure,
        "sameSite": "Lax",
    }
