"""Every method of the stand-in's mobile surface answers as Kwork's own document says, or deviates on purpose."""

from __future__ import annotations

import re

import pytest

from sandbox.mobile import forbidden
from sandbox.mobile.app import METHODS
from sandbox.world import queries
from tests.contract.kwork_spec import SPEC, KworkSpec
from tests.contract.mobile_scene import Scene, answer_of

pytestmark = pytest.mark.skipif(not SPEC.exists(), reason=f"Kwork's document is not here: {SPEC}")

# Where the stand-in deviates on purpose: (method, place in the answer) -> reason. `*` stands for every method.
DEVIATIONS: dict[tuple[str, str], str] = {
    ("*", r".*achievments_list"): "a list comes, the document types one badge (public client reads a list)",
    ("getWebAuthToken", r"response\.url_to_redirect"): "FACTS B2: the document says int, a string comes",
    ("workerOrders", r"response\.orders"): "FACTS B2: a list comes, the document types one object",
    ("payerOrders", r"response\.orders"): "FACTS B2: as in workerOrders",
    ("kworksStatusList", r"response\[\]\.kworks"): "FACTS B2: a list comes, the document types one object",
    ("getKworkDetails", r"response\.id"): "FACTS B2: the document says string, a number comes",
    ("getDialog", r"response\.unread"): "FACTS B2: a bool comes, the document says int",
    ("searchDialogs", r"response\[\]\.unread"): "FACTS B2: a bool comes, the document says int",
    ("*", r".*\.draft_details"): "FACTS B2: an empty object comes as []",
    ("*", r"response(\[\])?(\.order)?\.note"): "FACTS B2: an empty object comes as []",
    (
        "*",
        r"response(\[\])?(\.order)?\.note\.text",
    ): "the document types the text of a note as int, texts come",
    ("getOrderDetails", r"response\[\]\.details\.package"): "FACTS B2: an empty object comes as []",
    ("getTracks", r"response\.review"): "FACTS B2: an empty object comes as []",
    (
        "getTracks",
        r"response\.messages\[\]\.(quote|misc_track_params)",
    ): "FACTS B2: an empty object comes as []",
    ("getTracks", r"response\.messages\[\]\.actions\[\]\.data"): "FACTS B2: an empty object comes as []",
    ("*", r".*files\[\]\.name"): "the document types names of files as int, names come",
    ("inboxes", r"response\[\]\.type"): "null for an ordinary message: the document says so in words only",
    ("getInboxTracks", r"response\[\]\.type"): "as in inboxes",
    (
        "*",
        r"response\[\]\.created_order_id",
    ): "comes as a string (FACTS B2; public client reads a string)",
    ("want", r"response\[\]\.views_history"): "FACTS B2: an empty object comes as []",
}
# Where no answer with data can be had, and what comes instead.
REFUSED = {"getUserInfo": "Неизвестная ошибка"}
BARE = {"exchangeInfo": "FACTS B2: neither `success` nor `response`"}
NO_JSON = {"uploadedFile": "bytes of the file come; the document has no shape for it"}


def reason_for(method: str, place: str) -> str | None:
    for (owner, pattern), reason in DEVIATIONS.items():
        if owner in ("*", method) and re.fullmatch(pattern, place):
            return reason
    return None


@pytest.fixture(scope="module")
def spec() -> KworkSpec:
    return KworkSpec()


SHOWN = sorted(METHODS.keys() - forbidden.METHODS.keys() - NO_JSON.keys())


@pytest.mark.parametrize("method", SHOWN)
async def test_a_method_answers_as_the_document_says(spec: KworkSpec, method: str) -> None:
    scene = Scene()

    answer = await answer_of(scene, method)

    if method in REFUSED:
        assert answer["error"] == REFUSED[method]
        return
    if method not in BARE:
        assert answer["success"] is True, answer
    unexplained = [
        (place, what) for place, what in spec.differences(method, answer) if not reason_for(method, place)
    ]
    assert unexplained == []


async def test_every_listed_deviation_is_really_made(spec: KworkSpec) -> None:
    unused = set(DEVIATIONS)
    for method in SHOWN:
        answer = await answer_of(Scene(), method)
        for place, _ in spec.differences(method, answer):
            unused -= {
                (owner, pattern)
                for owner, pattern in DEVIATIONS
                if owner in ("*", method) and re.fullmatch(pattern, place)
            }

    assert unused == set()


@pytest.mark.parametrize("method", [name for name in SHOWN if name not in REFUSED])
async def test_a_method_misses_each_parameter_the_document_needs(spec: KworkSpec, method: str) -> None:
    scene = Scene()
    token = await scene.mobile.sign_in()
    given = scene.parameters(method)
    for name in spec.needed_parameters(method):
        less = {key: value for key, value in given.items() if key != name and not key.startswith(f"{name}[")}
        if method == "portfolioList" and name == "page":
            continue  # the live witness calls it with and without
        answer = await scene.mobile.call(method, "" if method == "signIn" else token, **less)
        assert answer["error_code"] == 100, (name, answer)


async def test_every_order_dialog_gig_and_project_page_answers_as_the_document_says(spec: KworkSpec) -> None:
    scene = Scene()
    token = await scene.mobile.sign_in()
    world, me = scene.mobile.world, scene.me.user_id
    calls = [("getTracks", {"orderId": order.id, "limit": 100}) for order in scene.orders]
    calls += [
        (name, {"orderId": order.id})
        for order in scene.orders
        for name in ("getOrderHeader", "getOrderDetails")
    ]
    calls += [
        ("getInboxTracks", {"userId": one.user_id, "limit": 100}) for one in queries.dialogs_of(world, me)
    ]
    calls += [("getKworkDetails", {"id": gig.id}) for gig in queries.gigs_of(world, me)]
    calls += [
        (name, {"page": page}) for page in range(1, 6) for name in ("projects", "workerOrders", "dialogs")
    ]

    for method, given in calls:
        answer = await scene.mobile.call(method, token, **given)
        assert answer["success"] is True, (method, given, answer)
        wrong = [
            (place, what) for place, what in spec.differences(method, answer) if not reason_for(method, place)
        ]
        assert wrong == [], (method, given)


async def test_all_methods_and_forbidden_ones_are_names_of_the_document(spec: KworkSpec) -> None:
    assert METHODS.keys() <= spec.methods


async def test_a_wrong_type_and_a_wrong_enum_are_seen(spec: KworkSpec) -> None:
    scene = Scene()
    answer = await answer_of(scene, "projects")
    answer["response"][0]["price"] = "1500"
    answer["response"][1]["already_work"] = 7

    places = [place for place, _ in spec.differences("projects", answer)]

    assert places == ["response[].price", "response[].already_work"]
