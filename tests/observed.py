"""What dashboards and alerts ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

from deploy.grafana.build import DASHBOARDS
from deploy.grafana.panels import built
from tests.stand import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
_FOREIGN = {"up"}
"""Made by Prometheus itself."""
_METRIC = re.compile(r"(?<![\w$\"=~{,])\b(?:kwork|process)_[a-z_]+|\bup\b(?=\{)")


def alerts() -> list[dict[str, Any]]:
    """All alert rules."""
    found = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in found["groups"] for rule in group["rules"]]


def expressions() -> Iterable[tuple[str, str]]:
    """Where one stands, and the expression."""
    for name, dashboard in DASHBOARDS.items():
        for panel in built(dashboard)["panels"]:
            if panel["type"] != "row" and panel["datasource"]["type"] == "prometheus":
                yield from ((f"{name}: {panel['title']}", target["expr"]) for target in panel["targets"])
    yield from ((rule["alert"], rule["expr"]) for rule in alerts())


def named(expression: str) -> set[str]:
    """Samples of ours that it reads."""
    found = set(_METRIC.findall(expression))
    assert found, expression
    return found - _FOREIGN
