"""The metrics of a service: one row each, with how it is read. Nothing happens until somebody asks."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from chat_service.commands.table import COMMANDS
from chat_service.contracts.bus import BusStatus
from chat_service.contracts.store import StoreStatistics
from chat_service.contracts.transport import TransportStatistics
from chat_service.domain.context import Context
from chat_service.telemetry import DURATION_BOUNDS, CommandCounters, Durations

COUNTER, GAUGE, HISTOGRAM, INFO = "counter", "gauge", "histogram", "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What all metrics of one scrape are read from."""

    context: Context
    version: str
    is_running: bool
    #: None for a store, bus or transport that does not say.
    store: StoreStatistics | None
    bus: BusStatus | None
    transport: TransportStatistics | None


#: The values of the labels, and the number or the histogram that has them.
Sample = tuple[tuple[str, ...], float | Durations]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric: the only place where its name, kind, labels and meaning stand."""

    name: str
    kind: str
    doc: str
    labels: tuple[str, ...] = ()
    read: Callable[[Reading], Iterable[Sample]]

    def family(self, reading: Reading) -> Family:
        """The metric with its values, as the Prometheus library wants it."""
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


def _one(value: float | None) -> Iterator[Sample]:
    if value is not None:
        yield (), value


def _by_label(counts: Counter[str], *always: str) -> Iterator[Sample]:
    """A counter by one label. ``always``: values that are shown from the start."""
    for value in sorted({*counts, *always}):
        yield (value,), counts[value]


def _origins(reading: Reading) -> Iterator[tuple[str, CommandCounters]]:
    counters = reading.context.counters
    yield "client", counters.client_commands
    yield "server", counters.server_commands


def _commands(reading: Reading) -> Iterator[Sample]:
    for origin, commands in _origins(reading):
        for name, counts in commands.by_name.items():
            if runs := len(counts.durations):
                yield (name, origin, "ok"), runs - counts.errors.total()
                for outcome, count in counts.errors.items():
                    yield (name, origin, outcome), count


def _durations(reading: Reading) -> Iterator[Sample]:
    for origin, commands in _origins(reading):
        for name, counts in commands.by_name.items():
            if len(counts.durations):
                yield (name, origin), counts.durations


def _background_failures(reading: Reading) -> Iterator[Sample]:
    counts = Counter(reading.context.background.failures)
    for part in (reading.store, reading.transport):
        if part is not None:
            counts.update(part.background_failures)
    return _by_label(counts, "heartbeats")


def _store_failures(reading: Reading) -> Iterator[Sample]:
    if reading.store is not None:
        yield ("error",), reading.store.errors
        yield ("timeout",), reading.store.timeouts


#: In the order of the page.
METRICS: Final = (
    Metric(
        name="chat_service_info",
        kind=INFO,
        labels=("instance_uid", "version"),
        doc="The instance and the version of the package; the value is 1.",
        read=lambda reading: [((str(reading.context.instance_id()), reading.version), 1)],
    ),
    Metric(
        name="chat_service_running",
        kind=GAUGE,
        doc="1 from the end of the start to the begin of the close, else 0.",
        read=lambda reading: _one(reading.is_running),
    ),
    Metric(
        name="chat_service_draining",
        kind=GAUGE,
        doc="1 while clients are being sent away before a close, else 0.",
        read=lambda reading: _one(reading.context.is_draining),
    ),
    # Commands
    Metric(
        name="chat_service_commands_total",
        kind=COUNTER,
        labels=("command", "origin", "outcome"),
        doc="Commands that have ended. `outcome` is `ok`, an error code, or `application` for codes of the "
        "application's own; `command` is `unknown` for events that are no commands, and `custom` for those "
        "that the application has bound; `origin` is `client` or `server`.",
        read=_commands,
    ),
    Metric(
        name="chat_service_command_duration_seconds",
        kind=HISTOGRAM,
        labels=("command", "origin"),
        doc="Seconds from the arrival of a command to its ack, hooks and store included.",
        read=_durations,
    ),
    Metric(
        name="chat_service_commands_in_flight",
        kind=GAUGE,
        doc="Commands that run now.",
        read=lambda reading: _one(reading.context.running.count(COMMANDS)),
    ),
    Metric(
        name="chat_service_internal_errors_total",
        kind=COUNTER,
        doc="Errors of which clients learn an incident id only, which is in the log.",
        read=lambda reading: _one(reading.context.errors.incidents),
    ),
    # Sockets
    Metric(
        name="chat_service_logins_total",
        kind=COUNTER,
        labels=("outcome",),
        doc="Logins by outcome: `ok`, an error code, or `application`.",
        read=lambda reading: _by_label(reading.context.counters.logins, "ok"),
    ),
    Metric(
        name="chat_service_disconnects_total",
        kind=COUNTER,
        labels=("reason",),
        doc="Sockets that have gone, by the transport's reason, `other` for unusual ones.",
        read=lambda reading: _by_label(reading.context.counters.disconnects),
    ),
    Metric(
        name="chat_service_sockets",
        kind=GAUGE,
        doc="Sockets that are connected to this instance.",
        read=lambda reading: _one(len(reading.context.sessions)),
    ),
    Metric(
        name="chat_service_users",
        kind=GAUGE,
        doc="Users with at least one socket on this instance.",
        read=lambda reading: _one(reading.context.sessions.user_count),
    ),
    Metric(
        name="chat_service_rooms_served",
        kind=GAUGE,
        doc="Rooms with at least one joined socket on this instance.",
        read=lambda reading: _one(len(reading.context.delivery.rooms())),
    ),
    # Sending
    Metric(
        name="chat_service_broadcasts_total",
        kind=COUNTER,
        doc="Events that were sent to the sockets of a room or of a user.",
        read=lambda reading: _one(reading.transport.broadcasts if reading.transport else None),
    ),
    Metric(
        name="chat_service_deliveries_total",
        kind=COUNTER,
        doc="Events that were handed to sockets: of each broadcast one per socket. Divided by the "
        "broadcasts it is the fan-out.",
        read=lambda reading: _one(reading.transport.deliveries if reading.transport else None),
    ),
    Metric(
        name="chat_service_send_buffer_bytes",
        kind=GAUGE,
        doc="Bytes that wait to be sent, of all sockets together.",
        read=lambda reading: _one(reading.transport.send_buffer_bytes if reading.transport else None),
    ),
    Metric(
        name="chat_service_slow_consumers_total",
        kind=COUNTER,
        doc="Sockets that were disconnected because they did not read what was sent to them.",
        read=lambda reading: _one(reading.transport.slow_consumers if reading.transport else None),
    ),
    # Bus
    Metric(
        name="chat_service_bus_lag_seconds",
        kind=GAUGE,
        doc="Seconds that the last probe of the bus needed, or that one without an answer is under way; the "
        "worst of all connections. Not there for the memory store.",
        read=lambda reading: _one(reading.bus.lag if reading.bus else None),
    ),
    Metric(
        name="chat_service_bus_subscriptions",
        kind=GAUGE,
        doc="Topics that this instance is subscribed to: rooms, users and a few of its own.",
        read=lambda reading: _one(reading.bus.subscriptions if reading.bus else None),
    ),
    Metric(
        name="chat_service_bus_lost_subscriptions",
        kind=GAUGE,
        doc="Topics whose subscription is lost at the moment.",
        read=lambda reading: _one(reading.bus.lost_subscriptions if reading.bus else None),
    ),
    Metric(
        name="chat_service_bus_rejected_envelopes_total",
        kind=COUNTER,
        doc="Messages on the bus that were dropped: not signed by the secret, of another version, malformed.",
        read=lambda reading: _one(reading.bus.rejected if reading.bus else None),
    ),
    # Store
    Metric(
        name="chat_service_store_duration_seconds",
        kind=HISTOGRAM,
        doc="Seconds until the store answered, per round trip. Not there for the memory store.",
        read=lambda reading: [((), reading.store.durations)] if reading.store else [],
    ),
    Metric(
        name="chat_service_store_failures_total",
        kind=COUNTER,
        labels=("kind",),
        doc="Operations of the store that failed: `timeout` when it did not answer in time or could not be "
        "reached, `error` when it answered with one. Not there for the memory store.",
        read=_store_failures,
    ),
    Metric(
        name="chat_service_failures_total",
        kind=COUNTER,
        labels=("event",),
        doc="Events that tell of what could not be done: `store_consistency_failure`, "
        "`transport_consistency_failure`, `lock_time_exceeded`.",
        read=lambda reading: _by_label(
            reading.context.failures.counts,
            "store_consistency_failure",
            "transport_consistency_failure",
            "lock_time_exceeded",
        ),
    ),
    # Repair
    Metric(
        name="chat_service_background_failures_total",
        kind=COUNTER,
        labels=("task",),
        doc="Errors that ended the work of a background task, which has begun again since then. None are "
        "expected: the log has the traceback of each.",
        read=_background_failures,
    ),
    Metric(
        name="chat_service_bus_interruptions_total",
        kind=COUNTER,
        doc="Subscriptions that were lost and came back.",
        read=lambda reading: _one(reading.context.counters.interruptions),
    ),
    Metric(
        name="chat_service_gaps_total",
        kind=COUNTER,
        doc="Gaps in a room's events that were noticed: an envelope was lost on the bus, or a subscription.",
        read=lambda reading: _one(reading.context.counters.gaps),
    ),
    Metric(
        name="chat_service_gaps_filled_total",
        kind=COUNTER,
        doc="Gaps that were filled. What is missing to the gaps noticed is being filled now.",
        read=lambda reading: _one(reading.context.counters.gaps_filled),
    ),
    Metric(
        name="chat_service_gap_messages_total",
        kind=COUNTER,
        doc="Messages that came from the history into gaps.",
        read=lambda reading: _one(reading.context.counters.gap_messages),
    ),
    Metric(
        name="chat_service_gap_failures_total",
        kind=COUNTER,
        doc="Tries to fill a gap that failed, because the store could not be read. They are repeated.",
        read=lambda reading: _one(reading.context.counters.gap_failures),
    ),
    Metric(
        name="chat_service_rooms_lost_messages_total",
        kind=COUNTER,
        doc="Rooms of which the store had lost acknowledged messages or changes, as a fail-over can do.",
        read=lambda reading: _one(reading.context.counters.rooms_lost_messages),
    ),
    Metric(
        name="chat_service_leases_lost_total",
        kind=COUNTER,
        doc="How often this instance was taken for dead, and started over.",
        read=lambda reading: _one(reading.context.counters.leases_lost),
    ),
    Metric(
        name="chat_service_recoveries_total",
        kind=COUNTER,
        labels=("outcome",),
        doc="Dead instances that this one has recovered, by outcome: `ok`, or `error` for those that are "
        "tried again.",
        read=lambda reading: _by_label(reading.context.counters.recoveries, "ok", "error"),
    ),
)


class ServiceCollector(Collector):
    """Reads the metrics of one service. ``read``: takes the reading of one scrape."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read

    def describe(self) -> list[Family]:
        """Names only, so that registering reads nothing."""
        kinds = {COUNTER: CounterMetricFamily, GAUGE: GaugeMetricFamily, HISTOGRAM: HistogramMetricFamily}
        return [
            kinds.get(row.kind, InfoMetricFamily)(
                row.name.removesuffix("_total").removesuffix("_info"), row.doc
            )
            for row in METRICS
        ]

    def collect(self) -> Iterator[Family]:
        reading = self._read()
        for row in METRICS:
            yield row.family(reading)
