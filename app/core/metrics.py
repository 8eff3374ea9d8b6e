"""What this process counts, for Prometheus. Labels are bounded: no ids, no names that people choose.

What the database knows is not here: ``figures`` reads it. All names begin with ``kwork_``.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app.core.log_cap import flooded, lost

REGISTRY = CollectorRegistry()
"""Of this process."""
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

REQUEST_SECONDS = Histogram(
    "kwork_http_request_seconds",
    "Time from a request's head to the end of its answer, by route template. Event streams are left out.",
    ("method", "route", "status"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
ORDERS_PROCESSED = Counter(
    "kwork_orders_processed_total",
    "Projects and orders read from Kwork and stored, by kind and by whether they were new, changed or the same.",
    ("kind", "outcome"),
    registry=REGISTRY,
)
LEADS_CREATED = Counter(
    "kwork_leads_created_total",
    "Leads made in a CRM, by its kind; adopted: found there after an unclear answer, or made by somebody else.",
    ("crm", "outcome"),
    registry=REGISTRY,
)
DELIVERIES_SETTLED = Counter(
    "kwork_deliveries_settled_total",
    "Deliveries to a CRM that came to an end or to a person, by entity and state.",
    ("entity", "state"),
    registry=REGISTRY,
)
SYNC_ERRORS = Counter(
    "kwork_sync_errors_total",
    "Readings of Kwork and sync runs that failed, by stream and stable code.",
    ("stream", "code"),
    registry=REGISTRY,
)
LAYOUT_DRIFTS = Counter(
    "kwork_layout_drift_total",
    "Answers of Kwork that had another shape than known, by what was read.",
    ("reading",),
    registry=REGISTRY,
)
JOBS_DONE = Counter(
    "kwork_jobs_done_total",
    "Jobs this process carried out, by task and outcome.",
    ("task", "outcome"),
    registry=REGISTRY,
)
BROWSER_CONTEXTS = Gauge(
    "kwork_browser_contexts", "Private contexts of the shared Chromium that are lent now.", registry=REGISTRY
)


class _LostLines(Collector):
    """Log lines that were never written, counted where they are lost."""

    def collect(self) -> Iterable[Metric]:
        """One sample a reason."""
        family = CounterMetricFamily(
            "kwork_log_lines_dropped",
            "Log lines never written: over the cap (flood), the writer behind (queue), no room (write).",
            labels=("reason",),
        )
        for reason, number in {**lost, "flood": flooded()}.items():
            family.add_metric((reason,), number)
        yield family


REGISTRY.register(_LostLines())

_MOST_CODES = 100
_codes: set[str] = set()


def reading_failed(stream: str, code: str | None) -> None:
    """A reading or run ended with that stable code. Beyond a hundred of them the rest is ``other``."""
    code = code or "unknown"
    if code not in _codes:
        if len(_codes) >= _MOST_CODES:
            code = "other"
        _codes.add(code)
    SYNC_ERRORS.labels(stream, code).inc()


def orders_processed(kind: str, *, new: int, changed: int, unchanged: int) -> None:
    """``kind``: ``project`` or ``order``; what a stored page held."""
    for outcome, number in (("new", new), ("changed", changed), ("unchanged", unchanged)):
        if number:
            ORDERS_PROCESSED.labels(kind, outcome).inc(number)


_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_children: dict[tuple[str, str, int], Histogram] = {}


def request_done(method: str, route: str, status: int, seconds: float) -> None:
    """``route`` is a template of ours, or ``unmatched``."""
    key = (method if method in _METHODS else "other", route, status // 100)
    child = _children.get(key)
    if child is None:
        child = _children[key] = REQUEST_SECONDS.labels(key[0], route, f"{key[2]}xx")
    child.observe(seconds)
