"""The root address of a CRM as a person gives it."""

import re
from urllib.parse import urlsplit

import httpx2

_HOST = re.compile(r"[0-9a-zA-Z_:-]{1,63}(\.[0-9a-zA-Z_-]{1,63})*")


def root_of(value: str, *, ending: str = "") -> str:
    """Scheme, host and path without a slash at the end, and without ``ending`` if it ends with that.

    Raises ``ValueError`` with a sentence for people.
    """
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("нужен адрес вида https://crm.example.ru")
    if parts.port == 0 or parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("в адресе не должно быть имени, пароля, ? и #")
    root = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix(ending)}".rstrip("/")
    try:
        host = httpx2.URL(root).raw_host.decode("ascii")
    except httpx2.InvalidURL:
        host = ""
    if not _HOST.fullmatch(host):
        raise ValueError("в адресе нет имени машины")
    return root
