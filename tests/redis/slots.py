"""Moving slots of a real cluster from node to node, in steps."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis as redis_client
from redis.crc import key_slot

from tests.support.redis_servers import RedisCluster


class SlotMove:
    """The move of one slot to another master; each method is a step of it."""

    def __init__(self, cluster: RedisCluster, key: str, to: int | None = None) -> None:
        self.slot = key_slot(key.encode())
        self._clients = [server.client() for server in cluster.servers]
        self._ports = [server.port for server in cluster.servers]
        self._ids = [client.execute_command("CLUSTER", "MYID") for client in self._clients]
        self.source = self._owner()
        self.target = (self.source + 1) % len(self._ids) if to is None else to

    def _owner(self, asked: int = 0) -> int:
        ranges = self._clients[asked].execute_command("CLUSTER", "SLOTS")
        for first, last, master, *_ in ranges:
            if first <= self.slot <= last:
                return self._ports.index(master[1])
        raise LookupError(self.slot)

    def begin(self) -> None:
        """From now on both nodes know that the slot moves."""
        self._set(self.target, "IMPORTING", self._ids[self.source])
        self._set(self.source, "MIGRATING", self._ids[self.target])

    def move_keys(self, *keys: str) -> None:
        """Move some keys, all that are there when none is named."""
        source = self._clients[self.source]
        names = list(keys) or source.execute_command("CLUSTER", "GETKEYSINSLOT", self.slot, 1000)
        port = self._ports[self.target]
        if names:
            source.execute_command("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *names)

    def end(self) -> None:
        """The target owns the slot, and everybody is told."""
        for node in (self.target, self.source, *range(len(self._ids))):
            self._set(node, "NODE", self._ids[self.target])

    def run(self) -> None:
        """All steps at once."""
        self.begin()
        self.move_keys()
        self.end()

    def lose(self) -> None:
        """Nobody serves the slot any more."""
        for client in self._clients:
            client.execute_command("CLUSTER", "DELSLOTS", self.slot)

    def find(self) -> None:
        """The source serves it again."""
        self._clients[self.source].execute_command("CLUSTER", "ADDSLOTS", self.slot)
        for node in range(len(self._ids)):
            self._set(node, "NODE", self._ids[self.source])

    def _set(self, node: int, *what: object) -> None:
        try:
            self._clients[node].execute_command("CLUSTER", "SETSLOT", self.slot, *what)
        except redis_client.ResponseError as error:
            # The nodes tell each other as well, and one was faster.
            if "already the owner" not in str(error):
                raise

    def _settle(self) -> None:
        """Return when the nodes agree. Moved again before, the slot would go to who says so last."""
        deadline = time.monotonic() + 20
        while True:
            infos = [client.execute_command("CLUSTER", "INFO") for client in self._clients]
            epochs = {re.search(rb"current_epoch:(\d+)", info)[1] for info in infos}  # type: ignore[index]
            owners = {self._owner(node) for node in range(len(self._ids))}
            if len(epochs) == len(owners) == 1:
                return
            assert time.monotonic() < deadline, "the nodes do not agree"
            time.sleep(0.02)

    def close(self) -> None:
        """Bring the slot home."""
        self._settle()
        owner, home = self._owner(), self.source
        if owner != home:
            self.source, self.target = owner, home
            self.run()
            self._settle()
        for client in self._clients:
            client.execute_command("CLUSTER", "SETSLOT", self.slot, "STABLE")
            client.close()


@contextmanager
def slot_move(cluster: RedisCluster, key: str) -> Iterator[SlotMove]:
    """A move that is undone in the end."""
    move = SlotMove(cluster, key)
    try:
        yield move
    finally:
        move.close()
