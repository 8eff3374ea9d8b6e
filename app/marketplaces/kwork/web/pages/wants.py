"""One project out of the state JSON: a row of ``wants[]`` or ``wantData`` (FACTS A4 [CAP])."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.kwork import Attachment, Person, Project, ProjectStatus
from app.marketplaces.kwork import values
from app.marketplaces.kwork.values import Fields
from app.marketplaces.kwork.web.fields import File, OwnFlags, User, Want

CURRENCY = "RUB"


class WantReader:
    """Reads rows of one page; ``own_flags`` is the page's ``userNeedPortfolioList``."""

    def __init__(self, site: str, own_flags: Fields, *, signed_in: bool) -> None:
        self._site = site
        self._own_flags = own_flags
        self._signed_in = signed_in

    def __call__(self, row: Fields) -> Project:
        project_id = row.need(values.identifier, *Want.ID)
        buyer = row.inner(Want.BUYER)
        statistic = buyer.maybe_inner(Want.BUYER_DATA)
        own = self._own_flags.maybe_inner(str(project_id))
        return Project(
            id=project_id,
            title=row.need(values.label, *Want.NAME),
            description=row.need(values.text, *Want.DESCRIPTION),
            status=_status(row),
            category_id=row.expect(values.identifier, *Want.CATEGORY),
            price_kopecks=row.need(values.kopecks, *Want.PRICE),
            max_price_kopecks=row.need(values.kopecks, *Want.MAX_PRICE),
            currency=CURRENCY,
            created_at=row.expect(values.moscow, *Want.CREATED),
            active_at=row.need(values.moscow, *Want.ACTIVE),
            expires_at=row.expect(values.moscow, *Want.EXPIRES),
            buyer=_person(buyer, self._site),
            url=f"{self._site}/projects/{project_id}/view",
            parent_category_id=own.may(values.identifier, *OwnFlags.PARENT_CATEGORY),
            offers=row.expect(values.count, *Want.OFFERS),
            views=row.expect(values.count, *Want.VIEWS),
            buyer_projects=statistic.may(values.count, *Want.BUYER_PROJECTS),
            buyer_hired_percent=statistic.may(values.count, *Want.BUYER_HIRED),
            durations=_durations(row),
            files=_files(row),
            portfolio_required=own.may(values.truth, *OwnFlags.PORTFOLIO),
            viewed=row.raw(Want.VIEWED) is not None if self._signed_in and Want.VIEWED in row else None,
        )


def absolute(site: str, address: str | None) -> str | None:
    """A whole address; ``None`` for a bare file name, whose folder is not known."""
    if not address or not address.startswith(("http://", "https://", "/")):
        return None
    return f"{site}{address}" if address.startswith("/") else address


def _person(user: Fields, site: str) -> Person:
    """A user as rows carry them; the number may be missing, the name may not."""
    return Person(
        id=user.expect(values.identifier, *User.ID),
        username=user.need(values.label, *User.USERNAME),
        picture_url=absolute(site, user.may(values.raw_text, *User.PICTURE)),
    )


def _status(row: Fields) -> ProjectStatus:
    word = row.need(values.raw_text, *Want.STATUS)
    known: Mapping[str, str] = Want.STATUSES
    if word not in known:
        row.note(Want.STATUS[0])
    status = ProjectStatus(known.get(word, ProjectStatus.UNKNOWN))
    hint = row.maybe_inner(Want.HINT).may(values.text, *Want.HINT_TITLE)
    if status is ProjectStatus.ACTIVE and hint == Want.HINT_IN_WORK:
        return ProjectStatus.IN_WORK
    return status


def _durations(row: Fields) -> tuple[int, ...]:
    return tuple(row.may(_days, Want.DURATIONS) or ())


def _days(value: object, path: str) -> list[int]:
    return [values.identifier(day, f"{path}[{n}]") for n, day in enumerate(values.sequence(value, path))]


def _files(row: Fields) -> tuple[Attachment, ...]:
    found: list[Attachment] = []
    for file in row.may_each(Want.FILES):
        number, name = file.expect(_any_id, *File.ID), file.expect(values.text, *File.NAME)
        if number is not None and name is not None:
            url, size = file.may(values.raw_text, *File.URL), file.may(values.count, *File.SIZE)
            found.append(Attachment(number, name, url, size))
    return tuple(found)


def _any_id(value: object, path: str) -> str:
    return str(values.identifier(value, path))
