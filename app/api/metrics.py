"""The page Prometheus reads: what this process counted, and in the API's process what the database knows.

Labels are bounded: kinds, states, streams and route templates. Tenants only where ``METRICS_TENANTS`` says so.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.types import Receive, Scope, Send

from app.api.edge import header_values
from app.api.v1.deps import UseCases, settings_of
from app.core.metrics import REGISTRY
from app.core.settings import Settings
from app.domain.accounts import AccountState
from app.domain.crm import Entity
from app.domain.errors import Unauthenticated
from app.domain.writes import WriteState
from app.repositories.figures import Figure
from app.repositories.jobs import QUEUES

router = APIRouter()

PATH = "/metrics"
_WAITING = ("pending", "in_flight", "retry", "unknown")
_OPEN_WRITES = (WriteState.PREPARED, WriteState.CONFIRMED, WriteState.COMMITTING, WriteState.UNKNOWN)


@router.get(PATH, include_in_schema=False)
async def metrics(request: Request, services: UseCases) -> Response:
    """The page of the API's process. No such route where ``METRICS_ENABLED`` is off; raises ``Unauthenticated``."""
    settings = settings_of(request)
    if not settings.metrics_enabled:
        raise HTTPException(404)
    if not _may_read(request.scope, settings):
        raise Unauthenticated("Метрики открывает токен из METRICS_TOKEN.", code="metrics_token_needed")
    found = await services.figures.read() if services.figures else None
    return Response(await asyncio.to_thread(page, found), media_type=CONTENT_TYPE_LATEST)


class WorkerPage:
    """ASGI: ``/metrics`` under the same rule as the API's, ``/health`` for whoever watches the process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers GET only."""
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return Response(status_code=405)
        if scope["path"] == "/health":
            return Response(b'{"status":"ok"}', media_type="application/json")
        if scope["path"] != PATH or not self._settings.metrics_enabled:
            return Response(status_code=404)
        if not _may_read(scope, self._settings):
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


def page(figures: Sequence[Figure] | None) -> bytes:
    """``None``: the database does not tell now; ``kwork_figures_up`` is 0 then, and its figures are left out."""
    shared = CollectorRegistry(auto_describe=False)
    shared.register(_Families(figures))
    return generate_latest(REGISTRY) + generate_latest(shared)


def _may_read(scope: Scope, settings: Settings) -> bool:
    if settings.metrics_token is None:
        return True
    wanted = f"Bearer {settings.metrics_token.get_secret_value()}"
    given = header_values(scope, b"authorization")
    return len(given) == 1 and hmac.compare_digest(given[0].encode(), wanted.encode())


class _Families(Collector):
    """One look at the figures as Prometheus's metrics. What there is none of is told as 0."""

    def __init__(self, figures: Sequence[Figure] | None) -> None:
        self._figures = figures

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("kwork_figures_up", "1 when the database told the figures below, else 0.")
        up.add_metric((), float(self._figures is not None))
        yield up
        if self._figures is None:
            return
        of_all = [figure for figure in self._figures if figure.tenant is None]
        found = {(figure.name, figure.label): figure for figure in of_all}
        yield from (_family(shown, found) for shown in _SHOWN)
        yield from _families_of_tenants([figure for figure in self._figures if figure.tenant is not None])


_Found = Mapping[tuple[str, str], Figure]


@dataclass(frozen=True, slots=True)
class _Shown:
    """A metric of figures: how many there are, or (``ages``) how old the oldest is, in seconds."""

    name: str
    told: str
    labels: tuple[str, ...]
    figure: str
    always: tuple[str, ...] = ()
    """Labels that are told as 0 where there is none."""
    ages: bool = False


_DELIVERIES = tuple(f"{entity}/{state}" for entity in Entity for state in (*_WAITING, "parked"))
_JOBS = tuple(f"{queue}/{state}" for queue in QUEUES for state in ("todo", "doing", "failed"))
_ENTITY, _STREAM, _STATE = ("entity", "state"), ("stream",), ("state",)
_SHOWN = (
    _Shown("kwork_deliveries", "Deliveries to CRMs that are not done.", _ENTITY, "deliveries", _DELIVERIES),
    _Shown(
        "kwork_delivery_oldest_seconds", "Age of the oldest.", _ENTITY, "deliveries", _DELIVERIES, ages=True
    ),
    _Shown("kwork_accounts", "Kwork accounts.", _STATE, "accounts", tuple(AccountState)),
    _Shown(
        "kwork_layout_drift", "Readings stopped by a changed shape of Kwork.", ("reading",), "layout_drift"
    ),
    _Shown("kwork_sync_due", "Streams of accounts, and shared ones, that are due.", _STREAM, "lag"),
    _Shown("kwork_sync_lag_seconds", "How long the one most behind is due.", _STREAM, "lag", ages=True),
    _Shown("kwork_writes", "Writes to Kwork that are not at their end.", _STATE, "writes", _OPEN_WRITES),
    _Shown("kwork_write_oldest_seconds", "Age of the oldest.", _STATE, "writes", _OPEN_WRITES, ages=True),
    _Shown("kwork_crm_breakers", "Live CRM connections by their breaker.", ("crm", "state"), "breakers"),
    _Shown("kwork_jobs", "Jobs in the queue.", ("queue", "state"), "jobs", _JOBS),
    _Shown(
        "kwork_job_oldest_seconds", "Age of the oldest that waits.", ("queue", "state"), "jobs", ages=True
    ),
    _Shown("kwork_workers", "Workers that told of themselves.", (), "workers", ("",)),
)


def _family(shown: _Shown, found: _Found) -> Metric:
    family = GaugeMetricFamily(shown.name, shown.told, labels=shown.labels)
    for label in _labels(found, shown):
        known = found.get((shown.figure, label))
        amount = (known.oldest if shown.ages else known.amount) if known else None
        family.add_metric(_split(label, shown.labels), amount or 0.0)
    return family


def _labels(found: _Found, shown: _Shown) -> list[str]:
    there = sorted(label for name, label in found if name == shown.figure)
    return list(dict.fromkeys((*(str(label) for label in shown.always), *there)))


def _split(label: str, labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(label.split("/", len(labels) - 1)) if labels else ()


def _families_of_tenants(figures: Sequence[Figure]) -> Iterable[Metric]:
    if not figures:
        return
    deliveries = GaugeMetricFamily(
        "kwork_tenant_deliveries", "As kwork_deliveries, of one tenant.", labels=("tenant", "entity", "state")
    )
    lag = GaugeMetricFamily(
        "kwork_tenant_sync_lag_seconds",
        "As kwork_sync_lag_seconds, of one tenant.",
        labels=("tenant", "stream"),
    )
    counts = {
        (figure.tenant, figure.label): figure.amount for figure in figures if figure.name == "deliveries"
    }
    for tenant in sorted({figure.tenant or "" for figure in figures}):
        for label in _DELIVERIES:
            deliveries.add_metric((tenant, *_split(label, _ENTITY)), counts.get((tenant, label), 0.0))
    for figure in figures:
        if figure.name == "lag":
            lag.add_metric((figure.tenant or "", figure.label), figure.oldest or 0.0)
    yield deliveries
    yield lag
