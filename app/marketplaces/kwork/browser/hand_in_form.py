"""Handing in on an order's page by visible names. Nobody has published that page: unverified, off by default.

Which call the page makes is not known either, so its "yes" alone is not believed: the order's page has to show
afterwards that the work is being checked.
"""

from __future__ import annotations

import re

from app.domain.errors import Ambiguous, ServiceError
from app.domain.writing import Answered
from app.marketplaces.kwork.browser.form_page import FormPage
from app.marketplaces.kwork.selectors import HandInFill
from app.marketplaces.kwork.web.document import Document
from app.marketplaces.kwork.web.pages.offer_form import spoken

_OPEN = re.compile(HandInFill.OPEN, re.IGNORECASE)
_SUBMIT = re.compile(HandInFill.SUBMIT, re.IGNORECASE)


async def hand_in(form: FormPage) -> Answered:
    """Raises as ``FormPage`` does; ``Rejected`` where the page offers no handing in, ``Ambiguous`` where it said
    yes and does not show it.
    """
    before = _times_done(await form.open())
    page = form.page
    opener = page.get_by_role("button", name=_OPEN).or_(page.get_by_role("link", name=_OPEN))
    if await opener.filter(visible=True).count() == 0:
        raise form.without_form(await form.shown())
    await (await form.seen(opener, "order_page.open")).click()
    button = page.get_by_role("button", name=_SUBMIT)
    place = page.locator(HandInFill.FORM).filter(visible=True).filter(has=button).last
    place = await form.seen(place, "order_page.form")
    for name, number in form.call.fields:
        if name == "stageIds[]":
            stage = await form.seen(place.locator(HandInFill.STAGE.format(id=number)), "order_page.stage")
            await stage.check()
    await form.attach(place.locator(HandInFill.FILES), form.call.files)
    await form.send(await form.seen(place.get_by_role("button", name=_SUBMIT), "order_page.submit"))
    return await _confirmed(form, before)


async def _confirmed(form: FormPage, before: int) -> Answered:
    """The words may stand in the order's thread since an earlier time: there must be more of them now."""
    try:
        now = _times_done(await form.reopen())
    except ServiceError:
        now = before
    if now <= before:
        raise Ambiguous("Kwork принял сдачу, но страница заказа её не показывает: чем кончилось, неизвестно.")
    return Answered()


def _times_done(document: Document) -> int:
    return spoken(document).lower().count(HandInFill.DONE_WORDS)
