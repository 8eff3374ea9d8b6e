"""Optional OpenTelemetry traces: one from a request through the jobs it queues to the CRM's calls.

Off unless ``TRACING_URL`` is set. Off, a span costs one look at a variable. Spans carry no addresses, bodies or texts of
errors: these may hold secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from app.core.logging import about
from app.core.settings import Settings

_FIELD = "traceparent"

_tracer: Any = None
_to_crm = False


def configure_tracing(settings: Settings, role: str) -> None:
    """Once per process; ``role`` tells the API from a worker."""
    if settings.tracing_url is None:
        return
    # Imported where it is on: a tenth of a second and 10 MB.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import TraceIdRatioBased  # noqa: PLC0415

    provider = TracerProvider(
        # By the trace's id: every process decides the same for all of its parts.
        sampler=TraceIdRatioBased(settings.tracing_share),
        resource=Resource.create({"service.name": f"kwork-service-{role}"}),
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(settings.tracing_url, timeout=5)))
    use(provider, to_crm=settings.tracing_to_crm)


def use(provider: Any | None, *, to_crm: bool = False) -> None:
    """Spans go to that provider from now on; ``None``: nowhere."""
    global _tracer, _to_crm  # noqa: PLW0603 - so are tracers
    _tracer = provider.get_tracer("kwork-service") if provider is not None else None
    _to_crm = to_crm


def is_on() -> bool:
    """Whether spans go anywhere."""
    return _tracer is not None


@contextmanager
def span(name: str, kind: str = "INTERNAL", *, parent: str | None = None, **attributes: str) -> Iterator[Any]:
    """A part of the trace at hand, or of the one that ``parent`` (a ``traceparent``) names. Gives the span, or None.

    Lines logged inside carry the trace's id as ``trace``.
    """
    if _tracer is None:
        yield None
        return
    from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 - only where it is on

    started = _tracer.start_as_current_span(
        name,
        context=_context(parent),
        kind=SpanKind[kind],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    )
    with started as current, about(trace=f"{current.get_span_context().trace_id:032x}"):
        try:
            yield current
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def traceparent() -> str | None:
    """Of the part at hand, for whoever goes on with it."""
    if _tracer is None:
        return None
    carrier: dict[str, str] = {}
    _propagator().inject(carrier)
    return carrier.get(_FIELD)


def headers_to_crm() -> Sequence[tuple[str, str]]:
    """Headers that let a CRM go on with the trace; none unless ``TRACING_TO_CRM`` allows it."""
    found = traceparent() if _to_crm else None
    return ((_FIELD, found),) if found else ()


def _context(parent: str | None) -> Any:
    return _propagator().extract({_FIELD: parent}) if parent else None


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    return TraceContextTextMapPropagator()
