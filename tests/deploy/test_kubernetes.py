"""The Kubernetes manifests: no unknown field, and ports, paths, names and times that fit together."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from chat_service.cli.sections import SECRETS
from chat_service.operations.pages import HEALTH_PATH, METRICS_PATH, READY_PATH
from tests.deploy.kubernetes_schema import SCHEMAS
from tests.deploy.site import DEPLOY
from tests.deploy.test_containers import options, seconds_of_an_end

FOLDER = DEPLOY / "kubernetes"


def documents() -> list[tuple[str, Any]]:
    return [
        (f"{path.name}:{made['kind']}", made)
        for path in sorted(FOLDER.glob("*.yaml"))
        for made in yaml.safe_load_all(path.read_text())
    ]


def the(kind: str) -> Any:
    [found] = [made for _, made in documents() if made["kind"] == kind]
    return found


@pytest.mark.parametrize("made", [made for _, made in documents()], ids=[name for name, _ in documents()])
def test_manifests_have_known_fields_only(made: Any) -> None:
    schema = SCHEMAS[made["apiVersion"], made["kind"]]
    Draft202012Validator.check_schema(schema)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(made)] == []


def test_the_schemas_refuse_a_wrong_field() -> None:
    made = the("Deployment")
    made["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    assert list(Draft202012Validator(SCHEMAS["apps/v1", "Deployment"]).iter_errors(made))


def container() -> Any:
    [made] = the("Deployment")["spec"]["template"]["spec"]["containers"]
    return made


def test_ports_and_probes_are_those_of_the_code() -> None:
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"clients": options().port, "operations": options().operations_port}
    probes = {name: container()[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert probes == {
        "startup": {"path": HEALTH_PATH, "port": "operations"},
        "liveness": {"path": HEALTH_PATH, "port": "operations"},
        "readiness": {"path": READY_PATH, "port": "operations"},
    }
    annotations = the("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == METRICS_PATH
    assert annotations["prometheus.io/port"] == str(options().operations_port)
    assert [port["targetPort"] for port in the("Service")["spec"]["ports"]] == ["clients"]
    [path] = the("Ingress")["spec"]["rules"][0]["http"]["paths"]
    assert path["path"] == "/socket.io/" and path["backend"]["service"] == {
        "name": the("Service")["metadata"]["name"],
        "port": {"name": "clients"},
    }


def test_termination_allows_time_to_drain() -> None:
    pod = the("Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > seconds_of_an_end()
    # It is out of the service's endpoints before clients are sent away.
    probe = container()["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < options().drain_delay


def test_names_and_labels_fit() -> None:
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert the("Deployment")["spec"]["selector"]["matchLabels"] == labels
    assert the("Service")["spec"]["selector"] == labels
    assert the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert the("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert the("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": the("Deployment")["metadata"]["name"],
    }
    spec = the("Deployment")["spec"]["template"]["spec"]
    [volume] = spec["volumes"]
    assert volume["configMap"]["name"] == the("ConfigMap")["metadata"]["name"]
    [source] = container()["envFrom"]
    assert source["secretRef"]["name"] == the("Secret")["metadata"]["name"]
    assert set(the("Secret")["stringData"]) <= set(SECRETS)
    listed = the("Kustomization")["resources"]
    assert {path.name for path in FOLDER.glob("*.yaml")} == {
        *listed,
        "kustomization.yaml",
        "secret.example.yaml",
    }


def test_the_configuration_is_that_of_the_image() -> None:
    assert the("ConfigMap")["data"]["chat.toml"].rstrip() == (DEPLOY / "chat.toml").read_text().rstrip()
    [mount] = container()["volumeMounts"]
    assert Path(mount["mountPath"]) == Path("/etc/chat-service")


def test_metrics_are_for_monitoring_alone() -> None:
    public, monitoring = the("NetworkPolicy")["spec"]["ingress"]
    assert public == {"ports": [{"port": "clients"}]}
    assert monitoring["ports"] == [{"port": "operations"}] and "namespaceSelector" in monitoring["from"][0]
