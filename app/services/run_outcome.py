"""How a run ends: the state, the stable code and the Russian sentence that ``sync-status`` shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.errors import LayoutChanged, ServiceError

DRIFT_CODE = "layout_drift"
_MOST_PATHS = 5


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """``done`` or ``failed``; a run that is done may have a code, too (``layout_drift``)."""

    state: str
    code: str | None = None
    reason: str | None = None


def outcome_of(error: ServiceError | None, drift: Iterable[str]) -> RunOutcome:
    """``error`` ended the run or a part of it; ``drift`` is what could not be read although the run went on."""
    if isinstance(error, LayoutChanged):
        return RunOutcome(
            "failed",
            error.code,
            f"Kwork изменил вид данных ({error.path}): прочитать их не удалось, сохранённое не тронуто. "
            "Следующий запуск попробует снова; если не поможет, обновите сервис или сообщите разработчику.",
        )
    if error is not None:
        return RunOutcome("failed", error.code, error.detail)
    paths = list(drift)
    if not paths:
        return RunOutcome("done")
    more = f" и ещё {len(paths) - _MOST_PATHS}" if len(paths) > _MOST_PATHS else ""
    return RunOutcome(
        "done",
        DRIFT_CODE,
        f"Kwork изменил вид данных ({', '.join(paths[:_MOST_PATHS])}{more}): прочитано иначе или без этих полей, "
        "прежние значения сохранены. Сообщите разработчику.",
    )


CRASHED = RunOutcome(
    "failed",
    "internal",
    "Внутренняя ошибка: подробности в журнале сервиса. Повторите синхронизацию.",
)

DATABASE_LOST = RunOutcome(
    "failed",
    "database_unavailable",
    "База данных была недоступна. Что прочитано, сохранено; повторите синхронизацию.",
)
