"""deploy/k8s against the schemas of Kubernetes, and against what the image and the service are."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.crypto import new_key
from app.core.secrets import load_secrets
from app.core.settings import Settings
from tests.containers import (
    SECRETS,
    SETTINGS,
    Row,
    accepts,
    addresses,
    faults,
    image_environment,
    last,
    read_yaml,
)
from tests.stand import ROOT

FOLDER = ROOT / "deploy" / "k8s"
KINDS = {
    "Deployment": "apps.v1", "Service": "core.v1", "ConfigMap": "core.v1", "ServiceAccount": "core.v1",
    "PersistentVolumeClaim": "core.v1", "Namespace": "core.v1", "PodDisruptionBudget": "policy.v1",
    "NetworkPolicy": "networking.v1",
}  # fmt: skip
KUSTOMIZATION = read_yaml("deploy/k8s/kustomization.yaml")[0]
OBJECTS = [row for name in KUSTOMIZATION["resources"] for row in read_yaml(f"deploy/k8s/{name}")]
DEPLOYMENTS = [row for row in OBJECTS if row["kind"] == "Deployment"]
SECRET = {
    "SECRET_KEY": "a secret of the tests, long enough for HMAC",
    "CREDENTIALS_KEYS": new_key("k1"),
    "POSTGRES_PASSWORD": "password of the tests",
    "CRM_API_KEY": "key of the CRM",
}
"""What docs/deployment.md puts into Secret kwork-secrets."""


def named(kind: str, name: str) -> Row:
    return next(row for row in OBJECTS if (row["kind"], row["metadata"]["name"]) == (kind, name))


def pod(deployment: Row) -> Row:
    return deployment["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def containers(deployment: Row) -> list[Row]:
    return [*pod(deployment)["initContainers"], *pod(deployment)["containers"]]


def by_name(row: Row) -> str:
    return f"{row['kind']} {row['metadata']['name']}"


def test_the_kustomization_names_every_file() -> None:
    assert set(KUSTOMIZATION["resources"]) == {path.name for path in FOLDER.iterdir()} - {
        "kustomization.yaml"
    }


@pytest.mark.parametrize("row", OBJECTS, ids=by_name)
def test_an_object_keeps_to_the_schema(row: Row) -> None:
    kind = f"io.k8s.api.{KINDS[row['kind']]}.{row['kind']}"
    assert faults("kubernetes-1.31.json", row, kind) == []
    assert faults("kubernetes-1.31.json", {**row, "misspelt": 1}, kind) != []


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=by_name)
def test_a_pod_has_no_more_than_it_needs(deployment: Row) -> None:
    spec = pod(deployment)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    user = f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
    assert user == last("USER")
    assert spec["automountServiceAccountToken"] is False
    # A Service by the name of postgres would set POSTGRES_PORT to an address otherwise.
    assert spec["enableServiceLinks"] is False
    for container in containers(deployment):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} == set(container["resources"])
        places = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert places == {image_environment()["DATA_DIR"], image_environment()["HOME"], "/dev/shm"}
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in spec["volumes"]
        }


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=by_name)
def test_what_a_pod_is_told_are_settings_the_service_takes(
    deployment: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    config: dict[str, str] = named("ConfigMap", "kwork-config")["data"]
    assert set(config) <= SETTINGS - SECRETS | {"REDIS_URL"}
    for container in containers(deployment):
        assert container["envFrom"] == [
            {"configMapRef": {"name": "kwork-config"}},
            {"secretRef": {"name": "kwork-secrets"}},
        ]
        own = {one["name"]: one["value"] for one in container.get("env", [])}
        assert set(own) <= SETTINGS
        for key in SETTINGS:
            monkeypatch.delenv(key, raising=False)
        for key, value in {**image_environment(), **config, **SECRET, **own}.items():
            monkeypatch.setenv(key, value)
        settings = Settings(_env_file=None)
        load_secrets(settings)
        assert not settings.embedded_postgres
        assert not settings.embedded_valkey
        assert (
            max(settings.shutdown_seconds, settings.worker_stop_seconds) + 10
            <= pod(deployment)["terminationGracePeriodSeconds"]
        )
        assert settings.worker is (container["name"] != "api")
        assert accepts(container.get("args", []))


def test_no_secret_lies_beside_the_manifests() -> None:
    assert "Secret" not in {row["kind"] for row in OBJECTS}
    document = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    assert all(f"--from-literal={name}=" in document for name in SECRET)


def test_the_schema_is_ready_before_anything_starts() -> None:
    assert [pod(one)["initContainers"][0]["args"] for one in DEPLOYMENTS] == [["migrate"], ["migrate"]]


def test_probes_ask_addresses_there_are() -> None:
    [api] = pod(named("Deployment", "kwork-service"))["containers"]
    asked = {name: api[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {probe["path"] for probe in asked.values()} <= addresses()
    # A database that is away must not get every pod killed.
    assert (asked["liveness"]["path"], asked["readiness"]["path"]) == ("/health", "/health/ready")
    ports = {port["name"]: port["containerPort"] for port in api["ports"]}
    assert {ports[probe["port"]] for probe in asked.values()} == {int(last("EXPOSE"))}
    config = named("ConfigMap", "kwork-config")["data"]
    assert config["PORT"] == last("EXPOSE")


def test_a_worker_is_watched_at_its_metrics_port() -> None:
    [worker] = pod(named("Deployment", "kwork-worker"))["containers"]
    [port] = worker["ports"]
    assert {one["name"]: one["value"] for one in worker["env"]} == {
        "METRICS_PORT": str(port["containerPort"])
    }
    for name in ("startup", "liveness"):
        assert worker[f"{name}Probe"]["httpGet"] == {"path": "/health", "port": port["name"]}
    [rule] = named("NetworkPolicy", "kwork-worker-in")["spec"]["ingress"]
    assert rule["ports"] == [{"port": port["containerPort"]}]


def test_selectors_find_their_pods_and_nobody_else() -> None:
    labels = {row["metadata"]["name"]: row["spec"]["template"]["metadata"]["labels"] for row in DEPLOYMENTS}

    def found(selector: dict[str, Any]) -> set[str]:
        return {name for name, given in labels.items() if selector.items() <= given.items()}

    for row in OBJECTS:
        name, spec = row["metadata"]["name"], row.get("spec", {})
        match row["kind"]:
            case "Deployment" | "PodDisruptionBudget":
                assert found(spec["selector"]["matchLabels"]) == {name}
            case "Service":
                assert found(spec["selector"]) == {"kwork-service"}
            case "NetworkPolicy":
                one = {name.removesuffix("-in")}
                assert found(spec["podSelector"]["matchLabels"]) == (set(labels) if name == "kwork" else one)


def test_the_network_lets_the_settings_addresses_through() -> None:
    config = named("ConfigMap", "kwork-config")["data"]
    written = " ".join(config.values())
    out = named("NetworkPolicy", "kwork")["spec"]
    assert out["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in out  # nobody gets in but by the other policy
    inside = next(rule for rule in out["egress"] if len(rule["ports"]) == 4)
    ports = {str(rule["port"]) for rule in inside["ports"]}
    assert ports == {"5432", "6379", "8000", "3000"}
    assert all(f":{port}" in written or port == config["POSTGRES_PORT"] for port in ports)
    [internet] = [rule for rule in out["egress"] if "ipBlock" in rule["to"][0]]
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= set(internet["to"][0]["ipBlock"]["except"])
