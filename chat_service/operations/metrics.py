"""The metrics of a service, one row each with the function that reads it on request."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from chat_service.operations.measuring import (
    COUNTER,
    GAUGE,
    HISTOGRAM,
    INFO,
    Metric,
    Reading,
    Sample,
    by_label,
    one,
)
from chat_service.operations.metrics_sending import SENDING
from chat_service.telemetry import CommandCounters


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
    return by_label(counts, "heartbeats")


def _store_failures(reading: Reading) -> Iterator[Sample]:
    if reading.store is not None:
        yield ("error",), reading.store.errors
        yield ("timeout",), reading.store.timeouts


def _requests(reading: Reading) -> Iterator[Sample]:
    yield from sorted(reading.context.counters.webhooks.requests.items())


def _events(reading: Reading) -> Iterator[Sample]:
    counters = reading.context.counters.webhooks
    if counters.waiting is not None:
        yield from by_label(counters.events, "delivered", "dropped", "refused")


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
        read=lambda reading: one(reading.is_running),
    ),
    Metric(
        name="chat_service_draining",
        kind=GAUGE,
        doc="1 while clients are being disconnected gradually before a close, else 0.",
        read=lambda reading: one(reading.context.is_draining),
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
        read=lambda reading: one(reading.context.running.count(reading.context.commands)),
    ),
    Metric(
        name="chat_service_internal_errors_total",
        kind=COUNTER,
        doc="Unexpected errors. Clients receive only an incident id, which is also in the log.",
        read=lambda reading: one(reading.context.errors.incidents),
    ),
    # Sockets
    Metric(
        name="chat_service_logins_total",
        kind=COUNTER,
        labels=("outcome",),
        doc="Logins by outcome: `ok`, an error code, or `application`.",
        read=lambda reading: by_label(reading.context.counters.logins, "ok"),
    ),
    Metric(
        name="chat_service_logins_ended_total",
        kind=COUNTER,
        doc="Sockets disconnected because their logins had ended.",
        read=lambda reading: one(reading.context.login_expiry.ended),
    ),
    Metric(
        name="chat_service_disconnects_total",
        kind=COUNTER,
        labels=("reason",),
        doc="Disconnects by the transport's reason; `other` for unusual ones.",
        read=lambda reading: by_label(reading.context.counters.disconnects),
    ),
    Metric(
        name="chat_service_sockets",
        kind=GAUGE,
        doc="Sockets connected to this instance.",
        read=lambda reading: one(len(reading.context.sessions)),
    ),
    Metric(
        name="chat_service_users",
        kind=GAUGE,
        doc="Users with at least one socket on this instance.",
        read=lambda reading: one(reading.context.sessions.user_count),
    ),
    Metric(
        name="chat_service_rooms_served",
        kind=GAUGE,
        doc="Rooms with at least one joined socket on this instance.",
        read=lambda reading: one(len(reading.context.delivery.rooms())),
    ),
    # Sending
    *SENDING,
    # Bus
    Metric(
        name="chat_service_bus_lag_seconds",
        kind=GAUGE,
        doc="Time in seconds that the last bus probe took, or that a pending one has been waiting; maximum "
        "over all connections. Absent for the memory store.",
        read=lambda reading: one(reading.bus.lag if reading.bus else None),
    ),
    Metric(
        name="chat_service_bus_subscriptions",
        kind=GAUGE,
        doc="Topics to which this instance is subscribed: rooms, users and a few internal ones.",
        read=lambda reading: one(reading.bus.subscriptions if reading.bus else None),
    ),
    Metric(
        name="chat_service_bus_lost_subscriptions",
        kind=GAUGE,
        doc="Topics whose subscription is currently lost.",
        read=lambda reading: one(reading.bus.lost_subscriptions if reading.bus else None),
    ),
    Metric(
        name="chat_service_bus_rejected_envelopes_total",
        kind=COUNTER,
        doc="Dropped bus messages: not signed with the secret, repeated, of another version, or malformed.",
        read=lambda reading: one(reading.bus.rejected if reading.bus else None),
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
        read=lambda reading: by_label(
            reading.context.failures.counts,
            "store_consistency_failure",
            "transport_consistency_failure",
            "lock_time_exceeded",
        ),
    ),
    # Webhooks
    Metric(
        name="chat_service_webhook_requests_total",
        kind=COUNTER,
        labels=("hook", "outcome"),
        doc="Requests to the back end, repeats included. `hook` is `connect`, `refresh`, `message` or "
        "`events`; `outcome` is `ok`, `rejected`, `timeout`, `connection`, `status`, `answer` for answers "
        "that cannot be used, or `circuit` for requests that were not made because the circuit was open.",
        read=_requests,
    ),
    Metric(
        name="chat_service_webhook_duration_seconds",
        kind=HISTOGRAM,
        labels=("hook",),
        doc="Duration in seconds of requests to the back end.",
        read=lambda reading: [
            ((hook,), durations) for hook, durations in reading.context.counters.webhooks.durations.items()
        ],
    ),
    Metric(
        name="chat_service_webhook_circuit_open",
        kind=GAUGE,
        labels=("hook",),
        doc="1 while the back end is left alone after failures, else 0.",
        read=lambda reading: [
            ((hook,), value) for hook, value in reading.context.counters.webhooks.circuits.items()
        ],
    ),
    Metric(
        name="chat_service_webhook_events_total",
        kind=COUNTER,
        labels=("outcome",),
        doc="Events for the back end: `delivered`, `dropped` for lack of room or at a close, or `refused` by "
        "the back end for good.",
        read=_events,
    ),
    Metric(
        name="chat_service_webhook_events_waiting",
        kind=GAUGE,
        doc="Events that wait for their delivery to the back end.",
        read=lambda reading: one(
            reading.context.counters.webhooks.waiting() if reading.context.counters.webhooks.waiting else None
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
        read=lambda reading: one(reading.context.counters.interruptions),
    ),
    Metric(
        name="chat_service_gaps_total",
        kind=COUNTER,
        doc="Gaps found in a room's events, after an envelope or a subscription was lost on the bus.",
        read=lambda reading: one(reading.context.counters.gaps),
    ),
    Metric(
        name="chat_service_gaps_filled_total",
        kind=COUNTER,
        doc="Gaps filled. The difference to the gaps found is being filled.",
        read=lambda reading: one(reading.context.counters.gaps_filled),
    ),
    Metric(
        name="chat_service_gap_messages_total",
        kind=COUNTER,
        doc="Messages read from the history to fill gaps.",
        read=lambda reading: one(reading.context.counters.gap_messages),
    ),
    Metric(
        name="chat_service_gap_failures_total",
        kind=COUNTER,
        doc="Failed attempts to fill a gap because the store could not be read. They are repeated.",
        read=lambda reading: one(reading.context.counters.gap_failures),
    ),
    Metric(
        name="chat_service_rooms_lost_messages_total",
        kind=COUNTER,
        doc="Rooms of which the store lost acknowledged messages or changes, as a failover can cause.",
        read=lambda reading: one(reading.context.counters.rooms_lost_messages),
    ),
    Metric(
        name="chat_service_leases_lost_total",
        kind=COUNTER,
        doc="How often this instance was presumed dead and started over.",
        read=lambda reading: one(reading.context.counters.leases_lost),
    ),
    Metric(
        name="chat_service_recoveries_total",
        kind=COUNTER,
        labels=("outcome",),
        doc="Dead instances that this one has recovered, by outcome: `ok`, or `error` for those that are "
        "tried again.",
        read=lambda reading: by_label(reading.context.counters.recoveries, "ok", "error"),
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
