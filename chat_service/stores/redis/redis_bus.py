"""The ``Bus`` over sharded publish and subscribe: one subscription connection per node that has topics."""

import asyncio
import logging
import random
from collections import deque
from time import monotonic
from typing import Any

from chat_service.concurrency.background import end
from chat_service.concurrency.eager import in_task
from chat_service.contracts.bus import Bus, BusListener, BusStatus, Envelope, Topic
from chat_service.errors import StoreError, StoreTimeoutError
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.envelopes import BadEnvelopeError, EnvelopeCodec
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.link import Link, RedisReplyError
from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.stores.redis.urls import Address

logger = logging.getLogger("chat_service")

#: Seconds between two tries to subscribe again: the first, and the longest.
RETRY_FIRST, RETRY_LONGEST = 0.05, 2.0


class Subscriber:
    """The subscriptions at one node."""

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
        #: Channels that this node sends us.
        self.channels: set[str] = set()
        # Subscriptions that were asked for, and pings (None), in the order of the answers to come.
        self._asked: deque[tuple[str, asyncio.Future[None]] | None] = deque()
        #: Time of a ping that was not answered yet.
        self.pinged_at: float | None = None
        #: Seconds until the last ping was answered.
        self.lag = 0.0

    async def subscribe(self, channel: str) -> None:
        """Raises ``RedisReplyError`` for a redirection, ``StoreError`` when the connection is lost."""
        await self.link.open()
        if not self.link.is_open:
            # Lost before this turn: what is asked for now would never be sent, nor answered.
            raise StoreTimeoutError(f"the bus connection to {self.address} is lost")
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append((channel, confirmed))
        self.link.send("SSUBSCRIBE", channel)
        await confirmed

    def unsubscribe(self, channel: str) -> None:
        self.channels.discard(channel)
        if self.link.is_open:
            self.link.send("SUNSUBSCRIBE", channel)

    def ping(self) -> None:
        """Ask for a sign of life."""
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
                # In capitals from a connection without subscriptions: it does not hear what it should.
                logger.warning("the bus connection to %s has lost its subscriptions", self.address)
                self.link.drop(StoreTimeoutError(f"{self.address} has lost the subscriptions"))

    def _on_refusal(self, error: RedisReplyError) -> None:
        asked = self._asked.popleft() if self._asked else None
        if asked is not None:
            if not asked[1].done():
                asked[1].set_exception(error)
        elif self.pinged_at is not None:
            # While snapshots fail, Redis refuses pings as well. That is an answer, too.
            self._note_pong()

    def _on_pong(self) -> None:
        if self._asked and self._asked[0] is None:
            self._asked.popleft()
        self._note_pong()

    def _note_pong(self) -> None:
        if self.pinged_at is not None:
            # The ping stood in line behind everything that was published before.
            self.lag = self.link.last_heard - self.pinged_at
        self.pinged_at = None

    def _on_unsubscribed(self, name: bytes | None) -> None:
        """Our own doing, or the slot has moved to another node."""
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
    """Subscriptions by interest, that come back by themselves wherever the topic has moved.

    Envelopes that fail the check are dropped and counted in ``rejected``.
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
        #: What is to be subscribed, by channel.
        self._wanted: dict[str, Topic] = {}
        self._at: dict[str, Subscriber] = {}
        self._lost: set[str] = set()
        self._repairing: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        #: Envelopes that were dropped.
        self.rejected = 0
        self._is_closed = False

    async def open(self) -> None:
        """Begin to look after the subscriptions."""
        self._probing = self.background.keep("redis bus probe", self._probe)
        if self._client.topology.can_move:
            self._following = self.background.keep("redis bus following", self._follow)

    async def close(self) -> None:
        """Give up every subscription. Idempotent."""
        self._is_closed = True
        await end(self._probing, self._following, self._repairing)
        for subscriber in self._subscribers.values():
            await subscriber.link.close()
        self._subscribers.clear()

    def connection(self, address: Address) -> Any:
        """A connection to a node that is not connected yet."""
        return self._client.topology.connector.connection(address)

    # Bus

    async def subscribe(self, topic: Topic) -> None:
        channel = self._keys.topic(topic)
        if channel in self._wanted and channel in self._at:
            return
        # Time-outs need one.
        await in_task()
        self._wanted[channel] = topic
        try:
            async with asyncio.timeout(self._client.seconds_left()):
                await self._subscribe(channel)
        except BaseException as error:
            self._wanted.pop(channel, None)
            self._drop(channel)
            if isinstance(error, TimeoutError):
                raise StoreTimeoutError("Redis did not take the subscription in time") from None
            raise

    async def _subscribe(self, channel: str) -> None:
        while True:
            address = await self._client.topology.address_of(channel)
            subscriber = self._subscribers.get(address)
            if subscriber is None:
                subscriber = self._subscribers[address] = Subscriber(address, self, self._options)
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
        subscriber = self._at.pop(channel, None)
        if subscriber is not None:
            subscriber.unsubscribe(channel)

    async def publish(self, topic: Topic, envelope: Envelope) -> None:
        channel = self._keys.topic(topic)
        await self._client.call(channel, "SPUBLISH", channel, self._codec.encode(channel, envelope))

    def deliver(self, topic: Topic, envelope: Envelope) -> None:
        """Hand an envelope to this instance alone."""
        try:
            self._listener.on_envelope(topic, envelope)
        except Exception:
            logger.exception("an envelope of topic %s could not be delivered", topic)

    def status(self) -> BusStatus:
        """Whether every subscription is heard, by the latest pings."""
        now = monotonic()
        used = [subscriber for subscriber in self._subscribers.values() if subscriber.channels]
        silent = [now - subscriber.pinged_at for subscriber in used if subscriber.pinged_at is not None]
        # Half of the time after which the connection is given up.
        patience = self._options.probe_interval / 2
        return BusStatus(
            is_hearing=not self._lost and max(silent, default=0.0) < patience,
            lag=max([*silent, *(subscriber.lag for subscriber in used)], default=None),
            subscriptions=len(self._at),
            lost_subscriptions=len(self._lost),
            rejected=self.rejected,
        )

    # From the subscribers

    def take(self, channel: str, data: bytes) -> None:
        """An envelope came in."""
        topic = self._wanted.get(channel)
        if topic is None:
            return
        try:
            envelope = self._codec.decode(channel, data)
        except BadEnvelopeError as error:
            self.rejected += 1
            logger.warning("dropped %d bytes on channel %s: %s", len(data), channel, error)
            return
        self.deliver(topic, envelope)

    def subscribed(self, channel: str, subscriber: Subscriber) -> None:
        """A subscription was confirmed. If it was lost, the listener learns that before more comes."""
        topic = self._wanted.get(channel)
        if topic is None:
            # Given up meanwhile.
            subscriber.unsubscribe(channel)
            return
        self._at[channel] = subscriber
        if channel not in self._lost:
            return
        self._lost.discard(channel)
        try:
            self._listener.on_interruption(topic)
        except Exception:
            logger.exception("the interruption of topic %s could not be handled", topic)

    def lost(self, channels: set[str], subscriber: Subscriber) -> None:
        """Subscriptions ended that are still wanted; subscribe again, and tell the listener then."""
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
            # Where things are may have changed; and not all instances at the same moment.
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
            # Whatever it is, the channel stays lost, and is tried again.
            logger.info("channel %s cannot be subscribed again yet: %r", channel, error)
            return False
        return True

    async def _probe(self) -> None:
        """Ping every subscription connection; one that does not answer is deaf, and made anew."""
        interval = self._options.probe_interval
        while True:
            await asyncio.sleep(interval)
            now = monotonic()
            for subscriber in self._subscribers.values():
                if subscriber.pinged_at is not None and now - subscriber.pinged_at >= interval:
                    logger.warning("the bus connection to %s is deaf; connecting again", subscriber.address)
                    subscriber.link.drop(StoreTimeoutError(f"{subscriber.address} does not answer pings"))
                subscriber.ping()

    async def _follow(self) -> None:
        """Leave servers that are no masters any more.

        One that became a replica answers pings and keeps the subscriptions, but does not hear what the new
        master publishes before the two have found each other, and nothing once it has lost the new master.
        """
        topology = self._client.topology
        while True:
            await asyncio.sleep(self._options.probe_interval)
            try:
                await topology.refresh()
            except Exception as error:
                logger.info("the bus cannot ask where the masters are: %r", error)
                continue
            for subscriber in list(self._subscribers.values()):
                places = {channel: topology.address_known(channel) for channel in subscriber.channels}
                strayed = {channel for channel, at in places.items() if at not in (None, subscriber.address)}
                if strayed:
                    logger.warning("%s is not the master of %d channels", subscriber.address, len(strayed))
                    self._leave(subscriber, strayed)

    def _leave(self, subscriber: Subscriber, strayed: set[str]) -> None:
        if strayed == subscriber.channels:
            subscriber.link.drop(StoreTimeoutError(f"{subscriber.address} is no master any more"))
            return
        for channel in strayed:
            subscriber.unsubscribe(channel)
        self.lost(strayed, subscriber)


def _conforms(bus: RedisBus) -> Bus:
    return bus
