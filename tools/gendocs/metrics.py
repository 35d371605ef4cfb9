"""The metrics page, generated from the metrics table and from what the optional parts collect."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client.registry import Collector

from chat_service.operations.metrics import HISTOGRAM, METRICS
from chat_service.telemetry import DURATION_BOUNDS
from chat_service.uploads.upload_metrics import UploadCollector, UploadCounters
from chat_service.web_login.login_metrics import LoginCollector
from tools.gendocs.markdown import code, codes, page, table

HEADS = ("metric", "kind", "labels", "meaning")


def metrics_page() -> str:
    rows = [
        (code(metric.name), metric.kind, codes(metric.labels) if metric.labels else "", metric.doc)
        for metric in METRICS
    ]
    histograms = [metric.name for metric in METRICS if metric.kind == HISTOGRAM]
    bounds = ", ".join(f"{bound:g}" for bound in DURATION_BOUNDS)
    return page(
        "Metrics",
        "The metrics that `/metrics` shows for a service, in addition to `process_*` and `python_*`. "
        "The [guide](../guide/operations.md) explains how to collect them and how to react.\n\n",
        table(HEADS, rows),
        f"The upper bounds of the buckets of {codes(histograms)} are {bounds} s.\n",
        "\n## Uploads\n\nOf a service with [uploads](../guide/uploads.md).\n\n",
        table(HEADS, _rows(_uploads())),
        "## The login page\n\nOf `serve` with [logins on a page](../guide/logins.md).\n\n",
        table(HEADS, _rows(_logins())),
    )


def _uploads() -> Collector:
    counters = UploadCounters()
    counters.uploads["ok"] = 1
    return UploadCollector(counters, lambda: 0, lambda: 0, lambda: 0)


def _logins() -> Collector:
    return LoginCollector(cast(Any, SimpleNamespace(outcomes={("password", "ok"): 1})))


def _rows(collector: Collector) -> Iterable[tuple[str, ...]]:
    for family in collector.collect():
        sample = family.samples[0]
        labels = codes(sample.labels) if sample.labels else ""
        yield code(sample.name), family.type, labels, family.documentation
