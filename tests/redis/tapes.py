"""Somebody who can read channels of Redis and publish to them, but does not know ``bus_secret``."""

import time

import redis as redis_client

from tests.support.backends import InRedis
from tests.support.patience import PATIENCE


class Tape:
    """Records a channel, and plays what it has recorded."""

    def __init__(self, backend: InRedis, channel: str) -> None:
        self.channel = channel
        self._client = _node_of(backend, channel)
        self._heard = self._client.pubsub()
        self._heard.ssubscribe(channel)

    def record(self) -> bytes:
        """The next envelope."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            message = self._heard.get_sharded_message(timeout=0.1)
            if message is not None and message["type"] == "smessage":
                return bytes(message["data"])
        raise AssertionError("nothing was published")

    def record_all(self) -> list[bytes]:
        """Everything since the last envelope."""
        end = f"end {time.monotonic_ns()}".encode()
        self._client.execute_command("SPUBLISH", self.channel, end)
        found = []
        while (data := self.record()) != end:
            found.append(data)
        return found

    def play(self, data: bytes) -> None:
        assert self._client.execute_command("SPUBLISH", self.channel, data) >= 1

    def close(self) -> None:
        self._heard.close()
        self._client.close()


def _node_of(backend: InRedis, channel: str) -> "redis_client.Redis":
    found = None
    for client in backend.clients():
        try:
            client.execute_command("SPUBLISH", channel, b"")
            found = client
        except redis_client.ResponseError:
            client.close()
    assert found is not None
    return found
