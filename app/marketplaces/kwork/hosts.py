"""Which addresses are Kwork's own."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit


class KworkHosts:
    """Kwork's site and its subdomains; on a loopback address (the stand-in) only that very host."""

    def __init__(self, web_url: str) -> None:
        self._site = urlsplit(web_url)
        self._home = self._site.hostname or ""
        self._is_local = _is_loopback(self._home)
        self._family = "." + self._home.removeprefix("www.")

    @property
    def is_local(self) -> bool:
        return self._is_local

    def is_home(self, host: str) -> bool:
        """The very host that Kwork's pages come from."""
        return host == self._home

    def is_family(self, host: str) -> bool:
        return self.is_home(host) or (not self._is_local and ("." + host).endswith(self._family))

    def owns(self, url: str) -> bool:
        """May something be fetched from there? The site at its own port, its subdomains at the usual one, both by the
        site's scheme.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", _port(parts)
        except ValueError:
            return False
        if parts.scheme != self._site.scheme or parts.username or parts.password:
            return False
        if self.is_home(host):
            return port == _port(self._site)
        return self.is_family(host) and port == _USUAL_PORTS.get(parts.scheme)


_USUAL_PORTS = {"https": 443, "http": 80}


def _port(parts: SplitResult) -> int | None:
    return parts.port or _USUAL_PORTS.get(parts.scheme)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
