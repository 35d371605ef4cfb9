"""The definition of a metric, and reading it from a service."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import Metric as Family

from chat_service.contracts.bus import BusStatus
from chat_service.contracts.records import StoreStatistics
from chat_service.contracts.transport import TransportStatistics
from chat_service.domain.context import Context
from chat_service.telemetry import DURATION_BOUNDS, Durations

COUNTER, GAUGE, HISTOGRAM, INFO = "counter", "gauge", "histogram", "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The data from which all metrics of a scrape are read."""

    context: Context
    version: str
    is_running: bool
    #: None for a store, bus or transport without statistics.
    store: StoreStatistics | None
    bus: BusStatus | None
    transport: TransportStatistics | None
    #: The same of each transport, by its name.
    transports: Mapping[str, TransportStatistics]


#: Label values and the number or histogram for them.
Sample = tuple[tuple[str, ...], float | Durations]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The name, kind, labels and documentation of a metric."""

    name: str
    kind: str
    doc: str
    labels: tuple[str, ...] = ()
    read: Callable[[Reading], Iterable[Sample]]

    def family(self, reading: Reading) -> Family:
        """The metric with its values, as an object of the Prometheus library."""
        if self.kind == HISTOGRAM:
            histogram = HistogramMetricFamily(self.name, self.doc, labels=self.labels)
            for labels, value in self.read(reading):
                if isinstance(value, Durations):
                    histogram.add_metric(labels, _buckets(value), value.total)
            return histogram
        if self.kind == INFO:
            info = InfoMetricFamily(self.name.removesuffix("_info"), self.doc)
            for labels, _ in self.read(reading):
                info.add_metric([], dict(zip(self.labels, labels, strict=True)))
            return info
        kind = CounterMetricFamily if self.kind == COUNTER else GaugeMetricFamily
        family = kind(self.name.removesuffix("_total"), self.doc, labels=self.labels)
        for labels, value in self.read(reading):
            family.add_metric(labels, value)  # type: ignore[arg-type]
        return family


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    buckets, below = [], 0
    for bound, count in zip((*map(str, DURATION_BOUNDS), "+Inf"), durations.counts, strict=True):
        below += count
        buckets.append((bound, float(below)))
    return buckets


# Reading


def one(value: float | None) -> Iterator[Sample]:
    if value is not None:
        yield (), value


def by_label(counts: Counter[str], *always: str) -> Iterator[Sample]:
    """A counter with one label. ``always``: label values shown from the start."""
    for value in sorted({*counts, *always}):
        yield (value,), counts[value]
