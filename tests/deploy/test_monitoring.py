"""The dashboard and the alert rules name metrics and labels that exist, and what they link to is there."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from chat_service.operations import METRICS
from tests.deploy.promql import names_in
from tests.deploy.site import DEPLOY, ROOT

#: What Prometheus itself adds.
TARGET_LABELS = {"instance", "job"}
#: Metrics without an alert that do not need a panel.
UNSHOWN = {"chat_service_info"}


def known() -> dict[str, set[str]]:
    """All names of samples, with their labels."""
    found: dict[str, set[str]] = {"up": set()}
    for metric in METRICS:
        labels = set(metric.labels)
        if metric.kind == "histogram":
            found |= {f"{metric.name}_count": labels, f"{metric.name}_sum": labels}
            found[f"{metric.name}_bucket"] = labels | {"le"}
        else:
            found[metric.name] = labels
    registry = CollectorRegistry()
    for make in (ProcessCollector, PlatformCollector, GCCollector):
        make(registry=registry)
    for family in registry.collect():
        for sample in family.samples:
            found[sample.name] = set(sample.labels)
    return found


KNOWN = known()


def dashboard() -> Any:
    return json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())


def panels() -> Iterator[tuple[str, str]]:
    """The titles and expressions of all panels."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            # Variables stand for durations and for values of labels.
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")


def rules() -> list[Any]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def check(expression: str) -> set[str]:
    """The metrics of an expression, which has to name nothing that does not exist."""
    names = names_in(expression)
    assert names.metrics, expression
    for metric, labels in names.metrics.items():
        assert metric in KNOWN, f"{metric} does not exist, in {expression}"
        assert labels <= KNOWN[metric] | TARGET_LABELS, f"{labels} of {metric}, in {expression}"
    may_group = TARGET_LABELS.union(*(KNOWN[metric] for metric in names.metrics))
    assert names.grouped <= may_group, f"{names.grouped}, in {expression}"
    assert not any(metric.endswith("_bucket") for metric in names.metrics) or "le" in names.grouped
    for metric in names.metrics:
        if metric.endswith("_bucket"):
            assert "histogram_quantile" in expression
    return set(names.metrics)


@pytest.mark.parametrize(("title", "expression"), list(panels()))
def test_the_dashboard_uses_existing_metrics(title: str, expression: str) -> None:
    check(expression)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_alerts_use_existing_metrics(rule: Any) -> None:
    check(rule["expr"])
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    # The value of a label that a text shows has to be left by the expression.
    for name in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
        grouped = names_in(rule["expr"]).grouped
        assert name == "instance" if not grouped else name in grouped
    headings = re.findall(r"(?m)^#+ (.+)$", (ROOT / "docs" / "guide" / "operations.md").read_text())
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert rule["annotations"]["runbook"] in anchors


def test_every_metric_is_on_the_dashboard() -> None:
    shown = set().union(*(check(expression) for _, expression in panels()))
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown} | UNSHOWN
    assert {metric.name for metric in METRICS} <= shown


def test_panels_are_well_formed() -> None:
    made = dashboard()
    numbers = [panel["id"] for panel in made["panels"]]
    assert len(numbers) == len(set(numbers))
    places: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & places and place["x"] + place["w"] <= 24, panel["title"]
        places |= cells
    variables = {each["name"] for each in made["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)", json.dumps(made["panels"])))
    assert used <= variables


def test_the_scrape_configuration_finds_the_instances_of_the_compose_file() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    [job] = scraped["scrape_configs"]
    assert job["job_name"] == "chat-service"
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    targets = [target.split(":") for target in job["static_configs"][0]["targets"]]
    for host, port in targets:
        assert port in services[host]["expose"]
    assert {host for host, _ in targets} == {name for name in services if name.startswith("chat-")}
    mounted = " ".join(services["prometheus"]["volumes"])
    assert all(f"/{name}:ro" in mounted for name in scraped["rule_files"])


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("rate(chat_service_sockets[5m]", "not closed"),
        ("sum(chat_service_sockets))", "not opened"),
        ("chat_service_sockets @ 5", "cannot read"),
    ],
)
def test_the_expression_parser_refuses_invalid_expressions(bad: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        names_in(bad)


def test_the_expression_parser_finds_all_metrics() -> None:
    names = names_in('sum by (a, b) (rate(x_total{c="1",d=~"by.*"}[5m])) / max(y) > 0.5 or z{e!=""}')
    assert names.metrics == {"x_total": {"c", "d"}, "y": set(), "z": {"e"}}
    assert names.grouped == {"a", "b"}
