"""Everything that goes wrong with a write, at every step of it, and what must become of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence

from bench.writes.asked import Fault

DEADLINE_SECONDS = 4.0
"""How long the service waits for Kwork in this bench."""
TOO_SLOW_SECONDS = 5.5
ABSENT_AFTER_SECONDS = 8.0
"""Beyond what the slowest request takes to arrive."""

_SIGNED_OUT = {"success": False, "error": "Необходима авторизация"}
_JSON = {"status": 200, "content_type": "application/json"}

UNCLEAR: Sequence[Fault] = (
    Fault("обрыв до действия", "drop", "unclear", {"when": "before"}),
    Fault("обрыв после действия", "drop", "unclear", {"when": "after"}, acted=True),
    Fault("половина ответа", "cut", "unclear", acted=True),
    Fault("500 до действия", "error_500", "unclear"),
    Fault("500 после действия", "error_500", "unclear", {"act": True}, acted=True),
    Fault("502 в JSON", "error", "unclear", {"status": 502, "body": {"success": False, "error": "x"}}),
    Fault("пустой ответ после действия", "empty_200", "unclear", {"act": True}, acted=True),
    Fault("страница вместо JSON", "html_instead_of_json", "unclear"),
    Fault("страница вместо JSON после действия", "html_instead_of_json", "unclear", {"act": True}, acted=True),
    Fault("технические работы", "maintenance", "unclear"),
    Fault("503 после действия", "maintenance_503", "unclear", {"act": True}, acted=True),
    Fault(
        "ответ дольше срока, действует поздно", "slow", "unclear", {"seconds": TOO_SLOW_SECONDS}, acted=True
    ),
    Fault(
        "ответ дольше срока", "slow", "unclear", {"seconds": TOO_SLOW_SECONDS, "when": "after"}, acted=True
    ),
    Fault("ни да ни нет", "error", "unclear", {**_JSON, "body": {}, "act": True}, acted=True),
    Fault("да и нет сразу", "error", "unclear", {**_JSON, "body": {"success": True, "error": "Ошибка"}}),
    Fault("обрезанный JSON", "error", "unclear", {**_JSON, "body": '{"success": tr', "act": True}, acted=True),
    Fault("«Неизвестная ошибка»", "asked", "unclear", {"name": "unknown_error"}),
    Fault("сессия пропала в этот момент", "session_lost", "unclear"),
    Fault("«Необходима авторизация» после действия", "error", "unclear", {**_JSON, "body": _SIGNED_OUT, "act": True}, acted=True),
    Fault("увело на другую страницу", "error", "unclear", {"status": 302, "body": "", "headers": {"location": "/projects"}}),
    Fault("обрыв после действия, первые сверки падают", "drop", "unclear", {"when": "after"}, on="lookup", acted=True),
)  # fmt: skip
"""On the call itself: whether it happened cannot be told by the answer."""

REFUSED: Sequence[Fault] = (
    Fault(
        "«Подождите» (429)", "error", "refused", {"status": 429, "body": "", "headers": {"retry-after": 1}}
    ),
    Fault("Qrator (403)", "block_403", "refused"),
    Fault("«Вы не робот?»", "asked", "refused", {"name": "robot"}),
)
"""A clear no to the call itself."""

REFUSED_BY_KIND: Mapping[str, Sequence[Fault]] = {
    "respond": (
        Fault("лимит коннектов", "asked", "refused", {"name": "connects_spent"}),
        Fault("исполнитель уже выбран", "asked", "refused", {"name": "worker_chosen"}),
        Fault("проект в архиве", "asked", "refused", {"name": "project_archived"}),
        Fault("стоп-слова", "asked", "refused", {"name": "stop_words"}),
        Fault("не тот CSRF-ключ", "asked", "refused", {"name": "csrf"}),
        Fault("проект закрыт", "project", "refused", {"status": "stop"}, on="world"),
    ),
    "send_message": (
        Fault("expire_time", "asked", "refused", {"name": "expire_time", "seconds": 1}),
        Fault("переписка запрещена", "asked", "refused", {"name": "dialog_forbidden"}),
    ),
    "edit_gig": (
        Fault("не тот CSRF-ключ", "asked", "refused", {"name": "csrf"}),
        Fault("чеки для кворка", "asked", "refused", {"name": "receipts"}),
    ),
}
_ORDER_GONE = Fault("заказ отменили раньше", "order", "refused", {"event": "cancel_by_buyer"}, on="world")

BEFORE: Sequence[Fault] = (
    Fault("чтение до: 500", "error_500", "passes", on="reading"),
    Fault("чтение до: обрыв", "drop", "passes", {"when": "after"}, on="reading"),
    Fault("чтение до: нет сессии", "session_lost", "passes", on="reading"),
    Fault("чтение до: 503", "maintenance_503", "passes", on="reading"),
    Fault("чтение до: «Подождите»", "error", "passes", {"status": 429, "body": "", "headers": {"retry-after": 1}}, on="reading"),
    Fault("загрузка файла: обрыв", "drop", "passes", {"when": "after"}, on="upload"),
    Fault("загрузка файла: 500", "error_500", "passes", on="upload"),
    Fault("загрузка файла: нет сессии", "session_lost", "passes", on="upload"),
    Fault("черновик отклика: обрыв", "drop", "passes", {"when": "after"}, on="form"),
    Fault("черновик отклика: не тот CSRF-ключ", "asked", "refused", {"name": "csrf"}, on="form"),
)  # fmt: skip
"""Before anything that counts has left: the caller asks again with the same key, or nothing is noticed."""

UNCLEAR_PER_KIND = 4


def plan(kinds: Sequence[str], rng: random.Random) -> Iterator[tuple[str, Fault, int]]:
    """Kind, fault and the step that it concerns; every fault comes at least thrice over the kinds."""
    unclear, refused = _shuffled(UNCLEAR, rng), _shuffled(REFUSED, rng)
    for place, kind in enumerate(kinds):
        plain, _, with_files = kind.partition(" ")
        for number in range(UNCLEAR_PER_KIND):
            fault = unclear[(place * UNCLEAR_PER_KIND + number) % len(unclear)]
            yield kind, fault, number % 2 if plain == "deliver" else 0
        yield kind, refused[place % len(refused)], 0
        for fault in REFUSED_BY_KIND.get(kind, ()):
            yield kind, fault, 0
        for fault in _before(plain, place, has_files=bool(with_files) or plain == "deliver"):
            yield kind, fault, 0


def _before(kind: str, place: int, *, has_files: bool) -> Iterator[Fault]:
    readings = [fault for fault in BEFORE if fault.on == "reading"]
    if kind not in ("mark_read", "send_message"):
        yield readings[place % len(readings)]
        if kind not in ("respond", "delete_offer") and not kind.endswith("_gig"):
            yield _ORDER_GONE
    if has_files:
        # The mobile API takes files from anybody: there a lost session is not met.
        yield from (
            fault for fault in BEFORE
            if fault.on == "upload" and (kind == "respond" or fault.kind != "session_lost")
        )  # fmt: skip
    if kind == "respond":
        yield from (fault for fault in BEFORE if fault.on == "form")


def _shuffled(faults: Sequence[Fault], rng: random.Random) -> list[Fault]:
    found = list(faults)
    rng.shuffle(found)
    return found
