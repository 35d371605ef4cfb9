"""The page of the metrics, from their table."""

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
        "What `/metrics` shows of a service, besides `process_*` and `python_*` of its process. "
        "The [guide](../guide/operations.md) says how to get at it, and what to do about it.\n\n",
        table(("metric", "kind", "labels", "meaning"), rows),
        f"The buckets of {codes(histograms)} end at {bounds} s.\n",
    )
