"""The metrics of connections and of what is sent to them, one row each."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from chat_service.operations.measuring import COUNTER, GAUGE, Metric, Reading, Sample, by_label, one


def _by_transport(reading: Reading, figure: str) -> Iterator[Sample]:
    for name, figures in sorted(reading.transports.items()):
        yield (name,), getattr(figures, figure)


SENDING: Final = (
    Metric(
        name="chat_service_broadcasts_total",
        kind=COUNTER,
        doc="Events broadcast to the sockets of a room or user.",
        read=lambda reading: one(reading.transport.broadcasts if reading.transport else None),
    ),
    Metric(
        name="chat_service_deliveries_total",
        kind=COUNTER,
        doc="Events queued for sockets: one per recipient of each broadcast. Divided by the number of "
        "broadcasts this is the fan-out.",
        read=lambda reading: one(reading.transport.deliveries if reading.transport else None),
    ),
    Metric(
        name="chat_service_send_buffer_bytes",
        kind=GAUGE,
        doc="Bytes waiting to be sent, over all sockets.",
        read=lambda reading: one(reading.transport.send_buffer_bytes if reading.transport else None),
    ),
    Metric(
        name="chat_service_slow_consumers_total",
        kind=COUNTER,
        doc="Sockets disconnected because they read too slowly, or because too much waited for "
        "`on_message_receive`.",
        read=lambda reading: one(
            reading.context.counters.slow_hooks + reading.transport.slow_consumers
            if reading.transport
            else None
        ),
    ),
    Metric(
        name="chat_service_connections",
        kind=GAUGE,
        doc="Connections of clients, each with any number of sockets.",
        read=lambda reading: one(reading.transport.connections if reading.transport else None),
    ),
    Metric(
        name="chat_service_pending_connections",
        kind=GAUGE,
        doc="Connections whose login is not over.",
        read=lambda reading: one(reading.transport.pending_connections if reading.transport else None),
    ),
    Metric(
        name="chat_service_refused_connections_total",
        kind=COUNTER,
        doc="Connections that were refused because there were too many, by the limit: of all connections, of "
        "an address, of those without a login, of those from an address.",
        labels=("reason",),
        read=lambda reading: by_label(
            Counter(reading.transport.refused_connections if reading.transport else {})
        ),
    ),
    Metric(
        name="chat_service_accept_failures_total",
        kind=COUNTER,
        doc="Failed attempts to accept a connection because the process may not open more files.",
        read=lambda reading: one(reading.transport.accept_failures if reading.transport else None),
    ),
    Metric(
        name="chat_service_transport_connections",
        kind=GAUGE,
        labels=("transport",),
        doc="Connections of clients, by transport: `socket.io`, `websocket`, `line`, or that of a plug-in.",
        read=lambda reading: _by_transport(reading, "connections"),
    ),
    Metric(
        name="chat_service_transport_deliveries_total",
        kind=COUNTER,
        labels=("transport",),
        doc="Events queued for sockets, by transport.",
        read=lambda reading: _by_transport(reading, "deliveries"),
    ),
    Metric(
        name="chat_service_transport_slow_consumers_total",
        kind=COUNTER,
        labels=("transport",),
        doc="Sockets disconnected because they read too slowly, by transport.",
        read=lambda reading: _by_transport(reading, "slow_consumers"),
    ),
)
