"""The allow-list of the mobile surface: a method that is not here cannot be called at all.

Nothing that moves money, changes a password or deletes an account or a gig stands here. Names of parameters
are exactly Kwork's, with their traps: ``orderId`` here and ``order_id`` there [LIVE/SPEC].
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.marketplaces.kwork.transport import Leave


class Token(StrEnum):
    """Whether a call carries the account's token."""

    REQUIRED = "required"
    IF_THERE = "if_there"
    """Public, but its owner sees more."""
    NEVER = "never"
    """Public: the app's key alone opens it [LIVE]."""


@dataclass(frozen=True, slots=True)
class Method:
    """One method of ``api.kwork.ru``, always POST. ``empty_number``: the refusal that means "none at all".

    ``irrevocable``: others see what it changes; it leaves only with a marker and is never repeated. A
    parameter that ends in ``[*]`` takes any keys: ``stages[0][title]``.
    """

    name: str
    parameters: frozenset[str] = frozenset()
    token: Token = Token.REQUIRED
    irrevocable: bool = False
    empty_number: int | None = None

    def takes(self, parameter: str) -> bool:
        return parameter in self.parameters or f"{parameter.partition('[')[0]}[*]" in self.parameters


def _method(
    name: str, parameters: str = "", token: Token = Token.REQUIRED, *, empty_number: int | None = None
) -> Method:
    return Method(name, frozenset(parameters.split()), token, empty_number=empty_number)


def _write(name: str, parameters: str) -> Method:
    return Method(name, frozenset(parameters.split()), irrevocable=True)


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
        _method("offers", "page"),  # SPEC
        _write("deleteOffer", "id"),  # SPEC
        # orders
        _method("workerOrders", "filter page", empty_number=151),  # SPEC, the empty case LIVE
        _method("getOrderHeader", "orderId"),  # SPEC
        _method("getOrderDetails", "orderId"),  # SPEC
        _method("getOrderProvidedData", "order_id"),  # SPEC
        _method("getOrderFiles", "id"),  # SPEC
        _method("getTracks", "orderId trackId direction limit"),  # SPEC
        _method("getOrderCancellationReasons", "orderId"),  # SPEC
        _write("workerInprogress", "order_id"),  # SPEC
        _write("sendReport", "order_id progress comment"),  # SPEC
        _write("updateStageProgress", "order_id stages[*] comment"),  # SPEC
        _write("sendOrderForApproval", "orderId stageIds[] filesIds[]"),  # SPEC + CODE
        _write("suggestStages", "order_id days message stages[*]"),  # SPEC
        _write("createStage", "order_id extend_time stages[*]"),  # SPEC
        _write("editStage", "orderId extendTime stages[*]"),  # SPEC
        _write("deleteStage", "orderId stageId"),  # SPEC
        _write("acceptStageSuggestion", "order_id"),  # SPEC
        _write("rejectStageSuggestion", "order_id"),  # SPEC
        _write("cancelOrderByWorker", "order_id reason_type message"),  # SPEC
        _write("confirmCancelOrderRequestByWorker", "order_id"),  # SPEC
        _write("rejectCancelOrderRequestByWorker", "order_id"),  # SPEC
        _write("deleteCancelOrderRequestByWorker", "order_id"),  # SPEC
        # chat
        _method("dialogs", "page"),  # LIVE
        _method("inboxes", "username page"),  # LIVE
        _method("getInboxTracks", "username lastConversationId direction limit"),  # SPEC
        _method("isDialogAllow", "receiverId"),  # LIVE
        _method("fileUpload"),  # SPEC: an upload is invisible until it is named
        _write("inboxCreate", "user_id text uploaded_files[] order_id reply_message_id message_key"),  # LIVE
        _write("inboxRead", "user_id"),  # LIVE
        # gigs
        _method("kworksStatusList"),  # LIVE
        _method("userKworks", "user_id status_id page", Token.IF_THERE),  # LIVE
        _write("startKwork", "kwork_id"),  # SPEC
        _write("pauseKwork", "kwork_id"),  # SPEC
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
    strangers = {parameter for parameter in parameters if not method.takes(parameter)}
    if strangers:
        raise ForbiddenCall(f"mobile method {name} takes no {', '.join(sorted(strangers))}")
    return method


def allows(http_method: str, path: str) -> Leave:
    """The same list for the transport's own fence."""
    method = METHODS.get(path.removeprefix("/")) if http_method == "POST" else None
    if method is None:
        return Leave.NEVER
    return Leave.MARKED if method.irrevocable else Leave.FREELY
