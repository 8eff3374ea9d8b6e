"""One trace from a request through the job it queues to the CRM's calls; nothing at all where tracing is off."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.core import tracing
from app.core.database import Database
from app.marketplaces.kwork.browser.chromium import has_chromium
from app.repositories.jobs import CRM, KWORK, Jobs, shared_job
from tests.accounts import TENANT
from tests.api import Api, token
from tests.jobs_bed import workers
from tests.sync_bed import SyncBed

needs_chromium = pytest.mark.skipif(not has_chromium(None), reason="no Chromium on this machine")
FAR_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "canary-of-an-error-text"


class Spans:
    """What was exported so far."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def all(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]


@pytest.fixture
def spans() -> Iterator[Spans]:
    made = Spans()
    tracing.use(made.provider)
    yield made
    tracing.use(None)


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


@needs_chromium
@pytest.mark.parametrize("to_crm", [False, True])
async def test_a_sync_that_was_asked_for_is_one_trace_to_the_crm(
    idle_sync_bed: SyncBed, spans: Spans, to_crm: bool
) -> None:
    bed = idle_sync_bed
    tracing.use(spans.provider, to_crm=to_crm)
    mark = bed.stand.mark()
    async with bed.api.client(token(TENANT)) as client:
        asked = await client.post("/api/v1/crm-sync/sync-orders", json={"kinds": ["order"], "wait": False})
    assert asked.status_code == 202, asked.text
    async with workers(bed.work(), queues=(KWORK, CRM)):
        [run] = asked.json()["runs"]
        (ended,) = await bed.sync.wait(TENANT, [UUID(run["id"])], 60)
    assert ended.state == "done"
    [request] = spans.named("POST /api/v1/crm-sync/sync-orders")
    [job] = spans.named("job kwork.run_sync")
    calls = spans.named("CRM POST")
    assert request.parent is None
    assert job.parent is not None and request.context is not None
    assert job.parent.span_id == request.context.span_id
    assert len(calls) >= 16
    assert {trace_of(call) for call in calls} == {trace_of(request)}
    sent = [row["headers"].get("traceparent", "") for row in bed.stand.journal(surface="crm", since=mark)]
    expected = f"00-{trace_of(request):032x}-"
    assert all(header.startswith(expected) if to_crm else not header for header in sent)
    to_kwork = [*bed.stand.journal(surface="api", since=mark), *bed.stand.journal(surface="web", since=mark)]
    assert to_kwork
    assert not any("traceparent" in row["headers"] for row in to_kwork), "Kwork is never told"


async def test_a_request_goes_on_with_the_trace_of_the_gateway(api: Api, spans: Spans) -> None:
    async with api.admin("a") as client:
        await client.get("/api/v1/orders/1", headers={"traceparent": FAR_PARENT})
        await client.get("/api/v1/orders/1", headers={"traceparent": "nonsense"})
    far, own = spans.named("GET /api/v1/orders/{id}")
    assert f"{trace_of(far):032x}" == FAR_PARENT.split("-")[1]
    assert own.parent is None
    assert far.attributes is not None
    assert far.attributes["http.response.status_code"] == 404


def test_what_went_wrong_is_told_by_its_type_only(spans: Spans) -> None:
    with pytest.raises(RuntimeError), tracing.span("work"):
        raise RuntimeError(SECRET)
    assert spans.all()[0].status.description == "RuntimeError"
    assert SECRET not in spans.all()[0].to_json()


async def test_off_jobs_carry_ids_only(database: Database) -> None:
    assert tracing.traceparent() is None
    async with database.shared() as connection:
        await Jobs(connection).defer(shared_job("upkeep"))
        args = await connection.fetchval("SELECT args FROM procrastinate_jobs")
    assert args == {"stream": "upkeep"}


async def test_on_jobs_carry_the_trace_as_well(database: Database, spans: Spans) -> None:
    with tracing.span("work"):
        async with database.shared() as connection:
            await Jobs(connection).defer(shared_job("upkeep"))
            args = await connection.fetchval("SELECT args FROM procrastinate_jobs")
    assert args["traceparent"].split("-")[1] == f"{trace_of(spans.all()[0]):032x}"
