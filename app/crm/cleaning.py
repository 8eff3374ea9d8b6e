"""A CRM's words made fit to be shown: one short line without this connection's secrets."""

import base64
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import orjson

MESSAGE_CAP: Final = 300
SCAN_CAP: Final = 4000
"""How much of a message is cleaned; the rest is dropped, after secrets were taken out."""


class Cleaner:
    """Takes the secrets out of a text, in every usual spelling."""

    def __init__(self, *secrets: str) -> None:
        spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
        self._secrets = sorted(spellings, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = " ".join("".join(c if c.isprintable() else " " for c in text[:SCAN_CAP]).split())
        return text if len(text) <= MESSAGE_CAP else text[: MESSAGE_CAP - 1] + "…"


def _spellings(secret: str) -> Iterator[str]:
    """The ways a secret may come back in somebody's message."""
    yield secret
    yield quote(secret, safe="")
    yield orjson.dumps(secret).decode()[1:-1]
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
