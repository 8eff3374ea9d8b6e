"""Every operation of the API with made-up requests, right ones and wrong ones, by schemathesis: a report of what broke.

What must hold: no answer is a fault of ours (500, or a value that PostgreSQL could not take), and every answer has a
status, a content type and a body that the OpenAPI document names. Requests that name things by id name existing ones
every second time, so that more than «not found» is tried.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    NotAServerErrorConfig,
    PhasesConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
    SimpleCheckConfig,
)
from schemathesis.config._checks import MissingRequiredHeaderConfig, NegativeDataRejectionConfig
from schemathesis.config._health_check import HealthCheck
from schemathesis.config._phases import (
    CoveragePhaseConfig,
    ExamplesPhaseConfig,
    FuzzingPhaseConfig,
    StatefulPhaseConfig,
)
from schemathesis.core.failures import Failure
from schemathesis.engine import events, from_schema

Known = Mapping[str, Mapping[str, str]]
"""Path prefix → parameter → the id of a thing that exists."""
_OFF = SimpleCheckConfig(enabled=False)
_SECONDS = 60.0
_TENANT_HEADER = "x-tenant-id"
_KEY_HEADER = "x-api-key"


@dataclass(slots=True)
class Report:
    """What was asked and what broke: per operation and kind of failure one example."""

    operations: set[str] = field(default_factory=set)
    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def summary(self) -> str:
        told = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()))
        return f"operations {len(self.operations)}, requests {self.requests}, failures {len(self.failures)} ({told})"

    def lines(self) -> list[str]:
        return [f"{operation}: {kind}\n  {text}" for (operation, kind), text in sorted(self.failures.items())]


def fuzz(
    document: dict[str, Any],
    url: str,
    token: Callable[[], str],
    *,
    known: Known,
    seed: int,
    examples: int,
    boundaries: bool = True,
    only: str | None = None,
) -> Report:
    """``examples`` right and as many wrong requests per operation; ``boundaries`` adds those at the edges of every
    schema, however many there are. ``token`` makes a new one each time, as some operations revoke it. ``only``: a
    regular expression for ``METHOD /path``.
    """
    schema = schemathesis.openapi.from_dict(document, config=_config(url, seed, examples, boundaries))
    if only is not None:
        schema = schema.include(name_regex=only)
    report = Report()
    hook = _before_call(token, known)
    schemathesis.hook(hook)
    try:
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                _note(report, event)
            elif isinstance(event, events.NonFatalError | events.FatalError):
                report.failures[(getattr(event, "label", "run"), "error")] = str(
                    getattr(event, "value", None) or getattr(event, "exception", event)
                )
    finally:
        schemathesis.hooks.unregister(hook)
    return report


def _config(url: str, seed: int, examples: int, boundaries: bool) -> SchemathesisConfig:
    generation = GenerationConfig(
        modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
        max_examples=examples,
        no_shrink=True,
        deterministic=True,
        database="none",
    )
    checks = ChecksConfig(
        not_a_server_error=NotAServerErrorConfig(enabled=False),  # 502 and 503 are answers; ours looks closer
        positive_data_acceptance=PositiveDataAcceptanceConfig(
            enabled=False
        ),  # what a schema cannot say is refused, too
        negative_data_rejection=NegativeDataRejectionConfig(enabled=False),
        missing_required_header=MissingRequiredHeaderConfig(enabled=False),
        # A path with a name in the place of an id (``/crm/connection/check``) takes the methods of both.
        unsupported_method=_OFF,
        allow_header_conformance=_OFF,
        use_after_free=_OFF,
        ensure_resource_availability=_OFF,
        ignored_auth=_OFF,  # tests of isolation ask every operation without a token, and with others' tokens
    )
    project = ProjectConfig(
        base_url=url,
        request_timeout=_SECONDS,
        continue_on_failure=True,
        generation=generation,
        checks=checks,
        phases=PhasesConfig(
            examples=ExamplesPhaseConfig(enabled=True),
            coverage=CoveragePhaseConfig(enabled=boundaries, generate_duplicate_query_parameters=True),
            fuzzing=FuzzingPhaseConfig(enabled=examples > 0),
            stateful=StatefulPhaseConfig(enabled=False),
        ),
    )
    return SchemathesisConfig(
        seed=seed, suppress_health_check=list(HealthCheck), projects=ProjectsConfig(default=project)
    )


def _before_call(token: Callable[[], str], known: Known) -> Callable[..., None]:
    numbers = itertools.count()

    def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
        number = next(numbers)
        # Two credentials at once are refused before anything else is looked at.
        made = {name: value for name, value in (case.headers or {}).items() if name.lower() != _KEY_HEADER}
        if number % 10:  # a made-up tenant is refused before anything else is looked at: seldom enough
            made = {name: value for name, value in made.items() if name.lower() != _TENANT_HEADER}
        case.headers = {**made, "Authorization": f"Bearer {token()}"}
        if case.operation.path == "/api/v1/events":
            case.query = {**(case.query or {}), "follow": "false"}  # else it never ends
        if number % 2:
            for prefix, ids in known.items():
                if case.operation.path.startswith(prefix):
                    case.path_parameters = {
                        name: ids.get(name, value) for name, value in (case.path_parameters or {}).items()
                    }

    return before_call


def _note(report: Report, event: events.ScenarioFinished) -> None:
    recorder = event.recorder
    if event.label is not None:
        report.operations.add(event.label)
    for case_id, interaction in recorder.interactions.items():
        report.requests += 1
        if interaction.response is not None:
            report.statuses[interaction.response.status_code] += 1
        for check in recorder.checks.get(case_id, ()):
            if check.failure_info is None:
                continue
            found = check.failure_info
            key = (recorder.cases[case_id].value.operation.label, check.name)
            report.failures.setdefault(key, _text(found.failure, found.code_sample))


def _text(failure: Failure, sample: str) -> str:
    return f"{failure.title}: {failure.message[:600]}\n  {sample[:1500]}"


@schemathesis.check
def no_fault_of_ours(context: CheckContext, response: Response, case: Case) -> None:
    """500, and 503 of a database that is there, are faults; that a vendor cannot be reached is an answer."""
    if response.status_code < 500:
        return
    code = response.json().get("code")
    assert response.status_code != 500 and code != "database_unavailable", f"{response.status_code} {code}"
