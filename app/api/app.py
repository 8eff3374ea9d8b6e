"""Builds the HTTP application from the use cases. Holds no state of its own."""

from __future__ import annotations

import importlib.util
from importlib import import_module

from fastapi import FastAPI, Response
from starlette.middleware.cors import CORSMiddleware

from app import VERSION
from app.api import metrics, problems
from app.api.bodies import BodyLimit
from app.api.describe import document_of
from app.api.docs import add_docs
from app.api.edge import API_PREFIX, Edge, Paths
from app.api.observe import Observed
from app.api.rows import json_answer
from app.api.v1 import (
    accounts,
    api_keys,
    attachments,
    audit,
    auth,
    chat,
    chat_writes,
    crm_connection,
    crm_events,
    crm_failures,
    crm_history,
    crm_mapping,
    events,
    files,
    gig_writes,
    gigs,
    health,
    offers,
    order_writes,
    orders,
    searches,
    webhooks,
    writes,
)
from app.core.settings import Settings
from app.services.container import Services

TITLE = "Kwork Service"


def create_app(services: Services, settings: Settings) -> FastAPI:
    """The application: routes under ``/api/v1``, ``/health`` and ``/docs``."""
    app = FastAPI(
        title=TITLE,
        version=VERSION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False},
    )
    app.state.services = services
    app.state.settings = settings
    app.state.tenant_header = settings.tenant_id_header.lower().encode()
    _add_middleware(app, settings)
    problems.install(app)
    _add_routes(app)
    _add_front_page(app, settings)
    if settings.docs_enabled:
        add_docs(app, TITLE, ("", API_PREFIX), root_path=settings.root_path)
    app.openapi = document_of(  # type: ignore[method-assign]
        app, tenant_header=settings.tenant_id_header, root_path=settings.root_path
    )
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Last added is outermost."""
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.max_body_bytes,
        seconds=settings.body_seconds,
        on_refusal=problems.BODY_REFUSALS,
        own_limits=frozenset({("POST", API_PREFIX + files.PATH)}),
    )
    app.add_middleware(Paths, root_path=settings.root_path, on_long_query=problems.QUERY_TOO_LONG)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Last-Event-ID",
                "X-API-Key",
                settings.tenant_id_header,
                "X-Request-ID",
            ],
            expose_headers=["X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"],
        )
    app.add_middleware(Edge, on_error=problems.internal_error, hsts_seconds=settings.hsts_seconds)
    app.add_middleware(Observed)


def _add_routes(app: FastAPI) -> None:
    # What CRMs ask for again and again first: routes are tried in order, and a router within a router tries them twice.
    for module in (
        orders,
        crm_history,
        chat,
        gigs,
        accounts,
        auth,
        api_keys,
        audit,
        order_writes,
        chat_writes,
        gig_writes,
        writes,
        offers,
        searches,
        files,
        attachments,
        events,
        webhooks,
        crm_connection,
        crm_events,
        crm_mapping,
        crm_failures,
    ):
        app.include_router(module.router, prefix=API_PREFIX)
    if importlib.util.find_spec("app.api.v1.crm_sync"):
        app.include_router(import_module("app.api.v1.crm_sync").router, prefix=API_PREFIX)
    app.include_router(metrics.router)
    app.include_router(health.router)
    app.include_router(health.router, prefix=API_PREFIX, include_in_schema=False)


def _add_front_page(app: FastAPI, settings: Settings) -> None:
    @app.get("/", include_in_schema=False)
    async def front_page() -> Response:
        links = {"health": "/health", "api": API_PREFIX}
        if settings.docs_enabled:
            links["docs"] = "/docs"
        return json_answer({"service": TITLE, "version": VERSION, **links})
