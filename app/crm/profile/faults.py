"""Faults of a profile as pydantic tells them: a stable code and a sentence, by path."""

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from app.crm.templates.language import Refused


def worded(code: str, words: str) -> PydanticCustomError:
    """The words come out as they are, braces and all."""
    return PydanticCustomError(code, "{words}", {"words": words})


def faults(found: Iterable[tuple[str, Refused]]) -> ValidationError:
    """One error for each path and sentence; a path is ``lead.create.body.name``."""
    unique = {(path, problem.code, str(problem)): None for path, problem in found}
    return ValidationError.from_exception_data(
        "Profile",
        [
            InitErrorDetails(type=worded(code, words), loc=_location(path), input=None)
            for path, code, words in unique
        ],
        hide_input=True,
    )


def _location(path: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in path.split(".")) if path else ()
