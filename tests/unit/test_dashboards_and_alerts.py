"""Dashboards, alerts and the page they are drawn from fit together."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.api.metrics import page
from app.core.metrics import (
    BROWSER_CONTEXTS,
    DELIVERIES_SETTLED,
    JOBS_DONE,
    LAYOUT_DRIFTS,
    LEADS_CREATED,
    orders_processed,
    reading_failed,
    request_done,
)
from app.repositories.figures import Figure
from deploy.grafana.build import DASHBOARDS
from deploy.grafana.panels import text
from tests.observed import PROMETHEUS, alerts, expressions, named
from tests.stand import ROOT


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    """Names of all samples, and the labels each may have, once everything has happened at least once."""
    request_done("GET", "/api/v1/orders", 200, 0.01)
    reading_failed("news", "unavailable")
    orders_processed("order", new=1, changed=1, unchanged=1)
    LAYOUT_DRIFTS.labels("news").inc()
    LEADS_CREATED.labels("native", "created").inc()
    DELIVERIES_SETTLED.labels("lead", "done").inc()
    JOBS_DONE.labels("crm.push", "done").inc()
    BROWSER_CONTEXTS.set(0)
    figures = [
        Figure("lag", "news", 1, 1.0),
        Figure("layout_drift", "orders", 1, 1.0),
        Figure("breakers", "native/open", 1, 1.0),
        Figure("jobs", "crm/todo", 1, 1.0),
        Figure("deliveries", "lead/retry", 1, 1.0, "a"),
        Figure("lag", "news", 1, 1.0, "a"),
    ]
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(page(figures).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize(("where", "expression"), list(expressions()), ids=lambda value: str(value)[:60])
def test_every_metric_and_label_asked_for_is_told(
    told: dict[str, set[str]], where: str, expression: str
) -> None:
    names = named(expression)
    assert names <= told.keys()
    known = {"instance", "job", "le"}.union(*(told[name] for name in names))
    grouped = re.findall(r"\b(?:by|without) \(([^)]*)\)", expression)
    matched = re.findall(r"[{,]\s*([a-z_]+)(?:=~|!~|!=|=)", expression)
    asked = {label.strip() for labels in grouped for label in labels.split(",")} | set(matched)
    assert asked <= known, (where, asked - known)


def test_what_is_told_is_shown_somewhere(told: dict[str, set[str]]) -> None:
    shown = " ".join(expression for _, expression in expressions())
    ours = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in told if name.startswith("kwork_")}
    assert {name for name in ours if name not in shown} <= {"kwork_sync_due", "kwork_write_oldest_seconds"}


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_files_are_what_the_code_says(name: str) -> None:
    file = ROOT / "deploy" / "grafana" / "dashboards" / f"{name}.json"
    assert file.read_text(encoding="utf-8") == text(DASHBOARDS[name]), "python -m deploy.grafana.build"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_stand_beside_each_other(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(text(DASHBOARDS[name]))["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_has_a_test_and_an_advice() -> None:
    names = {rule["alert"] for rule in alerts()}
    cases = (PROMETHEUS / "alerts.test.yml").read_text(encoding="utf-8")
    advice = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    assert {name for name in names if cases.count(f'alertname="{name}"') < 2} == set()
    assert {name for name in names if f"`{name}`" not in advice} == set()


@pytest.mark.parametrize(
    "arguments", [("check", "config", "prometheus.yml"), ("test", "rules", "alerts.test.yml")]
)
def test_promtool_agrees(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: expressions were checked by name only, alerts were not run")
    ended = subprocess.run(
        [promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
