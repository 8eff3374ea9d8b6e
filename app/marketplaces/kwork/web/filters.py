"""A ``ProjectFilter`` as parameters of ``/projects`` (FACTS A4), and what the site cannot filter itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.domain.errors import Invalid
from app.domain.kwork import Page, Project, ProjectFilter
from app.marketplaces.kwork.web.paths import ProjectQuery

KOPECKS = 100


def query_of(wanted: ProjectFilter, page: int) -> list[tuple[str, str]]:
    """Raises ``Invalid`` for several categories: the site takes one a request."""
    if len(wanted.categories) > 1:
        raise Invalid("the web surface takes one category a request", field="categories")
    asked: list[tuple[str, object]] = [
        (ProjectQuery.CATEGORY, wanted.categories[0] if wanted.categories else ProjectQuery.EVERY_CATEGORY),
        (ProjectQuery.KEYWORD, wanted.query or None),
        (ProjectQuery.PRICE_FROM, _roubles(wanted.price_from_kopecks, up=True)),
        (ProjectQuery.PRICE_TO, _roubles(wanted.price_to_kopecks, up=False)),
        (ProjectQuery.HIRED_FROM, wanted.hired_percent_from),
        (ProjectQuery.OFFERS_BUCKET, _bucket(wanted)),
        (ProjectQuery.PAGE, page),
    ]
    return [(name, str(value)) for name, value in asked if value is not None]


def _roubles(kopecks: int | None, *, up: bool) -> int | None:
    """Whole roubles, rounded into the asked range."""
    if kopecks is None:
        return None
    return -(-kopecks // KOPECKS) if up else kopecks // KOPECKS


def _bucket(wanted: ProjectFilter) -> int | None:
    """The site's bucket that holds the asked number of offers, if one does."""
    if wanted.offers_from is None and wanted.offers_to is None:
        return None
    low = wanted.offers_from or 0
    for number, (start, end) in enumerate(ProjectQuery.OFFER_BUCKETS):
        if low >= start and (end is None or (wanted.offers_to is not None and wanted.offers_to <= end)):
            return number
    return None


def sifted(wanted: ProjectFilter, page: Page[Project]) -> Page[Project]:
    """The page without what was not asked for; how many there are in all is unknown then."""
    sieve = Sieve.of(wanted)
    return replace(page, items=tuple(filter(sieve, page.items)), total=None) if sieve else page


@dataclass(frozen=True, slots=True)
class Sieve:
    """Drops what the site's buckets let through; a project of an unknown number of offers stays."""

    low: int | None
    high: int | None

    @classmethod
    def of(cls, wanted: ProjectFilter) -> Sieve:
        return cls(wanted.offers_from, wanted.offers_to)

    def __bool__(self) -> bool:
        return self.low is not None or self.high is not None

    def __call__(self, project: Project) -> bool:
        if project.offers is None:
            return True
        return (self.low is None or project.offers >= self.low) and (
            self.high is None or project.offers <= self.high
        )
