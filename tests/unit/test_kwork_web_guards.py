"""What page is this: told by content, and people's texts never decide."""

from __future__ import annotations

import pytest

from app.domain.errors import AuthExpired, Blocked, ChallengeRequired, LayoutChanged, Maintenance, VendorError
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.guards import PageKind, expect, kind_of
from tests.fixtures.kwork import pages


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (pages.projects_page(), PageKind.PROJECTS),
        (pages.projects_page([], total=0), PageKind.PROJECTS),
        (pages.page(state={"wantData": pages.want()}), PageKind.PROJECT),
        (pages.page(body=pages.card(pages.want())), PageKind.PROJECTS),
        (pages.page(state=pages.gigs_state(), user_id=5), PageKind.GIGS),
        (pages.page(state={"groups": None, "posts": None, "pagingdata": None}, user_id=5), PageKind.GIGS),
        (pages.inbox_page(), PageKind.INBOX),
        (pages.inbox_page([]), PageKind.INBOX),
        (pages.ORDERS_SHELL, PageKind.ORDERS),
        (pages.TRACK, PageKind.ORDER),
        (pages.USER, PageKind.USER),
        (pages.HOME, PageKind.OTHER),
        (pages.LOGIN_RAW, PageKind.LOGIN),
        (pages.LOGIN_DRAWN, PageKind.LOGIN),
        (pages.MAINTENANCE, PageKind.MAINTENANCE),
        (pages.BLOCKED, PageKind.BLOCKED),
        (pages.QRATOR, PageKind.BLOCKED),
        (pages.CAPTCHA, PageKind.CAPTCHA),
        ("<html><title>Пример</title><body>Привет</body></html>", PageKind.FOREIGN),
        ("", PageKind.FOREIGN),
    ],
)
def test_a_page_is_known_by_its_content(source: str, kind: PageKind) -> None:
    assert kind_of(Document(source.encode())) is kind


@pytest.mark.parametrize(
    "wall", ["Вам заблокирован доступ к сайту", "Подтвердите, что вы не робот", "Технические работы"]
)
def test_a_project_that_speaks_of_walls_is_still_a_list_of_projects(wall: str) -> None:
    source = pages.projects_page(
        [pages.want(name=wall, description=f"{wall}! QRATOR automated script high load")], cards=True
    )
    assert kind_of(Document(source.encode())) is PageKind.PROJECTS


@pytest.mark.parametrize(
    ("source", "wanted", "error"),
    [
        (pages.MAINTENANCE, PageKind.PROJECTS, Maintenance),
        (pages.BLOCKED, PageKind.PROJECTS, Blocked),
        (pages.QRATOR, PageKind.INBOX, Blocked),
        (pages.CAPTCHA, PageKind.PROJECTS, ChallengeRequired),
        (pages.LOGIN_RAW, PageKind.INBOX, AuthExpired),
        (pages.HOME, PageKind.INBOX, AuthExpired),
        (pages.HOME, PageKind.PROJECTS, LayoutChanged),
        ("<html></html>", PageKind.PROJECTS, LayoutChanged),
    ],
)
def test_an_unexpected_page_is_never_an_empty_list(
    source: str, wanted: PageKind, error: type[VendorError]
) -> None:
    with pytest.raises(error) as caught:
        expect(Document(source.encode()), wanted, with_session=False)
    assert type(caught.value) is error


def test_the_public_list_is_fine_signed_out_but_not_when_a_session_was_sent() -> None:
    document = Document(pages.projects_page().encode())
    expect(document, PageKind.PROJECTS, with_session=False)
    with pytest.raises(AuthExpired):
        expect(document, PageKind.PROJECTS, with_session=True)
    expect(Document(pages.projects_page(user_id=16000101).encode()), PageKind.PROJECTS, with_session=True)
