"""The allow-list of the mobile surface: a method that is not here cannot be called at all.

Nothing that moves money, changes a password, deletes an account or marks anything read stands here. Names
of parameters are exactly Kwork's, with their traps: ``orderId`` here and ``order_id`` there [LIVE/SPEC].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Token(StrEnum):
    """Whether a call carries the account's token."""

    REQUIRED = "required"
    IF_THERE = "if_there"
    """Public, but its owner sees more."""
    NEVER = "never"
    """Public: the app's key alone opens it [LIVE]."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of ``api.kwork.ru``, always POST. ``empty_number``: the refusal that means "none at all"."""

    name: str
    parameters: frozenset[str] = frozenset()
    token: Token = Token.REQUIRED
    write: bool = False
    empty_number: int | None = None


def _method(
    name: str, parameters: str = "", token: Token = Token.REQUIRED, *, empty_number: int | None = None
) -> Method:
    return Method(name, frozenset(parameters.split()), token, empty_number=empty_number)


METHODS = {
    method.name: method
    for method in (
        # session
        _method(  # LIVE/SPEC
            "signIn", "login password uad phone_last g-recaptcha-response recaptcha_pass_token", Token.NEVER
        ),
        _method("logout"),  # SPEC
        _method("getWebAuthToken", "url_to_redirect"),  # SPEC
        _method("actor"),  # LIVE
        _method("getChannel"),  # LIVE
        # exchange
        _method(  # LIVE
            "projects",
            "categories price_from price_to hiring_from kworks_filter_from kworks_filter_to query page",
        ),
        _method("project", "id"),  # LIVE
        _method("want", "id"),  # LIVE
        # orders
        _method("workerOrders", "filter page", empty_number=151),  # SPEC, the empty case LIVE
        _method("getOrderHeader", "orderId"),  # SPEC
        _method("getOrderDetails", "orderId"),  # SPEC
        _method("getOrderProvidedData", "order_id"),  # SPEC
        _method("getOrderFiles", "id"),  # SPEC
        _method("getTracks", "orderId trackId direction limit"),  # SPEC
        # chat
        _method("dialogs", "page"),  # LIVE
        _method("inboxes", "username page"),  # LIVE
        _method("getInboxTracks", "username lastConversationId direction limit"),  # SPEC
        # gigs
        _method("kworksStatusList"),  # LIVE
        _method("userKworks", "user_id status_id page", Token.IF_THERE),  # LIVE
        # people, rubrics
        _method("user", "id", Token.NEVER),  # LIVE
        _method("userByUsername", "username", Token.NEVER),  # LIVE
        _method("categories", "", Token.NEVER),  # LIVE
    )
}


class ForbiddenCall(Exception):
    """A mistake of ours, met before anything left: a method or a parameter that is not on the allow-list."""


def allowed(name: str, parameters: frozenset[str]) -> Method:
    """The method, if it may be called with these parameters. Raises ``ForbiddenCall``."""
    method = METHODS.get(name)
    if method is None:
        raise ForbiddenCall(f"mobile method {name!r} is not on the allow-list")
    strangers = parameters - method.parameters
    if strangers:
        raise ForbiddenCall(f"mobile method {name} takes no {', '.join(sorted(strangers))}")
    return method


def allows(http_method: str, path: str) -> bool:
    """The same list for the transport's own fence."""
    return http_method == "POST" and path.removeprefix("/") in METHODS
