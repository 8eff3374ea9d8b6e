"""One planned write on one page of Kwork, from opening the page to Kwork's answer; the page closes whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext
from playwright.async_api import Error as PlaywrightError

from app.domain.errors import Ambiguous, LayoutChanged, Rejected, ServiceError, Unavailable, VendorError
from app.domain.writing import Answered, PlannedCall
from app.marketplaces.kwork.browser.form_page import FormPage
from app.marketplaces.kwork.browser.gate import Gate
from app.marketplaces.kwork.browser.hand_in_form import hand_in
from app.marketplaces.kwork.browser.message_form import send_message
from app.marketplaces.kwork.browser.offer_form import send_offer
from app.marketplaces.kwork.multipart import SLOWEST_UPLOAD
from app.marketplaces.kwork.web import csrf, paths

log = logging.getLogger(__name__)

_BY_PAGE: Final[Mapping[str, Callable[[FormPage], Awaitable[Answered]]]] = {
    paths.OFFER_FORM: send_offer,
    paths.INBOX: send_message,
    paths.TRACK: hand_in,
}


class PageChanged(Rejected):
    """The page is not as expected, nothing has left. Another way may do, so this breaks no account's readings."""

    code = "kwork_page_changed"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"Страница Kwork не такая, как ожидалось ({path}): ничего не отправлено. Отправьте обычным способом "
            "(surface = usual) или сообщите разработчику."
        )
        self.path = path


async def work_page(
    context: BrowserContext,
    call: PlannedCall,
    gate: Gate,
    *,
    web_url: str,
    seconds: float,
    answer_seconds: float,
) -> Answered:
    """``seconds`` for all of it, and more for files. Once the call that counts may have left, whatever is no clear
    yes or no is ``Ambiguous``; before that ``Unavailable``.
    """
    total = seconds + sum(file.size for file in call.files) / SLOWEST_UPLOAD
    await gate.guard(context)
    with tempfile.TemporaryDirectory(prefix="kwork-page-") as folder:
        failed: Exception
        try:
            async with asyncio.timeout(total):
                form = FormPage(
                    await context.new_page(),
                    call,
                    gate,
                    web_url=web_url,
                    folder=Path(folder),
                    answer_seconds=answer_seconds,
                )
                return await _BY_PAGE["/" + urlsplit(call.page).path.split("/")[1]](form)
        except (TimeoutError, PlaywrightError) as error:
            failed = error
        except VendorError as error:
            await _hide_key(context, error)
            failed = error
        finally:
            may_have_left = await gate.shut()
        raise _told(failed, may_have_left) from None


def _told(failed: Exception, may_have_left: bool) -> Exception:
    """The text of the browser's own errors is dropped: it quotes what was typed."""
    if isinstance(failed, LayoutChanged) and not may_have_left:
        log.warning("a page of Kwork is not as expected: %s", failed.path)
        return PageChanged(failed.path)
    is_told = isinstance(failed, ServiceError) and not isinstance(failed, LayoutChanged)
    if is_told and (may_have_left or not isinstance(failed, Ambiguous)):
        return failed
    if may_have_left:
        return Ambiguous("Страница Kwork не досказала ответ: выполнено ли действие, неизвестно.")
    if isinstance(failed, PlaywrightError):
        return Unavailable(
            "Страница Kwork не открылась или закрылась, ничего не ушло.", code="kwork_unreachable"
        )
    return Unavailable("Страница Kwork не ответила вовремя, ничего не ушло.", code="kwork_too_slow")


async def _hide_key(context: BrowserContext, error: VendorError) -> None:
    """Kwork may repeat what was sent in confidence."""
    with contextlib.suppress(PlaywrightError):
        for cookie in await context.cookies():
            key = cookie.get("value")
            if cookie.get("name") == csrf.COOKIE and key:
                error.detail = error.detail.replace(key, "***")
                error.args = (error.detail,)
