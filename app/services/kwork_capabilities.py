"""Which surfaces can do what, in which order (design: the first one that is there, then the next)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.accounts import Capability
from app.domain.errors import CapabilityUnavailable
from app.domain.kwork import Surface


@dataclass(frozen=True, slots=True)
class Reach:
    """What an account (or nobody) has at hand."""

    mobile_key: bool = False
    mobile_session: bool = False
    web_session: bool = False
    chromium: bool = False

    @property
    def mobile(self) -> bool:
        return self.mobile_key and self.mobile_session

    @property
    def drawn_pages(self) -> bool:
        return self.web_session and self.chromium


@dataclass(frozen=True, slots=True)
class CapabilityReport:
    """Whether an account can do something: through which surface, or why not and what helps (Russian)."""

    available: bool
    surface: Surface | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Way:
    surface: Surface
    needs: str
    """Name of the property of ``Reach``; empty: nothing."""


_MOBILE = _Way(Surface.MOBILE, "mobile")
_MOBILE_PUBLIC = _Way(Surface.MOBILE, "mobile_key")
_WEB = _Way(Surface.WEB, "web_session")
_WEB_PUBLIC = _Way(Surface.WEB, "")
_DRAWN = _Way(Surface.BROWSER, "drawn_pages")
_DRAWN_PUBLIC = _Way(Surface.BROWSER, "chromium")

_MARKS_READ = (
    "Диалог открывается в браузере, и Kwork отмечает его прочитанным. Чтобы этого не было: KWORK_MOBILE_KEY."
)

_WAYS: Mapping[Capability, tuple[_Way, ...]] = {
    Capability.PROJECTS: (_WEB_PUBLIC, _MOBILE, _DRAWN_PUBLIC),
    Capability.ORDERS: (_MOBILE, _WEB),
    Capability.ORDER_DETAILS: (_MOBILE,),
    Capability.GIGS: (_WEB, _MOBILE),
    Capability.DIALOGS: (_MOBILE, _WEB),
    Capability.MESSAGES: (_MOBILE, _DRAWN),
    Capability.PROFILE: (_MOBILE, _WEB),
    Capability.USER_PROFILES: (_MOBILE_PUBLIC, _WEB_PUBLIC),
    Capability.CATEGORIES: (_WEB_PUBLIC, _MOBILE_PUBLIC),  # the web alone tells slugs
    Capability.RESPOND: (_WEB,),
    Capability.OFFERS: (_MOBILE,),
    Capability.ORDERS_WRITE: (_MOBILE,),
    Capability.SEND_MESSAGE: (_MOBILE, _WEB),
    Capability.MARK_READ: (_MOBILE,),
    Capability.GIGS_EDIT: (_WEB,),
    Capability.GIGS_RUN: (_MOBILE, _WEB),
    Capability.FILES: (_MOBILE,),
    Capability.WRITE_BY_PAGE: (_DRAWN,),
    Capability.ATTACHMENTS: (_WEB,),
    Capability.LIVE: (_MOBILE, _WEB),
}


def surfaces_for(capability: Capability, reach: Reach) -> tuple[Surface, ...]:
    """The surfaces to try, in order. Raises ``CapabilityUnavailable`` when there is none."""
    found = tuple(way.surface for way in _WAYS[capability] if not way.needs or getattr(reach, way.needs))
    if not found:
        raise CapabilityUnavailable(why_not(capability, reach))
    return found


def report(reach: Reach) -> Mapping[Capability, CapabilityReport]:
    """Every capability, for ``GET accounts/{id}``."""
    return {capability: _report(capability, reach) for capability in Capability}


def why_not(capability: Capability, reach: Reach) -> str:
    """One Russian sentence for each thing that is missing."""
    wanted = {way.surface for way in _WAYS[capability]}
    reasons = []
    if Surface.MOBILE in wanted and not reach.mobile_key:
        reasons.append("Нужен мобильный API Kwork: задайте KWORK_MOBILE_KEY.")
    elif Surface.MOBILE in wanted and not reach.mobile_session:
        reasons.append("Нет входа в мобильный API Kwork: выполните вход в аккаунт.")
    if wanted & {Surface.WEB, Surface.BROWSER} and not reach.web_session:
        reasons.append("Нет входа на сайт Kwork: выполните вход в аккаунт.")
    if Surface.BROWSER in wanted and not reach.chromium:
        reasons.append("Нет Chromium: установите его или задайте CHROMIUM_PATH.")
    return " ".join(reasons)


def _report(capability: Capability, reach: Reach) -> CapabilityReport:
    try:
        surface = surfaces_for(capability, reach)[0]
    except CapabilityUnavailable as error:
        return CapabilityReport(False, None, error.detail)
    marks_read = capability is Capability.MESSAGES and surface is Surface.BROWSER
    return CapabilityReport(True, surface, _MARKS_READ if marks_read else None)
