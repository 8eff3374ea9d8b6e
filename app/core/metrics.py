"""What this process counts, for Prometheus. Labels are bounded: no ids, no names that people choose.

What the database knows is not here: ``figures`` reads it. All names begin with ``kwork_``.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
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
    "kwork_leads_created_total", "Leads that a CRM made for us, by kind of CRM.", ("crm",), registry=REGISTRY
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

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_children: dict[tuple[str, str, int], Histogram] = {}


def request_done(method: str, route: str, status: int, seconds: float) -> None:
    """``route`` is a template of ours, or ``unmatched``."""
    key = (method if method in _METHODS else "other", route, status // 100)
    child = _children.get(key)
    if child is None:
        child = _children[key] = REQUEST_SECONDS.labels(key[0], route, f"{key[2]}xx")
    child.observe(seconds)
