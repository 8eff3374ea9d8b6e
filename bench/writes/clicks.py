"""Double clicks: ten equal calls at once, with one Idempotency-Key and without; a key used for another body."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from bench.goal import Goal
from bench.writes.asked import Asked
from bench.writes.bed import Bed
from bench.writes.caller import arrived, done
from bench.writes.kinds import KINDS

TIMES = 10
CLICKED = ("respond", "take_order", "report_progress", "deliver", "send_message", "edit_gig", "pause_gig")


def measure(bed: Bed) -> list[Goal]:
    """Three goals, each over all ``CLICKED``."""
    caller = bed.caller()
    name = bed.lanes()[0]
    maker = bed.maker(name, caller, "click")
    with_key, without_key, reused = ([KINDS[kind](maker) for kind in CLICKED] for _ in range(3))
    bed.read_new_things()
    return [
        _goal("Десять нажатий с одним Idempotency-Key: одна отправка, десять одинаковых ответов", bed, with_key, _equal),
        _goal("Десять нажатий без ключа: одна отправка, девять отказов с её номером", bed, without_key, _named),
        _reused(bed, reused),
    ]  # fmt: skip


def _goal(what: str, bed: Bed, asked: list[Asked], check: Any) -> Goal:
    wrong = []
    for one in asked:
        headers = {"Idempotency-Key": one.key} if check is _equal else {}
        with ThreadPoolExecutor(TIMES) as pool:
            answers = list(pool.map(lambda _: _call(bed, one, headers), range(TIMES)))  # noqa: B023
        if not check(answers) or not _once(bed, one):
            wrong.append(f"{one.kind} {Counter(answer.status_code for answer in answers)}")
    return Goal(
        what,
        f"{len(asked) - len(wrong)} из {len(asked)} {'; '.join(wrong)}",
        "все",
        not wrong,
        len(asked) * TIMES,
    )


def _reused(bed: Bed, asked: list[Asked]) -> Goal:
    """The same key with another body is refused, and nothing of it arrives."""
    wrong = []
    for one, other in zip(asked, asked[1:] + asked[:1], strict=True):
        headers = {"Idempotency-Key": one.key}
        first = _call(bed, one, headers) if not arrived(bed.stand, one.deeds[0]) else None
        before = sum(arrived(bed.stand, deed) for deed in other.deeds)
        second = _call(bed, other, headers)
        after = sum(arrived(bed.stand, deed) for deed in other.deeds)
        is_refused = second.status_code == 422 and second.json()["code"] == "idempotency_key_reused"
        if first is None or first.status_code != 200 or not is_refused or before != after:
            wrong.append(f"{one.kind} {second.status_code}")
    return Goal(
        "Тот же ключ с другим содержанием: отказ, ничего не ушло",
        f"{len(asked) - len(wrong)} из {len(asked)} {'; '.join(wrong)}", "все", not wrong, len(asked),
    )  # fmt: skip


def _call(bed: Bed, asked: Asked, headers: Mapping[str, str]) -> httpx2.Response:
    return bed.api.request(asked.method, asked.path, json=asked.json, params=asked.params, headers=headers)


def _equal(answers: list[httpx2.Response]) -> bool:
    return {answer.status_code for answer in answers} == {200} and len(
        {answer.text for answer in answers}
    ) == 1


def _named(answers: list[httpx2.Response]) -> bool:
    sent = [answer.json() for answer in answers if answer.status_code == 200]
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    return (
        len(sent) == 1
        and len(refused) == TIMES - 1
        and {one["write_id"] for one in refused} == {sent[0]["id"]}
    )


def _once(bed: Bed, asked: Asked) -> bool:
    return all(done(bed.stand, deed) == arrived(bed.stand, deed) == 1 for deed in asked.deeds)
