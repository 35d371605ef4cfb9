"""The addresses of the nodes: the single server, the master known to Sentinel, or the cluster's slots."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any, NamedTuple

from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError

from chat_service.concurrency.running import Background, end
from chat_service.errors import ConfigurationError, StoreError, StoreTimeoutError
from chat_service.stores.redis.dialing import NO_DRIVER_INFO, TcpConnection, TlsConnection, UnixConnection
from chat_service.stores.redis.link import Link, RedisReplyError
from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.stores.redis.urls import Address, read_tls
from chat_service.telemetry import Durations

logger = logging.getLogger("chat_service")


#: TLS options whose values must not appear in error texts.
_SECRET = frozenset({"ssl_password", "ssl_ca_data"})


class Connector:
    """Creates redis-py connections to any node, with the credentials and TLS options of Redis.

    ``to_sentinels``: with those of the Sentinels instead.
    """

    def __init__(self, options: RedisOptions, *, to_sentinels: bool = False) -> None:
        url = options.parsed_url
        self.address = url.address
        self._tls: dict[str, Any] | None = None
        self._keywords: dict[str, Any] = {
            "socket_connect_timeout": options.connect_timeout,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            **NO_DRIVER_INFO,
        }
        if to_sentinels:
            self._keywords |= {"username": options.sentinel_username, "password": options.sentinel_password}
            if options.sentinel_tls is not None:
                self._tls = read_tls(options.sentinel_tls)
        else:
            login = {"db": url.db, "username": url.username, "password": url.password}
            self._keywords |= {**login, **url.connection}
            if url.tls:
                self._tls = {**url.tls_options, **read_tls(options.tls)}

    def check(self) -> None:
        """Raises ``ConfigurationError`` if the TLS options cannot be used."""
        if self._tls is None:
            return
        try:
            TlsConnection(**self._tls).ssl_context.get()
        except (OSError, ValueError, RedisError) as error:
            shown = {name: value for name, value in self._tls.items() if name not in _SECRET}
            raise ConfigurationError(f"TLS to Redis cannot be used with {shown}: {error}") from None

    def connection(self, address: Address) -> AbstractConnection:
        """An unconnected connection that never retries: only the caller knows what may be repeated."""
        if not address.port:
            # Keep-alive applies to TCP only.
            keywords = {name: value for name, value in self._keywords.items() if name != "socket_keepalive"}
            return UnixConnection(path=address.host, **keywords)
        if self._tls is None:
            return TcpConnection(host=address.host, port=address.port, **self._keywords)
        return TlsConnection(host=address.host, port=address.port, **self._keywords, **self._tls)


class Found(NamedTuple):
    """The result of a search for the nodes: the master known to Sentinel, or the node of each slot."""

    master: Address | None
    slots: dict[int, Address]


class Topology:
    """The links to the nodes, and which node holds which key."""

    def __init__(
        self,
        options: RedisOptions,
        on_lost: Callable[[], None] = lambda: None,
        background: Background | None = None,
    ) -> None:
        self._options = options
        self._background = background or Background()
        self.connector = Connector(options)
        self._on_lost = on_lost
        #: Durations of commands until their replies.
        self.durations = Durations()
        self._links: dict[Address, Link] = {}
        self._slots: dict[int, Address] = {}
        self._master: Address | None = None
        self._refreshing: asyncio.Task[Found] | None = None
        self._sentinels: Sentinels | None = None
        if options.sentinels:
            to_sentinels = Connector(options, to_sentinels=True)
            self._sentinels = Sentinels(
                [Address(host, port) for host, port in options.sentinels],
                options.sentinel_service,
                lambda address: Link(
                    f"{address} (Sentinel)",
                    lambda: to_sentinels.connection(address),
                    options.connect_timeout,
                    background=self._background,
                ),
            )

    def check(self) -> None:
        """Raises ``ConfigurationError`` if the options do not permit any connection."""
        self.connector.check()
        if self._options.sentinels:
            Connector(self._options, to_sentinels=True).check()

    async def address_of(self, key: str) -> Address:
        """The node that holds a key now. Raises ``StoreTimeoutError`` if it cannot be found out."""
        if not self._options.cluster:
            if self._sentinels is None:
                return self.connector.address
            # Use the result even if another task has called ``forget`` meanwhile.
            master = self._master or (await self.refresh()).master
            return master or self.connector.address
        slot = key_slot(key.encode())
        found = self._slots.get(slot) or (await self.refresh()).slots.get(slot)
        if found is None:
            raise StoreTimeoutError(f"no node of the Redis cluster serves slot {slot}")
        return found

    def address_known(self, key: str) -> Address | None:
        """``address_of`` from what is known; None if the nodes have to be asked."""
        if self._options.cluster:
            return self._slots.get(key_slot(key.encode()))
        return self.connector.address if self._sentinels is None else self._master

    def moved(self, key: str, address: Address) -> None:
        """Note that another node now serves the key's slot."""
        self._slots[key_slot(key.encode())] = address

    def forget(self) -> None:
        """Mark what is known as outdated, so that it is refreshed on next use."""
        self._slots = {}
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
                background=self._background,
            )
        if not link.is_open:
            await link.open()
        return link

    def link_known(self, address: Address) -> Link | None:
        """The open link to a node, None if there is none."""
        link = self._links.get(address)
        return link if link is not None and link.wire is not None else None

    async def refresh(self) -> Found:
        """Find the master or the slots. Raises ``StoreTimeoutError``."""
        if self._refreshing is None:
            # Shared by all concurrent callers, so it does not inherit the context of the first.
            self._refreshing = asyncio.get_running_loop().create_task(
                self._refresh(), name="redis topology", context=Context()
            )
            self._refreshing.add_done_callback(self._end_refresh)
        refreshing = self._refreshing
        await asyncio.wait([refreshing])
        if refreshing.cancelled():
            raise StoreTimeoutError("the search for the Redis nodes was cancelled")
        return refreshing.result()

    def _end_refresh(self, task: "asyncio.Task[Found]") -> None:
        self._refreshing = None
        if not task.cancelled():
            task.exception()

    async def _refresh(self) -> Found:
        if self._sentinels is not None:
            master = self._master = await self._sentinels.master()
            return Found(master, {})
        return Found(None, await self._refresh_slots() if self._options.cluster else {})

    async def _refresh_slots(self) -> dict[int, Address]:
        reasons = []
        for address in dict.fromkeys((*self._slots.values(), *self._links, self.connector.address)):
            try:
                link = await self.open_link(address)
                slots = _slots_of(await link.submit("CLUSTER", "SLOTS"), address)
            except Exception as error:
                reasons.append(str(error) or repr(error))
                continue
            if slots:
                self._slots = slots
                await self._drop_strangers(set(slots.values()))
                return slots
        raise StoreTimeoutError("the Redis cluster cannot be reached: " + "; ".join(reasons))

    async def _drop_strangers(self, members: set[Address]) -> None:
        for address in [known for known in self._links if known not in members]:
            link = self._links[address]
            # Keep links that are connecting: their nodes may be newer than this reply.
            if link.is_idle:
                del self._links[address]
                await link.close()

    @property
    def can_move(self) -> bool:
        """Whether the master of a key can change."""
        return self._sentinels is not None or self._options.cluster

    def masters(self) -> set[Address]:
        """The known nodes with slots; without a cluster, the single server."""
        if self._options.cluster:
            return set(self._slots.values())
        return {self._master or self.connector.address}

    async def close(self) -> None:
        """Close all links."""
        await end(self._refreshing)
        for link in self._links.values():
            await link.close()
        self._links.clear()
        if self._sentinels is not None:
            await self._sentinels.close()


def _slots_of(ranges: Any, asked: Address) -> dict[int, Address]:
    """Parse the reply to ``CLUSTER SLOTS``. A missing host means the host of the asked node."""
    slots: dict[int, Address] = {}
    for first, last, (host, port, *_), *_ in ranges:
        node = Address(host.decode() if host else asked.host, port)
        slots.update(dict.fromkeys(range(first, last + 1), node))
    return slots


class Sentinels:
    """A connection to each Sentinel, opened on demand. The last one that knew the master is asked first.

    The only permission needed is for ``SENTINEL GET-MASTER-ADDR-BY-NAME``.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        service: str,
        open_link: Callable[[Address], Link],
    ) -> None:
        """``service``: the Sentinels' name of the master. ``open_link``: creates an unopened link."""
        self._links = {address: open_link(address) for address in addresses}
        self._service = service

    async def master(self) -> Address:
        """Raises ``StoreTimeoutError`` if no Sentinel knows the master, ``StoreError`` if all refuse."""
        reasons: list[StoreError] = []
        for address, link in list(self._links.items()):
            try:
                await link.open()
                answer = await link.submit("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
                master = Address(answer[0].decode(), int(answer[1])) if answer else None
            except RedisReplyError as error:
                reasons.append(StoreError(f"Sentinel at {address} refused the question: {error}"))
                continue
            except StoreError as error:
                reasons.append(error)
                continue
            except Exception as error:
                # Not a Sentinel right now, but it may become one again.
                reasons.append(StoreTimeoutError(f"Sentinel at {address} returned no address: {error!r}"))
                continue
            if master is None:
                reasons.append(StoreTimeoutError(f"Sentinel at {address} knows no master of this name"))
                continue
            self._ask_first(address)
            return master
        asked = ", ".join(map(str, self._links))
        message = f"no Sentinel of {asked} knows a reachable master named {self._service}"
        may_recover = any(isinstance(reason, StoreTimeoutError) for reason in reasons)
        kind = StoreTimeoutError if may_recover else StoreError
        raise kind(f"{message}: " + "; ".join(map(str, reasons)))

    def _ask_first(self, address: Address) -> None:
        self._links = {address: self._links[address], **self._links}

    async def close(self) -> None:
        """Close every connection."""
        for link in self._links.values():
            await link.close()
