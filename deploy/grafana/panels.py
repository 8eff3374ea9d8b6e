"""Panels and dashboards, and the JSON Grafana imports."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

PROMETHEUS = {"type": "prometheus", "uid": "${metrics}"}
LOKI = {"type": "loki", "uid": "${logs}"}


@dataclass(frozen=True, slots=True)
class Panel:
    """Queries are pairs of expression and legend. ``kind``: ``timeseries``, ``stat`` or ``logs``."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    told: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Rows are pairs of title and panels."""

    uid: str
    title: str
    rows: Sequence[tuple[str, Sequence[Panel]]]
    variables: Sequence[dict[str, Any]] = field(default_factory=tuple)


def built(dashboard: Dashboard) -> dict[str, Any]:
    """As Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in dashboard.rows:
        panels.append(
            {
                "type": "row",
                "title": title,
                "id": len(panels) + 1,
                "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
                "collapsed": False,
                "panels": [],
            }
        )
        x, y, height = 0, y + 1, 0
        for panel in row:
            height = 4 if panel.kind == "stat" else 8
            if x + panel.width > 24:
                x, y = 0, y + height
            place = {"x": x, "y": y, "w": panel.width, "h": height}
            panels.append(_panel(panel, len(panels) + 1, place))
            x += panel.width
        y += height
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["kwork-service"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [*_sources(), *(_variable(one) for one in dashboard.variables)]},
        "panels": panels,
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    source = LOKI if panel.kind in ("logs", "loki") else PROMETHEUS
    found: dict[str, Any] = {
        "id": number,
        "type": "timeseries" if panel.kind == "loki" else panel.kind,
        "title": panel.title,
        "description": panel.told,
        "datasource": source,
        "gridPos": place,
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expression, "legendFormat": legend, "datasource": source}
            for place, (expression, legend) in enumerate(panel.queries)
        ],
    }
    if panel.kind == "logs":
        found["options"] = {"showTime": True, "wrapLogMessage": True, "sortOrder": "Descending"}
    else:
        found["fieldConfig"] = {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []}
    return found


def _sources() -> list[dict[str, Any]]:
    return [
        {"name": name, "label": label, "type": "datasource", "query": kind, "current": {}}
        for name, label, kind in (("metrics", "Prometheus", "prometheus"), ("logs", "Loki", "loki"))
    ]


def _variable(given: dict[str, Any]) -> dict[str, Any]:
    if given["type"] == "query":
        return {
            **given,
            "datasource": PROMETHEUS,
            "includeAll": True,
            "allValue": ".*",
            "refresh": 2,
            "sort": 1,
        }
    return {**given, "query": "", "current": {"text": "", "value": ""}}


def text(dashboard: Dashboard) -> str:
    """What its file holds."""
    return json.dumps(built(dashboard), ensure_ascii=False, indent=1) + "\n"
