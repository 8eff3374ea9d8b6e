"""A message through the page of a dialog (FACTS A8). Opening it marks the dialog read on Kwork [CAP]."""

from __future__ import annotations

from app.domain.writing import Answered
from app.marketplaces.kwork.browser.form_page import FormPage
from app.marketplaces.kwork.selectors import MessageFill


async def send_message(form: FormPage) -> Answered:
    """Raises as ``FormPage`` does; ``Rejected`` in Kwork's words where the page lets nobody write."""
    fields = dict(form.call.fields)
    await form.open()
    place = form.page.locator(MessageFill.FORM)
    text = place.locator(MessageFill.TEXT)
    if await text.count() == 0:
        raise form.without_form(await form.shown())
    if fields["message_body"]:
        await form.type(text, fields["message_body"], "dialog_page.text")
    await form.attach(place.locator(MessageFill.FILES), form.call.files)
    button = place.get_by_role("button", name=MessageFill.SUBMIT, exact=True)
    return await form.send(await form.seen(button, "dialog_page.submit"))
