"""The Redis servers of a run, and what instances and the run itself need to reach them."""

import asyncio
from collections.abc import Mapping
from typing import Any

from chat_service.contracts.bus import Envelope, Topic
from chat_service.stores.redis import RedisStore
from tests.chaos.proxy import Proxy
from tests.support.redis_servers import RedisCluster, RedisSentinels, RedisServer
from tests.support.skew import Skew

#: Seconds that a command of an instance may take: short, so that trouble shows.
COMMAND_TIMEOUT = 2.0
TIMEOUTS = {"command_timeout": COMMAND_TIMEOUT, "connect_timeout": 1.0, "probe_interval": 1.0}
#: What is acknowledged is on the disk.
DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "local")
BACKENDS = ("redis", "cluster", "replicas", "sentinel")


class Silent:
    """A listener that is not interested."""

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        pass

    def on_interruption(self, topic: Topic) -> None:
        pass


class Backend:
    """Servers of one kind: one of ``BACKENDS``. Instances reach a single server through a proxy."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.server: RedisServer | None = None
        self.cluster: RedisCluster | None = None
        self.sentinels: RedisSentinels | None = None
        self.proxy: Proxy | None = None
        self._skew: Skew | None = None
        #: Of the run itself, around the proxy.
        self.own_options: Mapping[str, Any] = {}
        #: Of the instances.
        self.instance_options: Mapping[str, Any] = {}

    async def start(self) -> None:
        if self.kind == "redis":
            self._skew = await asyncio.to_thread(Skew)
            self.server = RedisServer(*DURABLE, environment=self._skew.environment)
            await asyncio.to_thread(self.server.start)
            self.proxy = Proxy(self.server.port)
            await self.proxy.start()
            self.own_options = {"url": self.server.url}
            self.instance_options = {"url": f"redis://127.0.0.1:{self.proxy.port}/0"}
        elif self.kind == "sentinel":
            self.sentinels = RedisSentinels()
            await asyncio.to_thread(self.sentinels.start)
            self.own_options = self.instance_options = {"sentinels": self.sentinels.addresses}
        elif self.kind in ("cluster", "replicas"):
            self.cluster = RedisCluster(3, 3 if self.kind == "replicas" else 0)
            await asyncio.to_thread(self.cluster.start)
            self.own_options = self.instance_options = {"url": self.cluster.url, "cluster": True}
        else:
            raise ValueError(f"no backend {self.kind}: one of {', '.join(BACKENDS)}")
        self.instance_options = {**self.instance_options, **TIMEOUTS}

    def servers(self) -> list[RedisServer]:
        """The servers that run and have data."""
        found = [self.server] if self.server else []
        found += self.cluster.servers if self.cluster else []
        found += self.sentinels.servers if self.sentinels else []
        return [server for server in found if server.process is not None]

    def set_clock(self, seconds: float) -> None:
        """Make the clock of one server wrong by this number of seconds."""
        if self._skew is not None:
            self._skew.set(seconds)

    async def store(self) -> RedisStore:
        """A store of the run itself, open."""
        made = RedisStore(self.own_options)
        await made.open(Silent())
        return made

    async def stop(self) -> None:
        if self.proxy is not None:
            await self.proxy.stop()
        for servers in (self.server, self.cluster, self.sentinels):
            if servers is not None:
                await asyncio.to_thread(servers.stop)
        if self._skew is not None:
            self._skew.close()
