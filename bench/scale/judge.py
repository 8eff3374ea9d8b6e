"""What was measured against the goals."""

from __future__ import annotations

from bench.goal import Goal
from bench.scale.measure import Measured

MOST_CPU = 0.60
MOST_MEMORY = 400.0
OLDEST = 75.0
_CURVE = 0.15
"""So far from a straight line the cost of the middle sizes may be, as a share of the largest."""
_JITTERED = 0.8


def judge(found: list[Measured], poll_seconds: float) -> list[Goal]:
    """One row per goal that these sizes can tell something about."""
    goals: list[Goal] = []
    one = [each for each in found if each.workers == 1]
    if one:
        goals += _largest(one[-1])
    if len(one) > 1:
        goals += [_exchange(one), _linear(one)]
    goals += [_once(each, poll_seconds) for each in found if each.workers == 2]
    return goals


def _largest(it: Measured) -> list[Goal]:
    what = f"{it.accounts} аккаунтов, один работник"
    n = len(it.ages)
    return [
        Goal(f"{what}: возраст p99", f"{it.age_p99:.1f} с", f"≤ {OLDEST:.0f} с", it.age_p99 <= OLDEST, n),
        Goal(f"{what}: процессор", f"{it.cpu:.0%} ядра", f"≤ {MOST_CPU:.0%}", it.cpu <= MOST_CPU, it.polls),
        Goal(
            f"{what}: память", f"{it.memory:.0f} МБ", f"≤ {MOST_MEMORY:.0f} МБ", it.memory <= MOST_MEMORY, 1
        ),
        Goal(f"{what}: задания с ошибкой", str(it.failed_jobs), "0", it.failed_jobs == 0, it.polls),
    ]


def _exchange(one: list[Measured]) -> Goal:
    """Per minute, smallest against largest; a reading more or less may fall into the window."""
    rates = [60 * each.exchange_requests / each.seconds for each in one]
    spare = 2 * 60 / min(each.seconds for each in one)
    return Goal(
        "Запросы к бирже не растут с тенантами",
        " → ".join(f"{rate:.1f}" for rate in rates) + " в минуту",
        f"{one[-1].tenants} тенантов стоят как {one[0].tenants}",
        rates[-1] <= rates[0] + spare,
        sum(each.exchange_requests for each in one),
    )


def _linear(one: list[Measured]) -> Goal:
    """Least squares through the sizes; the largest distance from the line, as a share of the largest cost."""
    xs, ys = [float(each.accounts) for each in one], [each.cpu for each in one]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum(
        (x - mean_x) ** 2 for x in xs
    )
    base = mean_y - slope * mean_x
    bend = max(abs(y - (base + slope * x)) for x, y in zip(xs, ys, strict=True)) / max(ys)
    return Goal(
        "Цена растёт линейно",
        f"{base:.1%} + {1000 * slope:.1%} на 1000, кривизна {bend:.0%}",
        f"кривизна ≤ {_CURVE:.0%}",
        bend <= _CURVE,
        len(one),
    )


def _once(it: Measured, poll_seconds: float) -> Goal:
    """No two polls of an account come closer than the jitter lets them."""
    due = it.accounts * it.seconds / poll_seconds
    met = it.shortest_gap >= _JITTERED * poll_seconds and it.polls <= 1.15 * due
    return Goal(
        "Два работника: каждый аккаунт опрошен один раз",
        f"опросов {it.polls} при {due:.0f}, ближе всего {it.shortest_gap:.0f} с",
        f"не ближе {_JITTERED * poll_seconds:.0f} с",
        met,
        it.polls,
    )
