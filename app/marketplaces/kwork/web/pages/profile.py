"""A user's public page ``/user/<name>`` (FACTS A9: selectors of 2025, unverified since)."""

from __future__ import annotations

from typing import Any

from app.domain.errors import LayoutChanged
from app.domain.kwork import UserProfile
from app.marketplaces.kwork import values
from app.marketplaces.kwork.selectors import UserPage
from app.marketplaces.kwork.values import Fields, drifted
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.fields import State, User
from app.marketplaces.kwork.web.markup import attribute, clean, maybe_text, need_text
from app.marketplaces.kwork.web.pages.wants import absolute
from app.marketplaces.kwork.web.reading import Reading, Way


def read_profile(document: Document, *, site: str) -> Reading[UserProfile]:
    """From the markup; the user's number from the state or from an attribute.

    Raises ``LayoutChanged`` when name or number is not there.
    """
    root = document.tree.root
    if root is None:
        raise drifted("page", "is empty")
    username = need_text(root, UserPage.USERNAME, "")
    picture = root.css_first(UserPage.PICTURE)
    profile = UserProfile(
        id=_user_id(document, username),
        username=username,
        url=f"{site}/user/{username}",
        full_name=maybe_text(root, UserPage.FULL_NAME),
        picture_url=absolute(site, attribute(picture, "src", "data-src")) if picture is not None else None,
        location=maybe_text(root, UserPage.LOCATION),
        profession=maybe_text(root, UserPage.PROFESSION),
        about=maybe_text(root, UserPage.ABOUT),
        skills=tuple(skill for node in root.css(UserPage.SKILL) if (skill := clean(node))),
    )
    return Reading(profile, Way.CARDS)


def _user_id(document: Document, username: str) -> int:
    for user in _users_in_state(document):
        fields = Fields(user, "user")
        try:
            if fields.need(values.text, *User.USERNAME) == username:
                return fields.need(values.identifier, *User.ID)
        except LayoutChanged:
            continue
    for name in UserPage.ID_ATTRIBUTES:
        node = document.tree.css_first(f"[{name}]")
        if node is not None:
            return values.identifier(attribute(node, name), f"[{name}]")
    raise drifted("user.id", "is missing")


def _users_in_state(document: Document) -> list[dict[str, Any]]:
    state = document.state if document.has_state else {}
    return [state[name] for name in State.USERS if isinstance(state.get(name), dict)]
