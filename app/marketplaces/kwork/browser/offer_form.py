"""An offer through the form of ``/new_offer`` (FACTS A5), filled in by what is seen on it."""

from __future__ import annotations

import contextlib
import re

from playwright.async_api import Error as PlaywrightError

from app.domain.errors import Conflict
from app.domain.writing import Answered
from app.marketplaces.kwork.browser.form_page import FormPage
from app.marketplaces.kwork.selectors import OfferFill
from app.marketplaces.kwork.values import drifted
from app.marketplaces.kwork.web.pages.offer_form import read_offer_form


async def send_offer(form: FormPage) -> Answered:
    """Raises as ``FormPage`` does; ``Conflict`` (``kwork_connects_spent``) when the page shows none left."""
    fields = dict(form.call.fields)
    document = await form.open()
    shown = read_offer_form(document, int(fields["wantId"])).value
    if shown.connects is not None and shown.connects.left < 1:
        raise Conflict("Коннекты кончились: отклик отправить не на что.", code="kwork_connects_spent")
    page = form.page
    whole = page.locator(OfferFill.WHOLE).filter(visible=True).first
    with contextlib.suppress(PlaywrightError):  # a form without this choice has none to make
        await whole.click(timeout=1000)
    await form.type(page.locator(OfferFill.TEXT), fields["description"], "offer_page.text")
    await form.type(page.locator(OfferFill.PRICE), fields["kwork_price"], "offer_page.price")
    await form.type(page.locator(OfferFill.TITLE), fields["kwork_name"], "offer_page.title")
    await _choose_days(form, fields["kwork_duration"])
    await form.attach(page.locator(OfferFill.FILES), form.call.files)
    button = page.get_by_role("button", name=OfferFill.SUBMIT, exact=True)
    return await form.send(await form.seen(button, "offer_page.submit"))


async def _choose_days(form: FormPage, days: str) -> None:
    """Opens the list and takes the option that reads so many days."""
    chooser = await form.seen(form.page.locator(OfferFill.DURATION), "offer_page.duration")
    wanted = re.compile(OfferFill.DURATION_TEXT.format(days=days))
    option = form.page.locator(OfferFill.DURATION_OPTION).filter(has_text=wanted).filter(visible=True)
    if await option.count() == 0:
        await chooser.click()
    try:
        await option.first.click()
    except PlaywrightError:
        raise drifted("offer_page.duration", "does not offer these days") from None
