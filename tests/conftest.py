"""Fixtures shared by all tests live in modules of their own, named here."""

from __future__ import annotations

pytest_plugins = [
    "tests.external_servers",
    "tests.database",
    "tests.embedded",
    "tests.stand_fixtures",
    "tests.web_client",
    "tests.redis_fixtures",
    "tests.api",
    "tests.accounts",
    "tests.connected",
    "tests.service",
    "tests.ledger",
    "tests.external_postgres",
    "tests.kwork_writing",
    "tests.page_writing",
    "tests.sync_bed",
    "tests.news_bed",
    "tests.search_bed",
    "tests.gateway",
    "tests.logs",
]
