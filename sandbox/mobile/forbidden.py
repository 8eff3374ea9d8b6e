"""Methods that move money, change a password or end an account: they exist on the real thing [SPEC].

Nobody who tests against the stand-in has a reason to call one, so each call is refused and stands out in the
journal as `money method called`.
"""

from __future__ import annotations

from sandbox.mobile.call import Call, Method, Methods
from sandbox.mobile.envelope import Answer, Refusal

DECISION = "money method called"
NAMES = (
    *(
        "payOrderAwaitingPayment",
        "rechargeBalance",
        "getBillRefillUrl",
        "sendBonus",
        "orderKwork",
        "repeatOrder",
    ),
    *("approveOrder", "approveOrderStage", "orderStage", "payerBuyExtras", "payerUpgradePackage"),
    *(
        "cancelOrderByPayer",
        "cancelOrderAwaitingPayment",
        "changePassword",
        "resetPassword",
        "changeUsername",
    ),
    *("deleteAccount", "verifySmsCodeForAccountDeleting", "requestPhoneChanging", "addNewPhoneNumber"),
    *("addPhoneNumber", "verifyPhoneActivationCode"),
)


def refuse(call: Call) -> Answer:
    call.entry.decide(DECISION)
    raise Refusal("Действие недоступно")


METHODS: Methods = {name: Method(refuse, is_open=True) for name in NAMES}
