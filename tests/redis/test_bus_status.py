"""The status of the bus goes by the last word from a server, as the probe does, not by its last pong."""

from time import monotonic

import pytest

from chat_service.stores.redis import RedisStore
from tests.redis.conftest import MakeWorld
from tests.support.parts import parts_of
from tests.support.redis_servers import RedisServer

pytestmark = pytest.mark.redis


async def test_a_pong_behind_envelopes_is_lag_not_silence(at: MakeWorld, server: RedisServer) -> None:
    world = at(server.url, probe_interval=3600.0)
    instance = await world.start()
    store = parts_of(instance.service).store
    assert isinstance(store, RedisStore)
    bus = store._open_bus
    [subscriber] = bus._subscribers.values()
    assert bus.status().is_hearing
    # A ping has waited for two hours: envelopes have come all the time, or nothing at all.
    subscriber.pinged_at = monotonic() - 7200
    subscriber.link.last_heard = monotonic()
    status = bus.status()
    assert status.is_hearing and (status.lag or 0) >= 7200
    subscriber.link.last_heard = monotonic() - 7200
    assert not bus.status().is_hearing
    subscriber.pinged_at = None
