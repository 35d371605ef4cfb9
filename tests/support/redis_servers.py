"""Real Redis servers for the tests, on free ports of the loopback; nothing of them is left afterwards."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis as redis_client

READY_IN = 20.0


def free_port() -> int:
    """A TCP port that nobody listens on, and whose cluster bus port is free as well."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            if port > 55000:
                continue
            try:
                second.bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            return port


class RedisServer:
    """One redis-server process."""

    def __init__(self, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="chat-redis-"))
        self._options = options
        self.process: subprocess.Popen[bytes] | None = None
        #: What stands before the options, such as a configuration file.
        self.program_arguments: list[str] = []

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        """Start the process, and return when it answers."""
        program = shutil.which("redis-server")
        assert program is not None, "redis-server is missing: make test installs it"
        base = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen(
            [program, *self.program_arguments, *base, "--logfile", str(self.folder / "log"), *self._options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + READY_IN
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return self
            except redis_client.AuthenticationError:
                # It answers; it only wants a password first.
                return self
            except (redis_client.ConnectionError, redis_client.TimeoutError, redis_client.BusyLoadingError):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.02)

    def client(self, **options: object) -> "redis_client.Redis":
        """A blocking client, for the tests' own looks."""
        return redis_client.Redis(host="127.0.0.1", port=self.port, **options)  # type: ignore[arg-type]

    def kill(self) -> None:
        """End the process at once; what it wrote to disk stays."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """End the process and remove its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

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


class RedisCluster:
    """A cluster of masters without replicas, unless ``replicas`` are asked for."""

    def __init__(self, masters: int = 3, replicas: int = 0) -> None:
        options = (
            "--cluster-enabled", "yes",
            "--cluster-node-timeout", "2000",
            "--cluster-replica-validity-factor", "0",
        )  # fmt: skip
        self.servers = [RedisServer(*options) for _ in range(masters + replicas)]
        self._masters = masters

    @property
    def url(self) -> str:
        return self.servers[0].url

    def start(self) -> Self:
        """Start the nodes, share the slots out, and return when all agree."""
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
        return self

    def _replicate(self, client: "redis_client.Redis", master_id: bytes) -> None:
        deadline = time.monotonic() + READY_IN
        while True:
            try:
                client.execute_command("CLUSTER", "REPLICATE", master_id)
                return
            except redis_client.ResponseError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _wait(self, is_ready) -> None:
        deadline = time.monotonic() + READY_IN
        for server in self.servers:
            with server.client() as client:
                while not is_ready(_fields(client.execute_command("CLUSTER", "INFO"))):
                    assert time.monotonic() < deadline, f"the cluster is not ready in {READY_IN} s"
                    time.sleep(0.05)

    def stop(self) -> None:
        for server in self.servers:
            with contextlib.suppress(OSError):
                server.stop()

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


class RedisSentinels:
    """A master with one replica, and three sentinels that fail over soon."""

    SERVICE = "mymaster"

    def __init__(self, *options: str, down_after_ms: int = 1000) -> None:
        self.servers = [RedisServer(*options), RedisServer(*options)]
        self.sentinels: list[RedisServer] = []
        self._down_after_ms = down_after_ms

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the sentinels are."""
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]

    def start(self) -> Self:
        """Start all, and return when the sentinels know each other and the replica is in step."""
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
        """Return when every sentinel sees a living master with a replica in step, and the other sentinels."""
        deadline = time.monotonic() + 2 * READY_IN
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
        """The server that is the master now, as the first sentinel says."""
        with self.sentinels[0].client() as client:
            _, port = client.sentinel_get_master_addr_by_name(self.SERVICE)
        return next(server for server in self.servers if server.port == port)

    def stop(self) -> None:
        for server in (*self.sentinels, *self.servers):
            with contextlib.suppress(OSError):
                server.stop()

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


def _fields(info: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
