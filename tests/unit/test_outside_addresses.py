"""Addresses a tenant may set: a corpus of bad and good ones, a resolver that lies, and a connect that records."""

from __future__ import annotations

from collections.abc import Sequence

import httpx2
import pytest

from app.outside.addresses import AddressGuard, AddressRefused
from app.outside.courier import Courier

PUBLIC = "93.184.216.34"

BAD_SPELLINGS = """
ftp://example.com/
gopher://example.com/
file:///etc/passwd
javascript:alert(1)
data:text/html,x
//example.com/hook
example.com/hook
/hook
https:/hook
https://
https:///hook
https://?x=1
https://#x
http://example.com/
HTTP://example.com/
https://user@example.com/
https://user:password@example.com/
https://@example.com/
https://:@example.com/
https://example.com@127.0.0.1/
https://127.0.0.1@example.com/
https://example.com%40127.0.0.1/
https://example.com:443@10.0.0.1/
https://example.com#@127.0.0.1/
https://example.com/#fragment
https://example.com:0/
https://example.com:65536/
https://example.com:99999/
https://example.com:-1/
https://example.com:x/
https://example.com:443evil/
https://exa mple.com/
https://example.com/with space
https://example.com/\\tab
https://example.com\\@127.0.0.1/
https:\\\\127.0.0.1\\
https://example.com\\.evil.com/
https://exam\u200bple.com/
https://example.com/\u0000
https://example.com/\r\nX-Injected: 1
https://%31%32%37.0.0.1/
https://127.0.0.%31/
https://exa%6dple.com/
https://-example.com/
https://example-.com/
https://exam..ple.com/
https://.example.com/
https://example.com../
https://*.example.com/
https://exa!mple.com/
https://exa$mple.com/
https://example.com,127.0.0.1/
https://example.com;127.0.0.1/
https://[example.com]/
https://[127.0.0.1]/
https://[::1/
https://::1/
https://[::1%25lo]/
https://[fe80::1%eth0]/
https://[v1.x]/
https://[1:2:3]/
https://[:::1]/
https://127.1/
https://127.0.1/
https://2130706433/
https://017700000001/
https://0x7f000001/
https://0x7f.0.0.1/
https://0x7F.0x0.0x0.0x1/
https://0177.0.0.1/
https://0177.0.0.01/
https://127.0.0.0x1/
https://00000177.0.0.1/
https://127.0.0.01/
https://127.000.000.001/
https://010.0.0.1/
https://0xa.0.0.1/
https://0xa000001/
https://167772161/
https://3232235777/
https://0xC0A80101/
https://192.168.257/
https://192.168.1.257/
https://1.2.3/
https://1.2.3.4.5/
https://256.256.256.256/
https://999.1/
https://0/
https://0x/
https://1/
https://example.1/
https://example.0x7f/
https://１２７.０.０.１/
https://①②⑦.⓪.⓪.①/
https://127。0。0。1/
https://ⓛocalhost/
https://ｌｏｃａｌｈｏｓｔ/
""".strip("\n").split("\n")

BAD_HOSTS = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "LocalHost.",
    "sub.localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "router",
    "crm",
    "postgres",
    "crm.internal",
    "metadata.google.internal",
    "kubernetes.default.svc.cluster.local",
    "printer.local",
    "nas.lan",
    "server.intranet",
    "box.home",
    "gateway.home.arpa",
    "dc.corp",
    "vault.private",
]

BAD_ADDRESSES = [
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "10.0.0.0",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "100.100.100.200",
    "127.0.0.1",
    "127.0.0.2",
    "127.127.127.127",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.255.255",
    "168.63.129.16",
    "172.16.0.1",
    "172.20.10.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.2.1",
    "198.51.100.7",
    "203.0.113.9",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.1.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "224.0.0.1",
    "239.255.255.250",
    "232.1.1.1",
    "240.0.0.1",
    "250.1.1.1",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::7f00:1",
    "::10.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:192.168.1.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::1",
    "64:ff9b:1::10.0.0.1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2001:db8:ffff::1",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2002:c0a8:101::1",
    "2002:808:808::1",
    "3ffe::1",
    "3fff::1",
    "3fff:fff::1",
    "4000::1",
    "5f00::1",
    "8000::1",
    "fc00::1",
    "fc00:1234::1",
    "fd00::1",
    "fd00:ec2::254",
    "fdff:ffff::1",
    "fe80::1",
    "fe80::5efe:7f00:1",
    "feb0::1",
    "fec0::1",
    "feff::1",
    "ff00::1",
    "ff02::1",
    "ff05::2",
    "ff0e::1",
    "2a00:1450::5efe:7f00:1",
    "2a00:1450:0:0:200:5efe:a00:1",
]

GOOD = [
    "https://example.com",
    "https://example.com/",
    "https://example.com/hooks/kwork?token=abc%20d&x=1",
    "https://example.com:8443/hook",
    "https://EXAMPLE.com/Path",
    "https://example.com./hook",
    "https://sub.domain.example.co.uk/a/b",
    "https://xn--e1afmkfd.xn--p1ai/хук",
    "https://пример.рф/хук",
    "https://my_host.example.com/",
    "https://127.example.com/",
    "https://1and1.example/",
    "https://93.184.216.34/hook",
    "https://[2606:2800:220:1:248:1893:25c8:1946]/hook",
    "https://8.8.8.8:9443/",
    "https://example.com/@user/%40",
    "https://localhost.example.com/",
]


class Names:
    """A stub resolver: what it was told, and what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = answers or (PUBLIC,)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers


class Recording(httpx2.AsyncBaseTransport):
    """A connect that only writes down."""

    def __init__(self, status: int = 200, **headers: str) -> None:
        self.requests: list[httpx2.Request] = []
        self.status, self.headers = status, headers

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(self.status, headers=self.headers, stream=httpx2.ByteStream(b"ok"))


def bracketed(address: str) -> str:
    return f"https://[{address}]/" if ":" in address else f"https://{address}/"


def test_the_corpus_is_as_big_as_promised() -> None:
    bad = {*BAD_SPELLINGS, *BAD_HOSTS, *BAD_ADDRESSES}
    print(f"bad addresses {len(bad)}, good ones {len(set(GOOD))}")
    assert len(bad) >= 200
    assert len(set(GOOD)) >= 15


@pytest.mark.parametrize("url", [*BAD_SPELLINGS, *(f"https://{host}/" for host in BAD_HOSTS)])
async def test_a_bad_spelling_is_refused_and_nothing_is_looked_up_or_called(url: str) -> None:
    names, wire = Names(), Recording()
    async with Courier(AddressGuard(resolver=names), transport=wire) as courier:
        with pytest.raises(AddressRefused):
            await courier.post(url, {}, b"")
    assert (names.asked, wire.requests) == ([], [])


@pytest.mark.parametrize("address", BAD_ADDRESSES)
async def test_an_address_inside_is_refused_written_out_and_behind_a_name(address: str) -> None:
    wire = Recording()
    async with Courier(AddressGuard(resolver=Names(address)), transport=wire) as courier:
        with pytest.raises(AddressRefused):
            await courier.post(bracketed(address), {}, b"")
        with pytest.raises(AddressRefused):
            await courier.post("https://example.com/", {}, b"")
    async with Courier(AddressGuard(resolver=Names(PUBLIC, address)), transport=wire) as courier:
        with pytest.raises(AddressRefused):
            await courier.post("https://example.com/", {}, b"")
    assert wire.requests == []


@pytest.mark.parametrize("answer", ["fe80::1%eth0", "not an address", "127.1", ""])
async def test_what_a_resolver_says_must_be_an_address(answer: str) -> None:
    with pytest.raises(AddressRefused):
        guard = AddressGuard(resolver=Names(answer))
        await guard.addresses(guard.target("https://example.com/"))


async def test_a_name_nobody_knows_is_refused_with_words() -> None:
    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    guard = AddressGuard(resolver=unknown)
    with pytest.raises(AddressRefused) as refused:
        await guard.addresses(guard.target("https://example.com/"))
    assert refused.value.code == "address_unknown"


@pytest.mark.parametrize("url", GOOD)
async def test_a_good_address_is_called_where_it_was_judged(url: str) -> None:
    names, wire = Names(), Recording()
    async with Courier(AddressGuard(resolver=names), transport=wire) as courier:
        receipt = await courier.post(url, {"X": "1"}, b"{}")
    assert (receipt.status, receipt.answer, receipt.error) == (200, "ok", None)
    [request] = wire.requests
    named = [host for host in names.asked if host]
    if named:
        assert request.url.host == PUBLIC
        assert request.headers["host"].partition(":")[0] == named[0]
    assert request.extensions["sni_hostname"] in (*named, request.url.host)


async def test_the_name_is_judged_anew_at_every_call() -> None:
    """A name that turns inside after it was accepted."""
    names, wire = Names(), Recording()
    async with Courier(AddressGuard(resolver=names), transport=wire) as courier:
        await courier.post("https://example.com/", {}, b"")
        names.answers = ("10.0.0.1",)
        with pytest.raises(AddressRefused):
            await courier.post("https://example.com/", {}, b"")
    assert len(wire.requests) == 1


async def test_a_redirect_is_an_answer_like_any_other() -> None:
    wire = Recording(302, location="https://169.254.169.254/")
    async with Courier(AddressGuard(resolver=Names()), transport=wire) as courier:
        receipt = await courier.post("https://example.com/", {}, b"")
    assert (receipt.status, len(wire.requests)) == (302, 1)


@pytest.mark.parametrize(
    ("url", "settings", "answer"),
    [
        ("http://crm:8000/hook", {"allow_private": True}, "172.18.0.5"),
        ("https://crm.internal/hook", {"allow_private": True}, "10.0.0.7"),
        ("http://127.0.0.1:9000/", {"allow_private": True}, ""),
        ("http://[fd00::5]/", {"allow_private": True}, ""),
        ("http://127.0.0.1:9000/", {"allowed": ["127.0.0.1"]}, ""),
        ("http://10.1.2.3/", {"allowed": ["10.0.0.0/8"]}, ""),
        ("http://crm.lan/", {"allowed": ["crm.lan"]}, "192.168.1.5"),
        ("https://erp.example.com/", {"allowed": ["192.168.0.0/16"]}, "192.168.1.5"),
    ],
)
async def test_what_the_operator_allows_is_called(url: str, settings: dict[str, object], answer: str) -> None:
    guard = AddressGuard(resolver=Names(answer), **settings)  # type: ignore[arg-type]
    assert await guard.addresses(guard.target(url))


@pytest.mark.parametrize(
    ("url", "settings", "answer"),
    [
        ("https://example.com/", {"allow_private": True}, "169.254.169.254"),
        ("http://example.com/", {"allow_private": True}, PUBLIC),
        ("http://8.8.8.8/", {"allow_private": True}, ""),
        ("http://crm.lan/", {"allowed": ["other.lan"]}, "192.168.1.5"),
        ("https://erp.example.com/", {"allowed": ["10.0.0.0/8"]}, "192.168.1.5"),
        ("http://169.254.169.254/", {"allowed": ["127.0.0.1"]}, ""),
    ],
)
async def test_what_the_operator_allows_opens_nothing_else(
    url: str, settings: dict[str, object], answer: str
) -> None:
    with pytest.raises(AddressRefused):
        guard = AddressGuard(resolver=Names(answer), **settings)  # type: ignore[arg-type]
        await guard.addresses(guard.target(url))


def test_an_entry_that_is_neither_name_nor_network_is_refused() -> None:
    with pytest.raises(ValueError, match="neither"):
        AddressGuard(allowed=["https://crm.lan/"])


async def test_the_second_address_is_tried_when_the_first_takes_no_connection() -> None:
    class FirstIsDead(Recording):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            answer = await super().handle_async_request(request)
            if len(self.requests) == 1:
                raise httpx2.ConnectError("refused")
            return answer

    wire = FirstIsDead()
    names = Names("2606:2800:220:1:248:1893:25c8:1946", PUBLIC)
    async with Courier(AddressGuard(resolver=names), transport=wire) as courier:
        receipt = await courier.post("https://example.com/", {}, b"")
    assert receipt.status == 200
    assert [request.url.host for request in wire.requests] == ["2606:2800:220:1:248:1893:25c8:1946", PUBLIC]


async def test_an_answer_is_kept_to_its_first_characters_without_control_characters() -> None:
    class Long(Recording):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(500, stream=httpx2.ByteStream(("ы\x1b[31m" * 5000).encode()))

    async with Courier(AddressGuard(resolver=Names()), transport=Long()) as courier:
        receipt = await courier.post("https://example.com/", {}, b"")
    assert len(receipt.answer) == 500
    assert "\x1b" not in receipt.answer
