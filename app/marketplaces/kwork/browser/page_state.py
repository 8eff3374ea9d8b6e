"""What a page of Kwork shows about who is signed in, told by one script that runs in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from playwright.async_api import BrowserContext

from app.domain.kwork import WebSession
from app.marketplaces.kwork.selectors import Captcha, LoginForm

NEW_DEVICE_WORDS: Final = (
    "нового устройства",
    "новое устройство",
    "подтвердите вход",
    "код подтверждения",
    "код из письма",
)
"""Nobody has published that page: guesses [unverified]."""

# USER_ID: a number when signed in, an empty string when not [CAP].
_LOOK: Final = """
names => {
  if (!document.body) return null;
  const shown = node => {
    const box = node.getBoundingClientRect(), style = getComputedStyle(node);
    return box.width > 0 && box.height > 0 && style.visibility !== 'hidden';
  };
  const all = selector => [...document.querySelectorAll(selector)].filter(shown);
  return {
    user: /^[1-9][0-9]*$/.test(String(window.USER_ID ?? '')) ? Number(window.USER_ID) : null,
    agent: navigator.userAgent,
    errors: all(names.errors).map(node => node.innerText.trim()).filter(Boolean),
    captcha: all(names.captcha).length > 0,
  };
}
"""
NAMES: Final = {"errors": ", ".join(LoginForm.ERRORS), "captcha": Captcha.WIDGETS}
SIGNED_IN: Final = f"names => {{ const seen = ({_LOOK})(names); return seen && seen.user ? seen : null; }}"
SETTLED: Final = (
    f"names => {{ const seen = ({_LOOK})(names); "
    "return seen && (seen.user || seen.errors.length || seen.captcha) ? seen : null; }"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen: the user's number, error texts, a captcha on display."""

    user_id: int | None
    user_agent: str
    errors: tuple[str, ...]
    captcha: bool

    @classmethod
    def of(cls, told: dict[str, Any]) -> Seen:
        return cls(told["user"], told["agent"], tuple(told["errors"]), told["captcha"])


async def session_of(context: BrowserContext, web_url: str, seen: Seen) -> WebSession:
    """The session of a signed-in context: Kwork's own cookies only."""
    cookies: list[Any] = list(await context.cookies([web_url]))
    return WebSession(tuple(cookies), seen.user_id, seen.user_agent)
