"""Which addresses a tenant may let the service call.

An address is judged twice: by its spelling when it is set, and by what its name resolves to at every single call. The
call then goes to exactly the address that was judged, so a name that changes its mind in between gains nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote, urlsplit

import httpx2

from app.domain.errors import Invalid

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port → addresses as text. Raises ``OSError`` when the name is unknown."""

LONGEST_URL = 2000
_RESOLVE_SECONDS = 5.0
_MOST_ADDRESSES = 32

_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_INSIDE = (
    "localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa",
)  # fmt: skip
"""Endings that mean a network's own machines."""

# Written out, not asked of the ``ipaddress`` module: what it calls global differs between Python's versions.
_PRIVATE: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(net)
    for net in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "127.0.0.0/8",
        "100.64.0.0/10",
        "::1/128",
        "fc00::/7",
    )
)
"""The operator may allow these."""
_NEVER: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(net)
    for net in (
        "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # a public address where a cloud keeps its machines' secrets
        "2001::/23", "2001:db8::/32", "2002::/16", "3ffe::/16", "3fff::/20",
    )
)  # fmt: skip
"""This network, link-local (metadata of clouds), protocol, documentation, benchmark, 6to4, Teredo, multicast …"""
_GLOBAL_V6 = IPv6Network("2000::/3")
"""Everything else of IPv6 is special: mapped and embedded IPv4 (``::ffff:``, ``64:ff9b::``), site-local, multicast."""
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


class AddressRefused(Invalid):
    """The service does not call this address. ``code`` tells why: ``address_malformed``, ``address_not_https``,
    ``address_has_user``, ``address_not_public``, ``address_unknown``.
    """

    code = "address_refused"


@dataclass(frozen=True, slots=True)
class Target:
    """An address in parts, judged by its spelling. ``host`` is ASCII and in lower case; ``path`` has the query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """For the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


_DEFAULT_PORTS = {"https": 443, "http": 80}


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """What the machine's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class AddressGuard:
    """Judges addresses. ``allowed`` are names, addresses or networks that may be private and spoken to without TLS;
    ``allow_private`` lets every private network through.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        allowed: Sequence[str] = (),
        resolver: Resolver = system_resolver,
        setting: str = "WEBHOOK_ALLOWED_HOSTS",
    ) -> None:
        """``setting``: where whoever runs the service says what is allowed. Raises ``ValueError`` for an entry of
        ``allowed`` that is neither a name nor a network.
        """
        self._setting = setting
        self._allow_private = allow_private
        self._resolver = resolver
        self._names: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in allowed:
            self._admit(entry.strip().lower())

    def target(self, url: str) -> Target:
        """The address in parts. Raises ``AddressRefused`` for what its spelling forbids; nothing is resolved."""
        scheme, host, port, path = _parts(url)
        literal = _address(host)
        if literal is not None:
            host = str(literal)
            self._judge(host, literal)
        elif _is_inside(host) and not self._is_allowed(host) and not self._networks:
            raise self._not_public()
        if scheme != "https" and not self._may_be_plain(host, literal):
            raise AddressRefused("Адрес должен начинаться с https://.", field="url", code="address_not_https")
        return Target(scheme, host, port, path)

    async def addresses(self, target: Target) -> tuple[str, ...]:
        """What to connect to, in order: every one of them is fit. Raises ``AddressRefused`` when any is not."""
        literal = _address(target.host)
        if literal is not None:
            self._judge(target.host, literal)
            return (str(literal),)
        try:
            async with asyncio.timeout(_RESOLVE_SECONDS):
                found = await self._resolver(target.host, target.port)
        except (OSError, UnicodeError):
            found = ()
        if not found or len(found) > _MOST_ADDRESSES:
            raise AddressRefused(
                "Имя из адреса не находится в DNS. Проверьте адрес.", field="url", code="address_unknown"
            )
        judged: dict[str, None] = {}
        for text in found:
            address = _address(text)
            if address is None:
                raise self._not_public()
            self._judge(target.host, address)
            judged[str(address)] = None
        return tuple(judged)

    def _judge(self, host: str, address: Address) -> None:
        if any(address in net for net in _NEVER):
            raise self._not_public()
        if any(address in net for net in _PRIVATE):
            if not self._is_allowed(host, address):
                raise self._not_public()
        elif isinstance(address, IPv6Address) and (address not in _GLOBAL_V6 or _embeds_v4(address)):
            raise self._not_public()

    def _may_be_plain(self, host: str, address: Address | None) -> bool:
        """With every private network allowed, plain HTTP is for those, not for the open internet."""
        if host in self._names or (address is not None and any(address in net for net in self._networks)):
            return True
        is_private = _is_inside(host) if address is None else any(address in net for net in _PRIVATE)
        return self._allow_private and is_private

    def _is_allowed(self, host: str, address: Address | None = None) -> bool:
        return (
            self._allow_private
            or host in self._names
            or (address is not None and any(address in net for net in self._networks))
        )

    def _not_public(self) -> AddressRefused:
        return AddressRefused(
            "Адрес ведёт во внутреннюю или служебную сеть: сервис обращается только к публичным адресам. Если это "
            f"ваша сеть, разрешить может тот, кто ведёт сервис ({self._setting}).",
            field="url",
            code="address_not_public",
        )

    def _admit(self, entry: str) -> None:
        try:
            self._networks.append(ip_network(entry, strict=False))
        except ValueError:
            if not all(_LABEL.fullmatch(label) for label in entry.split(".")):
                raise ValueError(f"{entry!r} is neither a host name nor a network") from None
            self._names.add(entry)


def _parts(url: str) -> tuple[str, str, int, str]:
    if len(url) > LONGEST_URL or any(c.isspace() or not c.isprintable() or c == "\\" for c in url):
        raise _malformed()
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _malformed() from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise AddressRefused("Адрес должен начинаться с https://.", field="url", code="address_not_https")
    if "@" in parts.netloc:
        raise AddressRefused(
            "В адресе не может быть имени пользователя и пароля.", field="url", code="address_has_user"
        )
    if "#" in url or port == 0 or not parts.hostname:
        raise _malformed()
    host = _host(parts.hostname, bracketed="[" in parts.netloc)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return scheme, host, port or _DEFAULT_PORTS[scheme], quote(path, safe=_PRINTABLE)


def _host(given: str, *, bracketed: bool) -> str:
    if bracketed:
        literal = _address(given)
        if not isinstance(literal, IPv6Address):
            raise _malformed()
        return str(literal)
    host = given if given.isascii() else _in_ascii(given)
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _malformed()
    if _NUMERIC.fullmatch(labels[-1]):
        # 2130706433, 0x7f.1, 0177.0.0.1, 127.1 …: resolvers take all of these for addresses.
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise _malformed() from None
    return host


def _in_ascii(host: str) -> str:
    try:
        return httpx2.URL(f"https://{host}/").raw_host.decode("ascii")
    except (httpx2.InvalidURL, ValueError):
        raise _malformed() from None


def _address(text: str) -> Address | None:
    try:
        return ip_address(text) if "%" not in text else None
    except ValueError:
        return None


def _is_inside(host: str) -> bool:
    return "." not in host or any(host == name or host.endswith(f".{name}") for name in _INSIDE)


def _embeds_v4(address: IPv6Address) -> bool:
    return (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP


def _malformed() -> AddressRefused:
    return AddressRefused(
        "Нужен адрес вида https://example.ru/путь, без # и без необычных записей имени или IP-адреса.",
        field="url",
        code="address_malformed",
    )
