"""Optional capabilities of stores, buses and transports: which ones the built-in classes have."""

from collections.abc import Sequence
from typing import Any

import pytest

from chat_service.contracts import capabilities
from chat_service.contracts.capabilities import HistoryDelivery, history_deliveries
from chat_service.stores.memory import MemoryStore
from chat_service.stores.redis import RedisStore
from chat_service.stores.redis.redis_bus import RedisBus
from chat_service.testing import InProcessTransport
from chat_service.transports.socketio import SocketIOTransport
from chat_service.transports.streams import LineTransport
from chat_service.transports.transport_group import TransportGroup
from chat_service.types import SocketId

STORE = {"RunsWithoutTask", "HasTitle"}
# Only the names of members count, so what is measured has both of these.
MEASURED = {"MeasuredStore", "MeasuredTransport"}
GROUP = {
    "HasAddresses",
    "DeliversBySocket",
    "MeasuredByName",
    "HasAddress",
    "ListensAnywhere",
    "MountsOnAsgi",
    "TakesCommands",
    "TakesSites",
}
TRANSPORT = {
    "HasName",
    "TakesEncoded",
    "LimitsAttachments",
    "Drains",
    "HasAddress",
    "ListensAnywhere",
    "MountsOnAsgi",
    "TakesSites",
}


def socketio_transport(serializer: str = "json") -> SocketIOTransport:
    return SocketIOTransport(host="127.0.0.1", port=0, namespace="/chat", options={"serializer": serializer})


def capabilities_of(part: object) -> set[str]:
    kinds = [kind for kind in vars(capabilities).values() if getattr(kind, "_is_runtime_protocol", False)]
    assert {kind.__name__ for kind in kinds} >= STORE | TRANSPORT | GROUP | MEASURED
    return {kind.__name__ for kind in kinds if isinstance(part, kind)}


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (MemoryStore, STORE),
        (RedisStore, STORE | MEASURED | {"BoundsCommands", "SendsTogether"}),
        (socketio_transport, TRANSPORT | MEASURED),
        (
            LineTransport,
            TRANSPORT - {"ListensAnywhere", "MountsOnAsgi", "TakesSites"} | MEASURED | {"TakesCommands"},
        ),
        (lambda: TransportGroup([InProcessTransport()]), GROUP | MEASURED),
        (InProcessTransport, set()),
    ],
)
def test_built_in_classes_have_their_capabilities(make: Any, expected: set[str]) -> None:
    assert capabilities_of(make()) == expected


def test_the_bus_of_redis_is_monitored() -> None:
    assert isinstance(object.__new__(RedisBus), capabilities.MonitoredBus)


class Nobody:
    """A ``TransportHandler`` that does nothing."""

    async def on_connect(self, socket_id: SocketId) -> None:
        pass

    async def on_event(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> Sequence[Any]:
        return ()

    async def on_disconnect(self, socket_id: SocketId, reason: str) -> None:
        pass


class SlowTransport(InProcessTransport):
    takes_encoded = False
    max_attachments = 3

    async def drained(self, socket_id: str) -> None:
        raise ConnectionError(socket_id)


def test_histories_are_delivered_as_the_transport_says() -> None:
    assert HistoryDelivery.of(InProcessTransport()) == HistoryDelivery()
    slow = SlowTransport()
    assert HistoryDelivery.of(slow) == HistoryDelivery(max_attachments=3, drained=slow.drained)
    for serializer, takes_encoded, limit in (("json", True, 10), ("msgpack", False, None)):
        delivery = HistoryDelivery.of(socketio_transport(serializer))
        assert (delivery.takes_encoded, delivery.max_attachments) == (takes_encoded, limit)


async def test_histories_of_a_group_are_delivered_as_each_transport_says() -> None:
    slow, plain = SlowTransport(), InProcessTransport()
    group = TransportGroup([plain, slow])
    find = history_deliveries(group)
    await group.start(Nobody())
    await group.listen()
    one, other = await plain.connect(), await slow.connect()
    assert find(one.id) == HistoryDelivery()
    assert find(other.id) == HistoryDelivery(max_attachments=3, drained=slow.drained)
    assert find(None) == find(SocketId("nobody")) == HistoryDelivery()
    assert history_deliveries(slow)(None) == HistoryDelivery.of(slow)
    await group.close()
