"""Real Redis servers for the tests, on free ports of the loopback interface. They leave nothing behind."""

import contextlib
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import redis as redis_client
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry

from chat_service.stores.redis.dialing import NO_DRIVER_INFO
from tests.support.patience import PATIENCE

#: The server program, such as ``valkey-server`` or its full path.
PROGRAM = os.environ.get("CHAT_TEST_REDIS_SERVER", "redis-server")


def server_program() -> str:
    """The path of the server program."""
    found = shutil.which(PROGRAM)
    assert found is not None, f"{PROGRAM} is missing: make test installs redis-server"
    return found


#: These ports and their cluster bus ports are below those that systems use for outgoing connections, which
#: could take a port just before a server does.
PORTS = range(10_500, 22_000)
CLUSTER_BUS = 10_000


def free_port() -> int:
    """A free TCP port whose cluster bus port is also free."""
    while True:
        # Not the shared generator: hypothesis seeds it identically in all processes.
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as first, socket.socket() as second, contextlib.suppress(OSError):
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + CLUSTER_BUS))
            return port


class StartedInBlock(ABC):
    """Runs inside a ``with`` block, and cleans up if it cannot start."""

    @abstractmethod
    def start(self) -> Self: ...

    @abstractmethod
    def stop(self) -> None: ...

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class RedisServer(StartedInBlock):
    """One redis-server process. ``environment``: its environment variables; by default, those of this
    process.
    """

    def __init__(
        self, *options: str, port: int | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._environment = environment
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="chat-redis-"))
        self._options = options
        self.process: subprocess.Popen[bytes] | None = None
        #: Arguments before the options, such as a configuration file.
        self.program_arguments: list[str] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        """Start the process, and return when it answers."""
        base = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        base += ["--logfile", str(self.folder / "log")]
        self.process = subprocess.Popen(
            [server_program(), *self.program_arguments, *base, *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self._environment,
        )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                # Retried here and not by the client, whose pauses grow.
                with self.client(retry=Retry(NoBackoff(), 0)) as client:
                    client.ping()
                return self
            except redis_client.AuthenticationError:
                # It answers, but requires a password first.
                return self
            except (redis_client.ConnectionError, redis_client.TimeoutError, redis_client.BusyLoadingError):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.02)

    def client(self, **options: object) -> "redis_client.Redis":
        """A blocking client for tests that inspect the server."""
        return redis_client.Redis(**{"host": "127.0.0.1", "port": self.port, **NO_DRIVER_INFO, **options})  # type: ignore[arg-type]

    def kill(self) -> None:
        """Kill the process. Its files stay."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """End the process and remove its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class RedisCluster(StartedInBlock):
    """A cluster of masters, each with this number of ``replicas``; by default without."""

    def __init__(self, masters: int = 3, replicas: int = 0) -> None:
        options = (
            "--cluster-enabled", "yes",
            "--cluster-node-timeout", "2000",
            "--cluster-replica-validity-factor", "0",
            "--repl-diskless-sync-delay", "0",
            "--enable-debug-command", "local",
        )  # fmt: skip
        self.servers = [RedisServer(*options) for _ in range(masters + replicas)]
        self._masters = masters

    @property
    def url(self) -> str:
        return self.servers[0].url

    def start(self) -> Self:
        """Start the nodes, distribute the slots, and return when all nodes agree."""
        for server in self.servers:
            server.start()
        masters = self.servers[: self._masters]
        share = 16384 // len(masters)
        first = self.servers[0]
        for number, server in enumerate(masters):
            last = 16383 if server is masters[-1] else (number + 1) * share - 1
            with server.client() as client:
                client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * share, last)
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            with server.client() as client:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port)
        self._wait(lambda info: info["cluster_known_nodes"] == str(len(self.servers)))
        for number, server in enumerate(self.servers[self._masters :]):
            with masters[number % len(masters)].client() as master, server.client() as client:
                self._replicate(client, master.execute_command("CLUSTER", "MYID"))
        self._wait(lambda info: info["cluster_state"] == "ok")
        self.wait_in_step()
        return self

    def _replicate(self, client: "redis_client.Redis", master_id: bytes) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                client.execute_command("CLUSTER", "REPLICATE", master_id)
                return
            except redis_client.ResponseError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _wait(self, is_ready) -> None:
        deadline = time.monotonic() + PATIENCE
        for server in self.servers:
            if server.process is None:
                continue
            with server.client() as client:
                while not is_ready(_fields(client.execute_command("CLUSTER", "INFO"))):
                    assert time.monotonic() < deadline, f"the cluster is not ready in {PATIENCE} s"
                    time.sleep(0.05)

    # Changes while it runs

    def _with_role(self, role: str) -> list[RedisServer]:
        found = []
        for server in self.servers:
            if server.process is not None:
                with server.client() as client:
                    if client.info("replication")["role"] == role:
                        found.append(server)
        return found

    def masters(self) -> list[RedisServer]:
        """The running masters."""
        return self._with_role("master")

    def replicas(self) -> list[RedisServer]:
        """The running replicas."""
        return self._with_role("slave")

    def replica_of(self, key: str) -> RedisServer:
        """A replica of the shard that has a key, as soon as the first master knows it."""
        slot = key_slot(key.encode())
        deadline = time.monotonic() + PATIENCE
        with self.masters()[0].client() as client:
            while True:
                served = client.execute_command("CLUSTER", "SLOTS")
                nodes = next(nodes for first, last, *nodes in served if first <= slot <= last)
                ports = {node[1] for node in nodes[1:]}
                for server in self.servers:
                    if server.port in ports:
                        return server
                assert time.monotonic() < deadline, f"no replica is known after {PATIENCE} s"
                time.sleep(0.05)

    def fail_over(self, replica: RedisServer) -> None:
        """Let a replica replace its master with the master's agreement, and return when it has.

        An election may fail on a busy machine: the replica gives up after 5 s, or the masters voted recently.
        """
        deadline = time.monotonic() + PATIENCE
        with replica.client() as client:
            while client.info("replication")["role"] != "master":
                assert time.monotonic() < deadline, f"the replica is not the master after {PATIENCE} s"
                with contextlib.suppress(redis_client.ResponseError):
                    client.execute_command("CLUSTER", "FAILOVER")
                retry = time.monotonic() + 6
                while client.info("replication")["role"] != "master" and time.monotonic() < retry:
                    time.sleep(0.05)

    def wait_ok(self) -> None:
        """Return when all running nodes agree that every slot is served by one of them."""
        deadline = time.monotonic() + PATIENCE
        running = {server.port for server in self.servers if server.process is not None}
        for server in self.servers:
            if server.process is None:
                continue
            with server.client() as client:
                while True:
                    served = client.execute_command("CLUSTER", "SLOTS")
                    is_served = all(master[1] in running for _, _, master, *_ in served)
                    state = _fields(client.execute_command("CLUSTER", "INFO"))["cluster_state"]
                    if is_served and state == "ok":
                        break
                    assert time.monotonic() < deadline, f"the cluster has not recovered in {PATIENCE} s"
                    time.sleep(0.05)

    def wait_in_step(self) -> None:
        """Return when every replica follows its master, and all nodes agree."""
        self.wait_ok()
        deadline = time.monotonic() + PATIENCE
        for server in self.replicas():
            with server.client() as client:
                while client.info("replication").get("master_link_status") != "up":
                    assert time.monotonic() < deadline, f"a replica is not in step in {PATIENCE} s"
                    time.sleep(0.05)

    def move_slot(self, slot: int, rng: random.Random) -> None:
        """Move a slot to another master, key by key, as the cluster tools do."""
        masters = self.masters()
        with contextlib.ExitStack() as stack:
            clients = {server.port: stack.enter_context(server.client()) for server in masters}
            ids = {port: client.execute_command("CLUSTER", "MYID") for port, client in clients.items()}
            served = next(iter(clients.values())).execute_command("CLUSTER", "SLOTS")
            source = next(master[1] for first, last, master, *_ in served if first <= slot <= last)
            target = rng.choice(sorted(port for port in clients if port != source))
            clients[target].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
            clients[source].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
            while keys := clients[source].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 10):
                clients[source].execute_command("MIGRATE", "127.0.0.1", target, "", 0, 5000, "KEYS", *keys)
            for port in (target, source, *clients):
                clients[port].execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])

    def stop(self) -> None:
        for server in self.servers:
            with contextlib.suppress(OSError):
                server.stop()


class RedisSentinels(StartedInBlock):
    """A master with one replica, and three Sentinels that fail over quickly."""

    SERVICE = "mymaster"

    def __init__(self, *options: str, down_after_ms: int = 1000) -> None:
        self.servers = [RedisServer(*options), RedisServer(*options)]
        self.sentinels: list[RedisServer] = []
        self._down_after_ms = down_after_ms

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses of the Sentinels."""
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]

    def start(self) -> Self:
        """Start all servers, and return when the Sentinels know each other and the replica is in sync."""
        master, replica = self.servers
        master.start()
        replica.start()
        with replica.client() as client:
            client.execute_command("REPLICAOF", "127.0.0.1", master.port)
        for _ in range(3):
            sentinel = RedisServer()
            config = sentinel.folder / "sentinel.conf"
            lines = [
                f"sentinel monitor {self.SERVICE} 127.0.0.1 {master.port} 2",
                f"sentinel down-after-milliseconds {self.SERVICE} {self._down_after_ms}",
                f"sentinel failover-timeout {self.SERVICE} 6000",
                f"sentinel parallel-syncs {self.SERVICE} 1",
            ]
            config.write_text("\n".join(lines) + "\n")
            sentinel.program_arguments = [str(config), "--sentinel"]
            self.sentinels.append(sentinel)
            sentinel.start()
        self.wait_ready()
        return self

    def wait_ready(self) -> None:
        """Return when every Sentinel sees a running master, a replica in sync, and the other Sentinels."""
        deadline = time.monotonic() + PATIENCE
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                while True:
                    state = client.sentinel_master(self.SERVICE)
                    replicas = client.sentinel_slaves(self.SERVICE)
                    in_step = [item for item in replicas if item["master-link-status"] == "ok"]
                    if state["num-other-sentinels"] == 2 and not state["is_sdown"] and in_step:
                        break
                    assert time.monotonic() < deadline, f"sentinel is not ready: {state} {replicas}"
                    time.sleep(0.1)

    def master(self) -> RedisServer:
        """The current master, according to the first Sentinel."""
        with self.sentinels[0].client() as client:
            _, port = client.sentinel_get_master_addr_by_name(self.SERVICE)
        return next(server for server in self.servers if server.port == port)

    def stop(self) -> None:
        for server in (*self.sentinels, *self.servers):
            with contextlib.suppress(OSError):
                server.stop()


def _fields(info: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
