"""Finding a category by what a person or a CRM calls it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from app.domain.errors import Invalid
from app.domain.kwork import Category


class UnknownCategory(Invalid):
    """No category goes by that name. ``nearest``: names that come close."""

    code = "unknown_category"

    def __init__(self, nearest: tuple[str, ...]) -> None:
        hint = f" Похожие: {', '.join(nearest)}." if nearest else ""
        super().__init__(f"Такой категории на Kwork нет.{hint}", field="query.category")
        self.nearest = nearest


ALIASES: dict[str, tuple[str, ...]] = {
    "web-development": ("website-development", "website-repair", "frontend"),
    "web": ("website-development", "website-repair", "frontend"),
    "websites": ("website-development", "website-repair", "frontend"),
    "веб-разработка": ("website-development", "website-repair", "frontend"),
    "сайты": ("website-development", "website-repair", "frontend"),
    "development": ("programming",),
    "it": ("programming",),
    "разработка": ("programming",),
    "программирование": ("programming",),
    "mobile": ("mobile-apps",),
    "mobile-development": ("mobile-apps",),
    "bots": ("script-programming",),
    "parsing": ("script-programming",),
    "scripts": ("script-programming",),
    "боты": ("script-programming",),
    "парсеры": ("script-programming",),
    "games": ("game-dev",),
    "devops": ("server-administration",),
    "hosting": ("server-administration",),
    "testing": ("usability-testing",),
    "web-design": ("web-plus-mobile-design",),
    "ui-ux": ("web-plus-mobile-design",),
    "веб-дизайн": ("web-plus-mobile-design",),
    "branding": ("logo",),
    "логотип": ("logo",),
    "illustration": ("illustrations",),
    "texts": ("writing-translations",),
    "writing": ("writing-translations",),
    "тексты": ("writing-translations",),
    "copywriting": ("business-copywriting", "creative-writing"),
    "копирайтинг": ("business-copywriting", "creative-writing"),
    "translation": ("translations",),
    "перевод": ("translations",),
    "сео": ("seo",),
    "social-media": ("smm",),
    "advertising": ("context",),
    "реклама": ("context",),
    "маркетинг": ("marketing",),
    "video": ("editing-media", "animation", "videogeneration"),
    "видео": ("editing-media", "animation", "videogeneration"),
    "аудио": ("audio", "editing-audio", "music"),
    "бизнес": ("business",),
}
"""Names that Kwork does not use itself -> slugs."""


class CategoryTree:
    """Rubrics and their subrubrics. Later entries replace earlier ones of the same id."""

    def __init__(self, categories: Iterable[Category]) -> None:
        self._by_id = {category.id: category for category in categories}
        self._by_slug = {_key(one.slug): one for one in self._by_id.values() if one.slug}
        self._by_name = {_key(one.name): one for one in self._by_id.values()}
        self._names = sorted(
            {one.slug or one.name for one in self._by_id.values()} | {*ALIASES, *self._by_name}
        )

    def get(self, category_id: int | None) -> Category | None:
        """The category of that id, when it is known."""
        return self._by_id.get(category_id) if category_id is not None else None

    def find(self, text: str) -> tuple[int, ...]:
        """Ids that the id, slug, Russian name or alias means, with all subrubrics. Raises ``UnknownCategory``."""
        found = self._named(_key(text))
        if not found:
            raise UnknownCategory(tuple(difflib.get_close_matches(_key(text), self._names, n=5, cutoff=0.5)))
        ids = {one.id for one in found}
        ids.update(one.id for one in self._by_id.values() if one.parent_id in ids)
        return tuple(sorted(ids))

    def _named(self, key: str) -> list[Category]:
        if key.isascii() and key.isdigit() and len(key) <= 18:
            one = self._by_id.get(int(key))
        else:
            one = self._by_slug.get(key) or self._by_name.get(key)
        if one is not None:
            return [one]
        return [self._by_slug[slug] for slug in ALIASES.get(key, ()) if slug in self._by_slug]


def _key(text: str) -> str:
    return "-".join(text.casefold().replace("ё", "е").replace("_", " ").replace("-", " ").split())
