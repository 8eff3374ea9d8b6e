"""What a marketplace's push tells: never data, only where to look."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Hint:
    """Where something may be new. People are named by user id or name, as the push has them."""

    orders: bool = False
    dialogs: bool = False
    offers: bool = False
    user_ids: frozenset[int] = field(default_factory=frozenset)
    usernames: frozenset[str] = field(default_factory=frozenset)
    """In lower case."""

    def __or__(self, other: Hint) -> Hint:
        """Both of them."""
        return Hint(
            orders=self.orders or other.orders,
            dialogs=self.dialogs or other.dialogs,
            offers=self.offers or other.offers,
            user_ids=self.user_ids | other.user_ids,
            usernames=self.usernames | other.usernames,
        )

    def __bool__(self) -> bool:
        return self.orders or self.dialogs or self.offers


EVERYWHERE = Hint(orders=True, dialogs=True, offers=True)
