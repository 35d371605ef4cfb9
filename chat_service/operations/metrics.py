"""The metrics of a service, one row each with the function that reads it on request."""

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
from chat_service.contracts.records import StoreStatistics
from chat_service.contracts.transport import TransportStatistics
from chat_service.domain.context import Context
from chat_service.telemetry import DURATION_BOUNDS, CommandCounters, Durations

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


def _one(value: float | None) -> Iterator[Sample]:
    if value is not None:
        yield (), value


def _by_label(counts: Counter[str], *always: str) -> Iterator[Sample]:
    """A counter with one label. ``always``: label values shown from the start."""
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


#: All metrics, in the order shown on the page.
METRICS: Final = (
    Metric(
        name="chat_service_info",
        kind=INFO,
        labels=("instance_uid", "version"),
        doc="The instance and the package version; the value is 1.",
        read=lambda reading: [((str(reading.context.instance_id()), reading.version), 1)],
    ),
    Metric(
        name="chat_service_running",
        kind=GAUGE,
        doc="1 from when the start has finished until the close begins, else 0.",
        read=lambda reading: _one(reading.is_running),
    ),
    Metric(
        name="chat_service_draining",
        kind=GAUGE,
        doc="1 while clients are being disconnected gradually before a close, else 0.",
        read=lambda reading: _one(reading.context.is_draining),
    ),
    # Commands
    Metric(
        name="chat_service_commands_total",
        kind=COUNTER,
        labels=("command", "origin", "outcome"),
        doc="Finished commands. `outcome` is `ok`, an error code, or `application` for the application's "
        "own codes; `command` is `unknown` for events that are not commands and `custom` for events bound by "
        "the application; `origin` is `client` or `server`.",
        read=_commands,
    ),
    Metric(
        name="chat_service_command_duration_seconds",
        kind=HISTOGRAM,
        labels=("command", "origin"),
        doc="Time in seconds from a command's arrival to its ack, including hooks and store.",
        read=_durations,
    ),
    Metric(
        name="chat_service_commands_in_flight",
        kind=GAUGE,
        doc="Currently running commands.",
        read=lambda reading: _one(reading.context.running.count(COMMANDS)),
    ),
    Metric(
        name="chat_service_internal_errors_total",
        kind=COUNTER,
        doc="Unexpected errors. Clients receive only an incident id, which is also in the log.",
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
        name="chat_service_logins_ended_total",
        kind=COUNTER,
        doc="Sockets disconnected because their logins had ended.",
        read=lambda reading: _one(reading.context.login_expiry.ended),
    ),
    Metric(
        name="chat_service_disconnects_total",
        kind=COUNTER,
        labels=("reason",),
        doc="Disconnects by the transport's reason; `other` for unusual ones.",
        read=lambda reading: _by_label(reading.context.counters.disconnects),
    ),
    Metric(
        name="chat_service_sockets",
        kind=GAUGE,
        doc="Sockets connected to this instance.",
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
        doc="Events broadcast to the sockets of a room or user.",
        read=lambda reading: _one(reading.transport.broadcasts if reading.transport else None),
    ),
    Metric(
        name="chat_service_deliveries_total",
        kind=COUNTER,
        doc="Events queued for sockets: one per recipient of each broadcast. Divided by the number of "
        "broadcasts this is the fan-out.",
        read=lambda reading: _one(reading.transport.deliveries if reading.transport else None),
    ),
    Metric(
        name="chat_service_send_buffer_bytes",
        kind=GAUGE,
        doc="Bytes waiting to be sent, over all sockets.",
        read=lambda reading: _one(reading.transport.send_buffer_bytes if reading.transport else None),
    ),
    Metric(
        name="chat_service_slow_consumers_total",
        kind=COUNTER,
        doc="Sockets disconnected because they read too slowly.",
        read=lambda reading: _one(reading.transport.slow_consumers if reading.transport else None),
    ),
    # Bus
    Metric(
        name="chat_service_bus_lag_seconds",
        kind=GAUGE,
        doc="Time in seconds that the last bus probe took, or that a pending one has been waiting; maximum "
        "over all connections. Absent for the memory store.",
        read=lambda reading: _one(reading.bus.lag if reading.bus else None),
    ),
    Metric(
        name="chat_service_bus_subscriptions",
        kind=GAUGE,
        doc="Topics to which this instance is subscribed: rooms, users and a few internal ones.",
        read=lambda reading: _one(reading.bus.subscriptions if reading.bus else None),
    ),
    Metric(
        name="chat_service_bus_lost_subscriptions",
        kind=GAUGE,
        doc="Topics whose subscription is currently lost.",
        read=lambda reading: _one(reading.bus.lost_subscriptions if reading.bus else None),
    ),
    Metric(
        name="chat_service_bus_rejected_envelopes_total",
        kind=COUNTER,
        doc="Dropped bus messages: not signed with the secret, of another version, or malformed.",
        read=lambda reading: _one(reading.bus.rejected if reading.bus else None),
    ),
    # Store
    Metric(
        name="chat_service_store_duration_seconds",
        kind=HISTOGRAM,
        doc="Duration in seconds of round trips to the store. Absent for the memory store.",
        read=lambda reading: [((), reading.store.durations)] if reading.store else [],
    ),
    Metric(
        name="chat_service_store_failures_total",
        kind=COUNTER,
        labels=("kind",),
        doc="Failed store operations: `timeout` if the store did not answer in time or was unreachable, "
        "`error` if it answered with an error. Absent for the memory store.",
        read=_store_failures,
    ),
    Metric(
        name="chat_service_failures_total",
        kind=COUNTER,
        labels=("event",),
        doc="Failure events: `store_consistency_failure`, `transport_consistency_failure`, "
        "`lock_time_exceeded`.",
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
        doc="Errors in background tasks, which then restarted. None are expected; the log has tracebacks.",
        read=_background_failures,
    ),
    Metric(
        name="chat_service_bus_interruptions_total",
        kind=COUNTER,
        doc="Subscriptions that were lost and restored.",
        read=lambda reading: _one(reading.context.counters.interruptions),
    ),
    Metric(
        name="chat_service_gaps_total",
        kind=COUNTER,
        doc="Gaps found in a room's events, after an envelope or a subscription was lost on the bus.",
        read=lambda reading: _one(reading.context.counters.gaps),
    ),
    Metric(
        name="chat_service_gaps_filled_total",
        kind=COUNTER,
        doc="Gaps filled. The difference to the gaps found is being filled.",
        read=lambda reading: _one(reading.context.counters.gaps_filled),
    ),
    Metric(
        name="chat_service_gap_messages_total",
        kind=COUNTER,
        doc="Messages read from the history to fill gaps.",
        read=lambda reading: _one(reading.context.counters.gap_messages),
    ),
    Metric(
        name="chat_service_gap_failures_total",
        kind=COUNTER,
        doc="Failed attempts to fill a gap because the store could not be read. They are repeated.",
        read=lambda reading: _one(reading.context.counters.gap_failures),
    ),
    Metric(
        name="chat_service_rooms_lost_messages_total",
        kind=COUNTER,
        doc="Rooms of which the store lost acknowledged messages or changes, as a failover can cause.",
        read=lambda reading: _one(reading.context.counters.rooms_lost_messages),
    ),
    Metric(
        name="chat_service_leases_lost_total",
        kind=COUNTER,
        doc="How often this instance was presumed dead and started over.",
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
    """Collects the metrics of a service. ``read``: returns the data for one scrape."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read

    def describe(self) -> list[Family]:
        """Describe the metrics without reading them, for registration."""
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
