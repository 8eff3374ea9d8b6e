"""`window.stateData`: the keys that stand on every exchange page, padded to the known number of keys.

131 keys signed out [CAP], 218 signed in [LIVE]. Only some are known by name; the rest is plausible filling,
so that readers meet a page of real size and variety.
"""

import random
from functools import cache
from typing import Any

from sandbox.web.layout import TECHNICAL_WORKS
from sandbox.web.php import php_json
from sandbox.world import texts
from sandbox.world.model import Category

KEYS_SIGNED_OUT, KEYS_SIGNED_IN = 131, 218

WANT_STATUSES = {
    "STATUS_ACTIVE": "active",
    "STATUS_ARCHIVED": "archived",
    "STATUS_CANCEL": "cancel",
    "STATUS_NEW": "new",
    "STATUS_STOP": "stop",
    "STATUS_USER_STOP": "user_stop",
    "STATUS_WAIT_VERIFY": "wait_verify",
    "STATUS_DELETE": "delete",
}
_VERBS = ("is", "has", "show", "can", "get", "max", "url", "text", "allow", "count", "need", "list")
_NOUNS = (
    *("PortfolioHint", "AnalyticsTab", "Subscription", "MailingPopup", "SpecialOffer", "VoiceRecord"),
    *("FilterCollapse", "UserBadge", "LevelProgress", "WantTemplate", "OrderStages", "RefillNotice"),
    *("DarkTheme", "QuickFaq", "StopWords", "FavouriteRubric", "ExchangeTour", "PhoneConfirm"),
)


def categories_tree(categories: list[Category]) -> list[dict[str, Any]]:
    """The tree with slugs; ids are strings in the web's JSON [CAP]."""
    return [
        {
            "CATID": str(root.id),
            "id": str(root.id),
            "name": root.title,
            "seo": root.slug,
            "parent": "0",
            "lang": "ru",
            "cats": [
                {
                    "CATID": str(child.id),
                    "id": str(child.id),
                    "name": child.title,
                    "seo": child.slug,
                    "parent": str(root.id),
                    "lang": "ru",
                    "base_price": f"{child.base_price}.00",
                    "max_price": f"{child.max_price}.00",
                    "attributes": [{"id": str(a.id), "title": a.title} for a in child.attributes],
                }
                for child in root.children
            ],
        }
        for root in categories
    ]


def pad(known: dict[str, bytes], *, signed_in: bool) -> dict[str, bytes]:
    """Adds filling until the number of keys is that of a real page; most of it comes first."""
    filling = _filling()
    wanted = KEYS_SIGNED_IN if signed_in else KEYS_SIGNED_OUT
    if signed_in:
        known = {"sellerGuide": _seller_guide(), **known}
    names = [name for name in filling if name not in known][: wanted - len(known)]
    return {name: filling[name] for name in names} | known


@cache
def _filling() -> dict[str, bytes]:
    """More than enough keys: some big ones as a real page has, then small ones of all types."""
    chance = random.Random(41)
    big: dict[str, Any] = {
        "technicalWorksText": TECHNICAL_WORKS,
        "isMainPageUnauthorizedUser": False,
        "translations": {f"want.hint.{n}": _sentence(chance) for n in range(90)},
        "countries": [{"id": n, "name": f"Страна № {n}", "code": f"c{n:02d}"} for n in range(1, 120)],
        "timezones": [{"id": n, "offset": n % 24 - 11, "name": f"Пояс {n}"} for n in range(1, 80)],
        "commissionLevels": [
            {"from": level * 100000, "percent": percent, "currency_id": 643}
            for level, percent in enumerate((20, 12, 5))
        ],
        "currencies": {"rub": 643, "usd": 840},
        "offerTemplateMarkup": '<div class="offer-tpl"><b>{{name}}</b></div>\n<script>void(0)</script>',
        "wantModelStatuses": WANT_STATUSES,
        "lessons": [{"id": n, "title": _sentence(chance)[:60], "text": _sentence(chance)} for n in range(14)],
        "faq": [{"question": _sentence(chance)[:90], "answer": _sentence(chance) * 2} for _ in range(20)],
        "availableDurationsTexts": {str(n): f"{n} дн." for n in (1, 2, 3, 5, 7, 10, 14, 30)},
    }
    small = {
        f"{verb}{noun}": _small(chance, number)
        for number, (noun, verb) in enumerate((n, v) for n in _NOUNS for v in _VERBS)
    }
    return {
        name: php_json(value, escaped=number % 2 == 0)
        for number, (name, value) in enumerate((big | small).items())
    }


@cache
def _seller_guide() -> bytes:
    chance = random.Random(42)
    return php_json({f"step{n}": _sentence(chance) * 2 for n in range(24)}, escaped=False)


def _sentence(chance: random.Random) -> str:
    return " ".join(chance.choice(texts.BODIES) for _ in range(2))


def _small(chance: random.Random, number: int) -> Any:
    kinds = (
        False,
        True,
        None,
        [],
        "",
        number,
        str(number),
        {"enabled": False, "limit": number},
        f"/i/{number}",
    )
    return chance.choice(kinds)
