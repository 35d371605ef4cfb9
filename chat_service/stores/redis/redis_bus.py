"""The ``Bus`` over sharded pub/sub, with one subscription connection to each node that has topics."""

import asyncio
import logging
import random
from collections import deque
from time import monotonic
from typing import Any

from chat_service.concurrency.eager import in_task
from chat_service.concurrency.running import end
from chat_service.contracts.bus import Bus, BusListener, BusStatus, Envelope, Topic
from chat_service.errors import StoreError, StoreTimeoutError
from chat_service.stores.redis import scripts
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.envelopes import BadEnvelopeError, EnvelopeCodec
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.link import Link, RedisReplyError
from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.stores.redis.stamps import NUMBERED, Stamps
from chat_service.stores.redis.urls import Address

logger = logging.getLogger("chat_service")

#: Delay in seconds between attempts to resubscribe: the first and the longest.
RETRY_FIRST, RETRY_LONGEST = 0.05, 2.0


class Subscriber:
    """The subscriptions on one node."""

    def __init__(self, address: Address, bus: "RedisBus", options: RedisOptions) -> None:
        self.address = address
        self._bus = bus
        self.link = Link(
            f"{address} (bus)",
            lambda: bus.connection(address),
            options.command_timeout,
            on_push=self._on_push,
            on_lost=self._on_lost,
            background=bus.background,
        )
        #: Channels subscribed on this node.
        self.channels: set[str] = set()
        # Pending subscriptions and pings (None), in the order of the expected replies.
        self._asked: deque[tuple[str, asyncio.Future[None]] | None] = deque()
        #: Time of a ping without a reply so far.
        self.pinged_at: float | None = None
        #: Seconds that the last ping took.
        self.lag = 0.0

    async def subscribe(self, channel: str) -> None:
        """Raises ``RedisReplyError`` for a redirection, ``StoreError`` if the connection is lost."""
        await self.link.open()
        if not self.link.is_open:
            # The connection is already lost: a request now would never be sent or answered.
            raise StoreTimeoutError(f"the bus connection to {self.address} is lost")
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append((channel, confirmed))
        self.link.send("SSUBSCRIBE", channel)
        await confirmed

    def unsubscribe(self, channel: str) -> None:
        self.channels.discard(channel)
        if self.link.is_open:
            self.link.send("SUNSUBSCRIBE", channel)

    @property
    def silent_since(self) -> float | None:
        """Time from which a ping waits without a word from the server, None without such a ping. A pong may
        stand behind a long line of envelopes, which are signs of life too."""
        return None if self.pinged_at is None else max(self.pinged_at, self.link.last_heard)

    def ping(self) -> None:
        """Send a ping."""
        if self.link.is_open and self.pinged_at is None:
            self.pinged_at = monotonic()
            self._asked.append(None)
            self.link.send("PING")

    def _on_push(self, answer: Any) -> None:
        if isinstance(answer, RedisReplyError):
            self._on_refusal(answer)
            return
        kind = answer[0] if isinstance(answer, list) and answer else answer
        if kind == b"smessage":
            self._bus.take(answer[1].decode("utf-8", "replace"), answer[2])
        elif kind == b"ssubscribe":
            named = answer[1].decode("utf-8", "replace")
            asked = self._asked.popleft() if self._asked else None
            if asked is None or asked[0] != named:
                self.link.drop(StoreTimeoutError(f"{self.address} confirmed what was not asked for next"))
                return
            self.channels.add(named)
            self._bus.subscribed(named, self)
            if not asked[1].done():
                asked[1].set_result(None)
        elif kind == b"sunsubscribe":
            self._on_unsubscribed(answer[1])
        elif kind in (b"pong", b"PONG"):
            self._on_pong()
            if kind == b"PONG" and self.channels and not self._asked:
                # A reply in capitals comes from a connection without subscriptions, so ours are lost.
                logger.warning("the bus connection to %s has lost its subscriptions", self.address)
                self.link.drop(StoreTimeoutError(f"{self.address} has lost the subscriptions"))

    def _on_refusal(self, error: RedisReplyError) -> None:
        asked = self._asked.popleft() if self._asked else None
        if asked is not None:
            if not asked[1].done():
                asked[1].set_exception(error)
        elif self.pinged_at is not None:
            # Redis refuses even pings while snapshots fail, but a refusal proves that the connection works.
            self._note_pong()

    def _on_pong(self) -> None:
        if self._asked and self._asked[0] is None:
            self._asked.popleft()
        self._note_pong()

    def _note_pong(self) -> None:
        if self.pinged_at is not None:
            # Replies come in order, so everything published before the ping has arrived.
            self.lag = self.link.last_heard - self.pinged_at
        self.pinged_at = None

    def _on_unsubscribed(self, name: bytes | None) -> None:
        """Handle an unsubscription: requested by us, or because the slot moved to another node."""
        channel = name.decode("utf-8", "replace") if name is not None else ""
        if channel in self.channels:
            self.channels.discard(channel)
            self._bus.lost({channel}, self)

    def _on_lost(self) -> None:
        self.pinged_at = None
        asked, self._asked = self._asked, deque()
        for item in asked:
            if item is not None and not item[1].done():
                item[1].set_exception(StoreTimeoutError(f"the bus connection to {self.address} is lost"))
        channels, self.channels = self.channels, set()
        self._bus.lost(channels, self)


class RedisBus:
    """Subscribes to topics, and restores lost subscriptions on whichever node serves the topic.

    Invalid envelopes are dropped and counted in ``rejected``.
    """

    def __init__(
        self,
        client: RedisClient,
        keys: Keys,
        codec: EnvelopeCodec,
        options: RedisOptions,
        listener: BusListener,
    ) -> None:
        self._client = client
        self.background = client.background
        self._keys = keys
        self._codec = codec
        self._options = options
        self._listener = listener
        self._subscribers: dict[Address, Subscriber] = {}
        #: Wanted subscriptions by channel.
        self._wanted: dict[str, Topic] = {}
        self._at: dict[str, Subscriber] = {}
        self._lost: set[str] = set()
        self._repairing: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._publish = scripts.load("bus_publish", codec.signing)
        self._stamps = Stamps(client, options, self._at.get, self._interrupt)
        #: Number of dropped envelopes.
        self.rejected = 0
        self._is_closed = False

    async def open(self) -> None:
        """Start maintaining the subscriptions."""
        self._probing = self.background.keep("redis bus probe", self._probe)
        if self._client.topology.can_move:
            self._following = self.background.keep("redis bus following", self._follow)

    async def close(self) -> None:
        """End all subscriptions. Idempotent."""
        self._is_closed = True
        await end(self._probing, self._following, self._repairing)
        for subscriber in self._subscribers.values():
            await subscriber.link.close()
        self._subscribers.clear()
        await self._stamps.close()

    def connection(self, address: Address) -> Any:
        """A subscriber for a node, not yet connected."""
        return self._client.topology.connector.connection(address)

    # Bus

    async def subscribe(self, topic: Topic) -> None:
        channel = self._keys.topic(topic)
        if channel in self._wanted and channel in self._at:
            return
        # Timeouts need a task.
        await in_task()
        self._wanted[channel] = topic
        try:
            async with asyncio.timeout(self._client.seconds_left()):
                await self._subscribe(channel)
        except BaseException as error:
            self._wanted.pop(channel, None)
            self._drop(channel)
            if isinstance(error, TimeoutError):
                raise StoreTimeoutError("Redis did not accept the subscription in time") from None
            raise

    async def _subscribe(self, channel: str) -> None:
        while True:
            address = await self._client.topology.address_of(channel)
            subscriber = self._subscribers.get(address)
            if subscriber is None:
                subscriber = self._subscribers[address] = Subscriber(address, self, self._options)
            await self._stamps.begin(channel)
            try:
                await subscriber.subscribe(channel)
            except RedisReplyError as error:
                if error.kind not in ("MOVED", "CLUSTERDOWN", "LOADING"):
                    raise StoreError(f"SSUBSCRIBE: {error}") from None
                self._client.topology.forget()
                await asyncio.sleep(RETRY_FIRST)
                continue
            return

    async def unsubscribe(self, topic: Topic) -> None:
        channel = self._keys.topic(topic)
        self._wanted.pop(channel, None)
        self._drop(channel)

    def _drop(self, channel: str) -> None:
        self._lost.discard(channel)
        self._stamps.forget(channel)
        subscriber = self._at.pop(channel, None)
        if subscriber is not None:
            subscriber.unsubscribe(channel)

    async def publish(self, topic: Topic, envelope: Envelope) -> None:
        channel = self._keys.topic(topic)
        signed = self._codec.encode(channel, envelope)
        if self._codec.has_stamps and not isinstance(envelope, NUMBERED):
            await self._client.run(self._publish, [channel], signed)
        else:
            await self._client.call(channel, "SPUBLISH", channel, signed)

    def deliver(self, topic: Topic, envelope: Envelope) -> None:
        """Deliver an envelope to this instance only."""
        try:
            self._listener.on_envelope(topic, envelope)
        except Exception:
            logger.exception("an envelope of topic %s could not be delivered", topic)

    def status(self) -> BusStatus:
        """Whether all subscriptions work, judging by the latest pings."""
        now = monotonic()
        used = [subscriber for subscriber in self._subscribers.values() if subscriber.channels]
        silent = [now - since for subscriber in used if (since := subscriber.silent_since) is not None]
        waiting = [now - at for subscriber in used if (at := subscriber.pinged_at) is not None]
        # Half the time after which the connection is abandoned.
        patience = self._options.probe_interval / 2
        return BusStatus(
            is_hearing=not self._lost and max(silent, default=0.0) < patience,
            # A pong that waits behind envelopes shows how far these are behind.
            lag=max([*waiting, *(subscriber.lag for subscriber in used)], default=None),
            subscriptions=len(self._at),
            lost_subscriptions=len(self._lost),
            rejected=self.rejected,
        )

    # From the subscribers

    def take(self, channel: str, data: bytes) -> None:
        """Handle an incoming envelope."""
        topic = self._wanted.get(channel)
        if topic is None:
            return
        try:
            envelope, stamp = self._codec.read(channel, data)
        except BadEnvelopeError as error:
            self.rejected += 1
            logger.warning("dropped %d bytes on channel %s: %s", len(data), channel, error)
            return
        if self._stamps.are_used and not self._stamps.takes(channel, envelope, stamp):
            self.rejected += 1
            return
        self.deliver(topic, envelope)

    def subscribed(self, channel: str, subscriber: Subscriber) -> None:
        """Handle a confirmed subscription. If it was lost before, tell the listener before more arrives."""
        topic = self._wanted.get(channel)
        if topic is None:
            # Unsubscribed meanwhile.
            subscriber.unsubscribe(channel)
            return
        self._at[channel] = subscriber
        if channel in self._lost:
            self._lost.discard(channel)
            self._interrupt(channel)

    def _interrupt(self, channel: str) -> None:
        topic = self._wanted.get(channel)
        if topic is None:
            return
        try:
            self._listener.on_interruption(topic)
        except Exception:
            logger.exception("the interruption of topic %s could not be handled", topic)

    def lost(self, channels: set[str], subscriber: Subscriber) -> None:
        """Handle the loss of wanted subscriptions: resubscribe, then tell the listener."""
        if self._is_closed:
            return
        for channel in channels:
            if self._at.get(channel) is subscriber:
                del self._at[channel]
                self._lost.add(channel)
        if self._lost and (self._repairing is None or self._repairing.done()):
            self._repairing = self.background.keep("redis bus repair", self._repair)

    async def _repair(self) -> None:
        delay = RETRY_FIRST
        while self._lost:
            # Slots may have moved. The delay is random so that instances do not all retry at the same moment.
            self._client.topology.forget()
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            channels = list(self._lost)
            done = await asyncio.gather(*map(self._subscribe_again, channels))
            delay = RETRY_FIRST if all(done) else min(delay * 2, RETRY_LONGEST)

    async def _subscribe_again(self, channel: str) -> bool:
        try:
            async with asyncio.timeout(self._options.command_timeout):
                await self._subscribe(channel)
        except Exception as error:
            # Whatever the error, the channel stays lost and is retried.
            logger.info("cannot resubscribe to channel %s yet: %r", channel, error)
            return False
        return True

    async def _probe(self) -> None:
        """Ping all subscription connections, and replace those that do not reply."""
        interval = self._options.probe_interval
        while True:
            await asyncio.sleep(interval)
            now = monotonic()
            for subscriber in self._subscribers.values():
                if subscriber.silent_since is not None and now - subscriber.silent_since >= interval:
                    logger.warning(
                        "the bus connection to %s does not answer pings; reconnecting", subscriber.address
                    )
                    subscriber.link.drop(StoreTimeoutError(f"{subscriber.address} does not answer pings"))
                subscriber.ping()

    async def _follow(self) -> None:
        """Leave servers that are no longer masters.

        A demoted server answers pings and keeps the subscriptions, but misses what the new master publishes
        until it has synchronised, and whenever it loses its connection to the new master.
        """
        topology = self._client.topology
        while True:
            await asyncio.sleep(self._options.probe_interval)
            try:
                await topology.refresh()
            except Exception as error:
                logger.info("the bus cannot find out which servers are masters: %r", error)
                continue
            for subscriber in list(self._subscribers.values()):
                places = {channel: topology.address_known(channel) for channel in subscriber.channels}
                strayed = {channel for channel, at in places.items() if at not in (None, subscriber.address)}
                if strayed:
                    logger.warning(
                        "%s is no longer the master of %d channels", subscriber.address, len(strayed)
                    )
                    self._leave(subscriber, strayed)

    def _leave(self, subscriber: Subscriber, strayed: set[str]) -> None:
        if strayed == subscriber.channels:
            subscriber.link.drop(StoreTimeoutError(f"{subscriber.address} is no longer a master"))
            return
        for channel in strayed:
            subscriber.unsubscribe(channel)
        self.lost(strayed, subscriber)


def _conforms(bus: RedisBus) -> Bus:
    return bus
