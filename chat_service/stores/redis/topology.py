"""Where the nodes are: one server, the master that Sentinel knows, or the slots of a cluster."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError

from chat_service.errors import StoreTimeoutError
from chat_service.stores.redis.link import Link
from chat_service.stores.redis.options import RedisOptions
from chat_service.telemetry import Durations

logger = logging.getLogger("chat_service")


class Address(NamedTuple):
    """Where a node listens. ``port`` 0: the host is a path of a Unix socket."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


class Connector:
    """Makes redis-py connections to any node, with the credentials and the TLS of the options."""

    def __init__(self, options: RedisOptions) -> None:
        self._options = options
        parsed: dict[str, Any] = dict(parse_url(options.url))
        path = parsed.pop("path", None)
        host, port = parsed.pop("host", "localhost"), parsed.pop("port", 6379)
        self.address = Address(path, 0) if path else Address(host, port)
        self._class: Any = parsed.pop("connection_class", Connection)
        if self._class is SSLConnection:
            parsed.update(options.tls)
        self._keywords = parsed

    def connection(self, address: Address) -> AbstractConnection:
        """A connection that is not connected yet. It is not retried: only a caller knows what may be."""
        where = {"host": address.host, "port": address.port} if address.port else {"path": address.host}
        made: AbstractConnection = self._class(
            **where,
            **self._keywords,
            socket_connect_timeout=self._options.connect_timeout,
            socket_timeout=self._options.connect_timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        return made


class Topology:
    """The links to the nodes, and which node has which key."""

    def __init__(self, options: RedisOptions, on_lost: Callable[[], None] = lambda: None) -> None:
        self._options = options
        self.connector = Connector(options)
        self._on_lost = on_lost
        #: How long commands waited for their answers.
        self.durations = Durations()
        self._links: dict[Address, Link] = {}
        self._slots: dict[int, Address] = {}
        self._master: Address | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._sentinel: Any = None
        if options.sentinels:
            self._sentinel = Sentinel(  # type: ignore[no-untyped-call]
                list(options.sentinels),
                sentinel_kwargs={
                    "password": options.sentinel_password,
                    "socket_timeout": options.connect_timeout,
                    "socket_connect_timeout": options.connect_timeout,
                    "protocol": 2,
                    "retry": Retry(NoBackoff(), 0),
                },
            )

    async def address_of(self, key: str) -> Address:
        """The node that has a key now. Raises ``StoreTimeoutError`` when that cannot be found out."""
        if not self._options.cluster:
            if self._sentinel is None:
                return self.connector.address
            if self._master is None:
                await self.refresh()
            return self._master or self.connector.address
        slot = key_slot(key.encode())
        if slot not in self._slots:
            await self.refresh()
        try:
            return self._slots[slot]
        except KeyError:
            raise StoreTimeoutError(f"no node of the Redis cluster serves slot {slot}") from None

    def address_known(self, key: str) -> Address | None:
        """As ``address_of``, None when it has to be found out."""
        if self._options.cluster:
            return self._slots.get(key_slot(key.encode()))
        return self.connector.address if self._sentinel is None else self._master

    def moved(self, key: str, address: Address) -> None:
        """A node said that another one has the key's slot now."""
        self._slots[key_slot(key.encode())] = address

    def forget(self) -> None:
        """What is known may be wrong; find it out anew at the next use."""
        self._slots.clear()
        self._master = None

    async def open_link(self, address: Address) -> Link:
        """The open link to a node. Raises ``StoreError``."""
        link = self._links.get(address)
        if link is None:
            link = self._links[address] = Link(
                str(address),
                lambda: self.connector.connection(address),
                self._options.command_timeout,
                on_lost=self._on_lost,
                durations=self.durations,
            )
        if not link.is_open:
            await link.open()
        return link

    def link_known(self, address: Address) -> Link | None:
        """The open link to a node, None when there is none."""
        link = self._links.get(address)
        return link if link is not None and link.is_open else None

    async def refresh(self) -> None:
        """Find out where the master or the slots are. Raises ``StoreTimeoutError``."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh(), name="redis topology")
            self._refreshing.add_done_callback(self._end_refresh)
        await asyncio.shield(self._refreshing)

    def _end_refresh(self, task: "asyncio.Task[None]") -> None:
        self._refreshing = None
        if not task.cancelled():
            task.exception()

    async def _refresh(self) -> None:
        if self._sentinel is not None:
            try:
                host, port = await self._sentinel.discover_master(self._options.sentinel_service)
            except (RedisError, OSError) as error:
                # The error's own text shows objects of the library.
                asked = ", ".join(f"{host}:{port}" for host, port in self._options.sentinels)
                name = self._options.sentinel_service
                message = f"no Sentinel of {asked} knows a master named {name} that answers"
                raise StoreTimeoutError(message) from error
            self._master = Address(host, int(port))
        elif self._options.cluster:
            await self._refresh_slots()

    async def _refresh_slots(self) -> None:
        reasons = []
        for address in dict.fromkeys((*self._slots.values(), *self._links, self.connector.address)):
            try:
                link = await self.open_link(address)
                ranges = await link.submit("CLUSTER", "SLOTS")
            except Exception as error:
                reasons.append(str(error))
                continue
            slots: dict[int, Address] = {}
            for first, last, master, *_ in ranges:
                node = Address(master[0].decode() or address.host, master[1])
                slots.update(dict.fromkeys(range(first, last + 1), node))
            if slots:
                self._slots = slots
                await self._drop_strangers(set(slots.values()))
                return
        raise StoreTimeoutError("the Redis cluster cannot be reached: " + "; ".join(reasons))

    async def _drop_strangers(self, members: set[Address]) -> None:
        for address in [known for known in self._links if known not in members]:
            link = self._links[address]
            # One that is being connected is used: its node may be newer than this answer.
            if link.is_idle:
                del self._links[address]
                await link.close()

    @property
    def can_move(self) -> bool:
        """Whether another node can become the master of a key."""
        return self._sentinel is not None or self._options.cluster

    def masters(self) -> set[Address]:
        """The nodes that are known to have slots; the one server when it is no cluster."""
        if self._options.cluster:
            return set(self._slots.values())
        return {self._master or self.connector.address}

    async def close(self) -> None:
        """Close every link."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.wait([self._refreshing])
        for link in self._links.values():
            await link.close()
        self._links.clear()
        if self._sentinel is not None:
            for client in self._sentinel.sentinels:
                await client.aclose()
