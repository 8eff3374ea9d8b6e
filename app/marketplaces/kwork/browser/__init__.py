"""Kwork in a real Chromium: signing in, and what only a script draws (see docs/adr/0004-ways-to-sign-in.md)."""

from app.marketplaces.kwork.browser.chromium import ChromiumMissing
from app.marketplaces.kwork.browser.kwork_browser import KworkBrowser
from app.marketplaces.kwork.browser.visible import NoDisplay, sign_in_visibly

__all__ = ["ChromiumMissing", "KworkBrowser", "NoDisplay", "sign_in_visibly"]
