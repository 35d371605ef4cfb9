"""Moves slots between nodes of a real cluster step by step."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis as redis_client
from redis.crc import key_slot

from tests.support.redis_servers import RedisCluster


class SlotMove:
    """The move of a slot to another master, with a method for each step."""

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
        """Mark the slot as moving on both nodes."""
        self._set(self.target, "IMPORTING", self._ids[self.source])
        self._set(self.source, "MIGRATING", self._ids[self.target])

    def move_keys(self, *keys: str) -> None:
        """Move the given keys, or all keys of the slot."""
        source = self._clients[self.source]
        names = list(keys) or source.execute_command("CLUSTER", "GETKEYSINSLOT", self.slot, 1000)
        port = self._ports[self.target]
        if names:
            source.execute_command("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *names)

    def end(self) -> None:
        """Assign the slot to the target on all nodes."""
        for node in (self.target, self.source, *range(len(self._ids))):
            self._set(node, "NODE", self._ids[self.target])

    def run(self) -> None:
        """Do all steps."""
        self.begin()
        self.move_keys()
        self.end()

    def lose(self) -> None:
        """Unassign the slot."""
        for client in self._clients:
            client.execute_command("CLUSTER", "DELSLOTS", self.slot)

    def find(self) -> None:
        """Assign the slot to the source again."""
        self._clients[self.source].execute_command("CLUSTER", "ADDSLOTS", self.slot)
        for node in range(len(self._ids)):
            self._set(node, "NODE", self._ids[self.source])

    def _set(self, node: int, *what: object) -> None:
        try:
            self._clients[node].execute_command("CLUSTER", "SETSLOT", self.slot, *what)
        except redis_client.ResponseError as error:
            # Gossip between the nodes was faster.
            if "already the owner" not in str(error):
                raise

    def _settle(self) -> None:
        """Wait until the nodes agree. Otherwise another move could be overridden by gossip."""
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
        """Move the slot back."""
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
    """A move that is undone at the end."""
    move = SlotMove(cluster, key)
    try:
        yield move
    finally:
        move.close()
