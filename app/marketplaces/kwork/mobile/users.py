"""Other users and the rubricator: both open to the app's key alone [LIVE]."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from app.domain.kwork import Category, UserProfile
from app.marketplaces.kwork.mobile.calls import Calls
from app.marketplaces.kwork.mobile.envelope import rows_of
from app.marketplaces.kwork.mobile.readers import address, chat_text, flag, moment, word
from app.marketplaces.kwork.values import Fields, count, drifted, identifier, label, text


class Profile:
    """Fields of ``/user`` and ``/userByUsername`` [SPEC, some LIVE]."""

    ID = "id"
    USERNAME = "username"
    FULL_NAME = "fullname"
    PICTURE = "profilepicture"  # a path
    LOCATION = "location"
    PROFESSION = "profession"
    ABOUT = "description"
    RATING = "rating"  # a string [LIVE]
    GOOD = "good_reviews"
    BAD = "bad_reviews"
    DONE = "completed_orders_count"
    REGISTERED = "addtime"
    ONLINE = "online"
    SKILLS = "skills"  # [{id, name}]


class Rubric:
    """Fields of ``/categories`` [LIVE]. A third level, of attributes, is left out."""

    ID = "id"
    NAME = "name"
    CHILDREN = "subcategories"


async def user_profile(calls: Calls, who: int | str) -> UserProfile:
    """A public profile by number or user name; works without a session.

    An unknown user is ``Rejected`` (``kwork_bad_values``).
    """
    by_id = isinstance(who, int)
    envelope = (
        await calls.call("user", {"id": who})
        if by_id
        else await calls.call("userByUsername", {"username": who})
    )
    fields = envelope.record()
    profile = _profile(fields, calls.web_url)
    if by_id and profile.id != who:
        raise drifted(fields.at(Profile.ID), "names another user")
    return profile


async def categories(calls: Calls) -> tuple[Category, ...]:
    """Rubrics and subrubrics, each rubric before its own; slugs are told by the web alone."""
    rows = (await calls.call("categories")).rows()
    return tuple(category for row in rows for category in _branch(row))


def _profile(fields: Fields, web_url: str) -> UserProfile:
    username = fields.need(label, Profile.USERNAME)
    return UserProfile(
        id=fields.need(identifier, Profile.ID),
        username=username,
        url=f"{web_url}/user/{quote(username)}",
        full_name=fields.may(text, Profile.FULL_NAME),
        picture_url=fields.may(address(web_url), Profile.PICTURE),
        location=fields.may(text, Profile.LOCATION),
        profession=fields.may(text, Profile.PROFESSION),
        about=fields.may(chat_text, Profile.ABOUT),
        rating=fields.may(word, Profile.RATING),
        reviews_good=fields.may(count, Profile.GOOD),
        reviews_bad=fields.may(count, Profile.BAD),
        orders_done=fields.may(count, Profile.DONE),
        registered_at=fields.may(moment, Profile.REGISTERED),
        online=fields.may(flag, Profile.ONLINE),
        skills=tuple(skill.need(text, "name") for skill in rows_of(fields, Profile.SKILLS)),
    )


def _branch(row: Fields) -> Iterator[Category]:
    root = _category(row, None)
    yield root
    for child in rows_of(row, Rubric.CHILDREN):
        yield _category(child, root.id)


def _category(row: Fields, parent_id: int | None) -> Category:
    return Category(row.need(identifier, Rubric.ID), row.need(label, Rubric.NAME), None, parent_id)
