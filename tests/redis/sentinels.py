"""A real master and replica monitored by three real Sentinels."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import redis as redis_client

from tests.redis.certificates import Certificates
from tests.support.patience import PATIENCE
from tests.support.redis_servers import RedisServer, StartedInBlock, free_port, server_program

SERVICE = "chatmaster"


class Sentinel:
    """One redis-server process in sentinel mode."""

    def __init__(
        self, master_port: int, password: str | None, certificates: Certificates | None = None
    ) -> None:
        self.port = free_port()
        self.tls_port = free_port() if certificates is not None else 0
        tls = certificates.options(self.tls_port) if certificates is not None else []
        self._password = password
        self._folder = Path(tempfile.mkdtemp(prefix="chat-sentinel-"))
        config = self._folder / "sentinel.conf"
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self._folder}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {master_port} 2",
            f"sentinel down-after-milliseconds {SERVICE} 500",
            f"sentinel failover-timeout {SERVICE} 3000",
            *([f"requirepass {password}"] if password else []),
        ]
        config.write_text("\n".join(lines) + "\n", "utf-8")
        self.process = subprocess.Popen(
            [server_program(), str(config), "--sentinel", "--logfile", str(self._folder / "log"), *tls],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, *command: object) -> object:
        with redis_client.Redis(host="127.0.0.1", port=self.port, password=self._password) as client:
            return client.execute_command(*command)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class SentinelSetup(StartedInBlock):
    """A master, a replica and Sentinels."""

    def __init__(self, password: str | None = None, certificates: Certificates | None = None) -> None:
        self.password = password
        self._certificates = certificates
        # A former master that restarts should be demoted quickly.
        options = ("--repl-diskless-sync-delay", "0", "--repl-timeout", "5")
        self.servers = [RedisServer(*options), RedisServer(*options)]
        self.sentinels: list[Sentinel] = []

    @property
    def addresses(self) -> list[tuple[str, int]]:
        return [("127.0.0.1", sentinel.tls_port or sentinel.port) for sentinel in self.sentinels]

    @property
    def options(self) -> dict[str, object]:
        """The store options of a service."""
        password = {"sentinel_password": self.password} if self.password else {}
        return {"sentinels": self.addresses, "sentinel_service": SERVICE, **password}

    def master_port(self) -> int:
        """The port of the master according to the first living Sentinel."""
        for sentinel in self.sentinels:
            with contextlib.suppress(redis_client.ConnectionError):
                answer = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
                assert isinstance(answer, list | tuple)
                return int(answer[1])
        raise AssertionError("no sentinel answers")

    def start(self) -> Self:
        """Start all and wait until the Sentinels know each other and the replica."""
        master, replica = self.servers
        master.start()
        replica.start()
        with replica.client() as client:
            client.replicaof("127.0.0.1", str(master.port))
        self.sentinels = [Sentinel(master.port, self.password, self._certificates) for _ in range(3)]
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert time.monotonic() < deadline, f"the sentinels are not ready in {PATIENCE} s"
            time.sleep(0.05)
        return self

    def _is_ready(self) -> bool:
        try:
            for sentinel in self.sentinels:
                answer = sentinel.ask("SENTINEL", "MASTER", SERVICE)
                fields = _pairs(answer)
                if fields.get("num-slaves") != "1" or fields.get("num-other-sentinels") != "2":
                    return False
            with self.servers[1].client() as client:
                return client.info("replication")["master_link_status"] == "up"
        except (redis_client.ConnectionError, redis_client.ResponseError):
            return False

    def stop(self) -> None:
        for sentinel in self.sentinels:
            sentinel.stop()
        for server in self.servers:
            server.stop()


def _pairs(answer: object) -> dict[str, str]:
    if isinstance(answer, dict):
        return {_text(key): _text(value) for key, value in answer.items()}
    assert isinstance(answer, list | tuple)
    texts = [_text(item) for item in answer]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
