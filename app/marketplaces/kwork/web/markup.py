"""Small readers of rendered markup; a missing node names its selector."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

from selectolax.lexbor import LexborNode

from app.marketplaces.kwork import values
from app.marketplaces.kwork.values import drifted

_FOLDER = re.compile(r"/([\w.-]+)/[^/]*$")


def need_node(parent: LexborNode, selector: str, path: str) -> LexborNode:
    node = parent.css_first(selector)
    if node is None:
        raise drifted(f"{path} {selector}".strip(), "is missing")
    return node


def need_text(parent: LexborNode, selector: str, path: str) -> str:
    """Trimmed text that must not be empty."""
    text = clean(need_node(parent, selector, path))
    if not text:
        raise drifted(f"{path} {selector}".strip(), "is empty")
    return text


def maybe_text(parent: LexborNode, selector: str) -> str | None:
    node = parent.css_first(selector)
    return (clean(node) or None) if node is not None else None


def clean(node: LexborNode) -> str:
    return values.raw_text(node.text(), "").strip()


def attribute(node: LexborNode, *names: str) -> str | None:
    """The first of these attributes that says something."""
    return next((value for name in names if (value := node.attributes.get(name))), None)


def link_target(node: LexborNode) -> str:
    return attribute(node, "href") or ""


def linked_file_id(target: str) -> str:
    """An id for a file that a page only links to: the folder it lies in [CAP], else a digest of the address.

    It holds neither slashes nor spaces, so that a file can be named in a path.
    """
    folder = _FOLDER.search(urlsplit(target).path)
    return folder.group(1) if folder else hashlib.sha256(target.encode()).hexdigest()[:32]
