"""Tokens of every kind, with the verdict each must get: the JWT matrix.

The door has both families: our shared secret, and a gateway with one key of each kind. Tokens are made by hand where
PyJWT would refuse to.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.api import SECRET, claims

ISSUER = "https://gateway.example"
AUDIENCE = "kwork"
LEEWAY = 30.0
NOW = int(time.time())

GOOD = "let in"
BAD = "refused"


@dataclass(frozen=True)
class Pair:
    """A key of the gateway: what signs, and the JWK that tells of it."""

    algorithm: str
    private: Any
    jwk: dict[str, Any]

    def pem(self, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
        found: bytes = self.private.public_key().public_bytes(Encoding.PEM, form)
        return found

    def raw(self) -> bytes:
        found: bytes = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return found


@cache
def pair(algorithm: str, key_id: str = "") -> Pair:
    """The same one for the same name; making an RSA key takes a while."""
    private: Any
    if algorithm == "RS256":
        private = rsa.generate_private_key(65537, 2048)
        found = jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    elif algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
        found = jwt.algorithms.ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    else:
        private = ed25519.Ed25519PrivateKey.generate()
        found = jwt.algorithms.OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    kid = key_id or algorithm.lower()
    return Pair(algorithm, private, {**found, "kid": kid, "alg": algorithm, "use": "sig"})


def key_set(*pairs: Pair) -> bytes:
    """The gateway's answer."""
    return json.dumps({"keys": [one.jwk for one in pairs]}).encode()


def gateways_keys() -> bytes:
    return key_set(pair("RS256"), pair("ES256"), pair("EdDSA"))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(header: str, payload: str, secret: bytes = SECRET.encode(), digest: str = "sha256") -> str:
    """Whatever text as header and payload, with an HMAC."""
    body = f"{encoded(header.encode())}.{encoded(payload.encode())}"
    return f"{body}.{encoded(hmac.new(secret, body.encode(), digest).digest())}"


def ours(**changes: Any) -> str:
    """Signed with the shared secret, for our audience."""
    return jwt.encode(claims(**{"aud": AUDIENCE, **changes}), SECRET, algorithm="HS256")


def theirs(algorithm: str = "RS256", header: dict[str, Any] | None = None, **changes: Any) -> str:
    """Signed by the gateway; a header of ``None`` is left out."""
    given = {"kid": algorithm.lower(), **(header or {})}
    kept = {name: value for name, value in given.items() if value is not None}
    told = claims(**{"aud": AUDIENCE, "iss": ISSUER, **changes})
    return jwt.encode(told, pair(algorithm).private, algorithm=algorithm, headers=kept)


@dataclass(frozen=True)
class Token:
    """A token and what the door must say; ``also`` are the other headers of the request."""

    text: str
    verdict: str
    also: dict[str, str] = field(default_factory=dict)


def _payload(**changes: Any) -> str:
    return json.dumps(claims(**{"aud": AUDIENCE, **changes}))


def _header(**changes: Any) -> str:
    return json.dumps({"alg": "HS256", "typ": "JWT", **changes})


def _twice(name: str, value: str) -> str:
    return f'{_payload()[:-1]}, "{name}": {json.dumps(value)}}}'


def _without_signature(token: str) -> str:
    return token.rpartition(".")[0] + "."


def _resigned_es256(token: str) -> str:
    """The other valid signature of the same key: (r, n - s)."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    body, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    other = order - int.from_bytes(raw[32:], "big")
    return f"{body}.{encoded(raw[:32] + other.to_bytes(32, 'big'))}"


def matrix() -> dict[str, Token]:
    """Name -> token. Made anew for each run: times count from now."""
    return {name: Token(text, GOOD) for name, text in _good().items()} | {
        name: Token(text, BAD) for name, text in {**_bad_keys(), **_bad_forms(), **_bad_claims()}.items()
    }


def _good() -> dict[str, str]:
    stranger = pair("RS256", "of a stranger")
    return {
        "ours": ours(),
        "ours, with our issuer": ours(iss="kwork-service"),
        "ours, with the gateway's issuer": ours(iss=ISSUER),
        "ours, for several audiences": ours(aud=["crm", AUDIENCE]),
        "theirs by RS256": theirs("RS256"),
        "theirs by ES256": theirs("ES256"),
        "theirs by EdDSA": theirs("EdDSA"),
        "theirs without a key id, the only key of its kind": theirs(header={"kid": None}),
        "jwk in the header is not looked at": theirs(header={"jwk": stranger.jwk}),
        "jku in the header is not looked at": theirs(header={"jku": "https://evil.example/keys"}),
        "x5u in the header is not looked at": theirs(header={"x5u": "https://evil.example/cert"}),
        "x5c in the header is not looked at": theirs(header={"x5c": ["MIIB"]}),
        "expired within the leeway": ours(exp=int(time.time()) - 10),
        "expired within the leeway, theirs": theirs(exp=int(time.time()) - 10),
        "begins within the leeway": ours(nbf=int(time.time()) + 10),
        "made within the leeway": ours(iat=int(time.time()) + 10),
        "without jti and email": theirs(jti=None, email=None),
        "role in lower case": theirs(role="manager"),
        "an unknown claim": ours(groups=["a", "b"]),
        "a service token with its tenant": theirs(type="internal"),
        "the other signature of ES256": _resigned_es256(theirs("ES256")),
    }


def _bad_keys() -> dict[str, str]:
    rs, es, ed = pair("RS256"), pair("ES256"), pair("EdDSA")
    stranger = pair("RS256", "of a stranger")
    confused = {
        f"HS256 with the {name} as the secret": by_hand(_header(kid=one.jwk["kid"]), _payload(iss=ISSUER), secret)
        for one, name, secret in (
            (rs, "RSA key in PEM", rs.pem()),
            (rs, "RSA key in PEM, stripped", rs.pem().strip()),
            (rs, "RSA key in PKCS1", rs.pem(PublicFormat.PKCS1)),
            (rs, "RSA key in DER", rs.raw()),
            (rs, "RSA modulus", rs.jwk["n"].encode()),
            (rs, "RSA key as JWK", json.dumps(rs.jwk).encode()),
            (es, "EC key in PEM", es.pem()),
            (ed, "Ed25519 key in PEM", ed.pem()),
            (ed, "Ed25519 key's bytes", base64.urlsafe_b64decode(ed.jwk["x"] + "==")),
        )
    }  # fmt: skip
    told = claims(aud=AUDIENCE, iss=ISSUER)
    return confused | {
        "none": by_hand(_header(alg="none"), _payload()),
        "NONE": by_hand(_header(alg="NONE"), _payload()),
        "none, unsigned": _without_signature(by_hand(_header(alg="none"), _payload())),
        "none with the gateway's key id": _without_signature(
            by_hand(_header(alg="none", kid="rs256"), _payload(iss=ISSUER))
        ),
        "empty algorithm": by_hand(_header(alg=""), _payload()),
        "algorithm null": by_hand(_header(alg=None), _payload()),
        "algorithm a list": by_hand(_header(alg=["HS256"]), _payload()),
        "algorithm twice": by_hand('{"alg": "none", "alg": "HS256"}', _payload()),
        "HS384": by_hand(_header(alg="HS384"), _payload(), digest="sha384"),
        "HS512": by_hand(_header(alg="HS512"), _payload(), digest="sha512"),
        "HS256 with an empty secret": by_hand(_header(), _payload(), b""),
        "HS256 with another secret": by_hand(_header(), _payload(), b"another secret, as long as the real one"),
        "HS256 named RS256": by_hand(_header(alg="RS256", kid="rs256"), _payload(iss=ISSUER)),
        "RS512 by the gateway's own key": jwt.encode(told, rs.private, algorithm="RS512", headers={"kid": "rs256"}),
        "PS256 by the gateway's own key": jwt.encode(told, rs.private, algorithm="PS256", headers={"kid": "rs256"}),
        "RS256 by a stranger under the gateway's key id": jwt.encode(
            told, stranger.private, algorithm="RS256", headers={"kid": "rs256"}
        ),
        "RS256 by a stranger, who brings the key": jwt.encode(
            told, stranger.private, algorithm="RS256", headers={"kid": "of a stranger", "jwk": stranger.jwk}
        ),
        "RS256 by a stranger, who says where the key is": jwt.encode(
            told, stranger.private, algorithm="RS256",
            headers={"kid": "of a stranger", "jku": "https://evil.example/keys", "x5u": "https://evil.example/c"},
        ),
        "ES256 under the id of the RSA key": jwt.encode(
            told, es.private, algorithm="ES256", headers={"kid": "rs256"}
        ),
        "a key id that is no text": by_hand(_header(kid={"a": 1}), _payload()),
        "a key id with a path": theirs(header={"kid": "../../dev/null"}),
        "a key id with a nul": theirs(header={"kid": "rs256\x00"}),
        "a key id without end": theirs(header={"kid": "k" * 1000}),
        "signature of another token": theirs().rpartition(".")[0] + "." + theirs(sub="x").rpartition(".")[2],
        "signature cut off": theirs()[:-20],
        "payload of another token": ".".join(
            (theirs().split(".")[0], theirs(sub="x").split(".")[1], theirs().split(".")[2])
        ),
        "a private key's PEM as the secret": by_hand(
            _header(), _payload(),
            rs.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        ),
    }  # fmt: skip


def _bad_forms() -> dict[str, str]:
    return {
        "a critical extension": by_hand(_header(crit=["exp"]), _payload()),
        "an empty list of critical extensions": by_hand(_header(crit=[]), _payload()),
        "a critical extension that the library knows": by_hand(_header(crit=["b64"], b64=True), _payload()),
        "b64 false": by_hand(_header(b64=False), _payload()),
        "huge": ours(padding="x" * 20_000),
        "header nested deeply": by_hand("[" * 3000 + "]" * 3000, _payload()),
        "header a list": by_hand('["HS256"]', _payload()),
        "payload nested deeply": by_hand(_header(), "[" * 3000 + "]" * 3000),
        "payload not JSON": by_hand(_header(), "{"),
        "payload empty": by_hand(_header(), ""),
        "five parts": f"{ours()}.a.b",
        "padded with =": ours() + "=",
        "payload padded with =": ours().replace(".", "=.", 2),
        "a space inside": ours().replace(".", ". ", 1),
        "a line break inside": ours()[:30] + "\\n" + ours()[30:],
        "not base64": "ey!.ey!.sig",
        "subject named twice": by_hand(_header(), _twice("sub", "root")),
        "tenant named twice": by_hand(_header(), _twice("tenant_id", "b")),
        "role named twice": by_hand(_header(), _twice("role", "ADMIN")),
        "type named twice": by_hand(_header(), _twice("type", "internal")),
    }


def _bad_claims() -> dict[str, str]:
    now = int(time.time())
    return {
        "refresh": ours(type="refresh"),
        "type missing": ours(type=None),
        "type a list": ours(type=["access"]),
        "type in upper case": theirs(type="ACCESS"),
        "no audience": ours(aud=None),
        "another's audience": theirs(aud="crm"),
        "audience a number": by_hand(_header(), _payload(aud=1)),
        "audience an empty list": ours(aud=[]),
        "audience with a number": ours(aud=[AUDIENCE, 1]),
        "foreign issuer, ours": ours(iss="https://evil.example"),
        "foreign issuer, theirs": theirs(iss="https://evil.example"),
        "our issuer, signed by the gateway": theirs(iss="kwork-service"),
        "no issuer, signed by the gateway": theirs(iss=None),
        "issuer with a slash more": theirs(iss=f"{ISSUER}/"),
        "issuer a list": by_hand(_header(), _payload(iss=[ISSUER])),
        "expired beyond the leeway": ours(exp=now - 60),
        "expired beyond the leeway, theirs": theirs("EdDSA", exp=now - 60),
        "begins beyond the leeway": theirs(nbf=now + 120),
        "made beyond the leeway": ours(iat=now + 120),
        "without an end": ours(exp=None),
        "end a text": ours(exp=str(now + 600)),
        "end true": by_hand(_header(), _payload(exp=True)),
        "end without end": by_hand(_header(), _payload(exp=float("inf"))),
        "end NaN": by_hand(_header(), _payload(exp=float("nan"))),
        "begin a list": by_hand(_header(), _payload(nbf=[0])),
        "subject missing": theirs(sub=None),
        "subject empty": ours(sub=""),
        "subject a number": by_hand(_header(), _payload(sub=7)),
        "subject with a nul": ours(sub="admin\x00"),
        "subject without end": ours(sub="s" * 400),
        "tenant missing": theirs(tenant_id=None),
        "tenant null": by_hand(_header(), json.dumps({**claims(aud=AUDIENCE), "tenant_id": None})),
        "tenant empty": ours(tenant_id=""),
        "tenant a number": by_hand(_header(), _payload(tenant_id=1)),
        "tenant true": by_hand(_header(), _payload(tenant_id=True)),
        "tenant a list": ours(tenant_id=["a"]),
        "tenant an object": theirs(tenant_id={"id": "a"}),
        "tenant with a nul": ours(tenant_id="a\x00b"),
        "tenant with a quote": ours(tenant_id="a'--"),
        "tenant too long": ours(tenant_id="t" * 65),
        "tenant of look-alike letters": ours(tenant_id="\u0430"),
        "role missing": ours(role=None),
        "role a list": ours(role=["ADMIN"]),
        "role unknown": theirs(role="SUPERUSER"),
        "role with a space": ours(role="ADMIN "),
        "role that grows in upper case": ours(role="adm\u0131n"),
        "email a list": ours(email=["a@example.com"]),
        "jti a number": by_hand(_header(), _payload(jti=1)),
        "jti without end": ours(jti="j" * 200),
    }  # fmt: skip
