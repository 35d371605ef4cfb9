"""The metrics page, generated from the metrics table."""

from chat_service.operations.metrics import HISTOGRAM, METRICS
from chat_service.telemetry import DURATION_BOUNDS
from tools.gendocs.markdown import code, codes, page, table


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
        table(("metric", "kind", "labels", "meaning"), rows),
        f"The upper bounds of the buckets of {codes(histograms)} are {bounds} s.\n",
    )
