"""A CRM's words made fit to be shown: one short line without this connection's secrets."""

import base64
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import orjson

MESSAGE_CAP: Final = 300
SCAN_CAP: Final = 4000
"""How much of a message is cleaned; the rest is dropped, after secrets were taken out."""
BODY_CAP: Final = 4096
"""Characters that are kept of a body."""
_BODY_SCAN: Final = 4 * BODY_CAP
_SECRET_FIELDS: Final = re.compile(
    r'("[^"]{0,40}(?:token|secret|password|api_?key|authorization)[^"]{0,40}"\s*:\s*)"(?:[^"\\]|\\.)*"?',
    re.IGNORECASE,
)
"""A CRM may tell secrets that are not ours, too."""


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

    def body(self, content: bytes) -> str:
        """The beginning of a body, as it is but for secrets; ends with ``…`` where it was cut."""
        text = content[:_BODY_SCAN].decode("utf-8", "replace").replace("\x00", "")
        if len(content) > _BODY_SCAN and self._secrets:
            text = text[: -len(self._secrets[0]) or None]  # what a cut left of a secret is not known as one
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = _SECRET_FIELDS.sub(r'\1"***"', text)
        cut = len(content) > _BODY_SCAN or len(text) > BODY_CAP
        return text[: BODY_CAP - 1] + "…" if cut else text


def _spellings(secret: str) -> Iterator[str]:
    """The ways a secret may come back in somebody's message."""
    yield secret
    yield quote(secret, safe="")
    yield orjson.dumps(secret).decode()[1:-1]
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
