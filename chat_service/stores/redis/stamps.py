"""Tells envelopes from copies that somebody has recorded on the bus and published again.

A script stamps each envelope that nothing else numbers with the time of the node on which it runs
(``lua/lib/bus.lua``). Envelopes arrive in the order of publication, so the stamps on a channel increase,
however late they arrive. Only an envelope with a later stamp than all before is taken, and the first one only
if it is later than the subscription: before that, the node is asked for its time. No memory of single
envelopes is needed, and no clock but that of the node.

If the clock of a node is set back, or a node with another clock takes over, new envelopes look like copies.
So after a refusal the node is asked for its time, which otherwise cannot be earlier than its stamps.
"""

import asyncio
import logging
from collections.abc import Callable, Set
from time import monotonic
from typing import Final, Protocol

from chat_service.clock import Sparing
from chat_service.concurrency.running import end
from chat_service.contracts.bus import Envelope, Reply, Request, RoomEvent
from chat_service.errors import StoreError
from chat_service.stores.redis.client import RedisClient
from chat_service.stores.redis.redis_options import RedisOptions

logger = logging.getLogger("chat_service")

#: Rooms number their events, and instances their requests.
NUMBERED: Final = (RoomEvent, Request, Reply)
#: Time in seconds between two looks at the clocks of nodes.
CLOCK_INTERVAL: Final = 1.0


class Place(Protocol):
    """The subscriptions on one node."""

    @property
    def channels(self) -> Set[str]:
        """The channels subscribed there."""
        ...


class Stamps:
    """The newest stamp of each subscribed channel.

    ``place_of``: where a channel is subscribed, None if nowhere. ``on_set_back``: called for a channel that
    may have missed envelopes, since they looked like copies.
    """

    def __init__(
        self,
        client: RedisClient,
        options: RedisOptions,
        place_of: Callable[[str], Place | None],
        on_set_back: Callable[[str], None],
    ) -> None:
        #: Whether there are stamps at all: without a secret, anybody could make them.
        self.are_used = bool(options.secret)
        self._is_required = options.bus_stamps == "require"
        self._client = client
        self._place_of = place_of
        self._on_set_back = on_set_back
        self._newest: dict[str, int] = {}
        # Nodes of which an envelope was refused, each with the channel of one.
        self._suspects: dict[Place, str] = {}
        self._looking: asyncio.Task[None] | None = None
        self._look_at = 0.0
        self._dropped = Sparing()

    def __len__(self) -> int:
        return len(self._newest)

    async def begin(self, channel: str) -> None:
        """To be called just before a subscription. Raises ``StoreError``."""
        if self.are_used and self._place_of(channel) is None:
            time = await self._ask_time(channel)
            # Another call may have subscribed meanwhile; then earlier envelopes may be on their way.
            if self._place_of(channel) is None:
                self._newest[channel] = time

    async def _ask_time(self, channel: str) -> int:
        """The time of the node of a channel in us."""
        seconds, microseconds = await self._client.call(channel, "TIME")
        return int(seconds) * 1_000_000 + int(microseconds)

    def forget(self, channel: str) -> None:
        """Forget a channel that is no longer subscribed."""
        self._newest.pop(channel, None)

    def takes(self, channel: str, envelope: Envelope, stamp: int | None) -> bool:
        """Whether an envelope is no copy. Logs if it may be one."""
        if stamp is None:
            if not self._is_required or isinstance(envelope, NUMBERED):
                return True
            self._log(channel, "an envelope without a stamp: see the store option bus_stamps")
            return False
        if stamp > self._newest.get(channel, 0):
            self._newest[channel] = stamp
            return True
        self._log(channel, "a repeated envelope")
        self._suspect(channel)
        return False

    def _log(self, channel: str, what: str) -> None:
        if count := self._dropped.count():
            more = f" (and {count - 1} more envelopes before)" if count > 1 else ""
            logger.warning("dropped %s on channel %s%s", what, channel, more)

    # The clocks of nodes

    def _suspect(self, channel: str) -> None:
        place = self._place_of(channel)
        if place is None:
            return
        self._suspects.setdefault(place, channel)
        if self._looking is None or self._looking.done():
            self._looking = self._client.background.once("redis bus clocks", self._look)

    async def _look(self) -> None:
        """Look whether clocks were set back, one node at a time."""
        while self._suspects:
            await asyncio.sleep(self._look_at - monotonic())
            self._look_at = monotonic() + CLOCK_INTERVAL
            place = next(iter(self._suspects))
            channel = self._suspects.pop(place)
            try:
                time = await self._ask_time(channel)
            except StoreError as error:
                logger.info("cannot look at the clock of the node of channel %s: %s", channel, error)
                continue
            self._compare(place, time)

    def _compare(self, place: Place, time: int) -> None:
        late = [each for each in place.channels if self._newest.get(each, 0) > time]
        if not late:
            return
        ahead = max(self._newest[each] for each in late) - time
        logger.warning(
            "the clock of a Redis node is %.3f s behind the stamps on %d channels", ahead / 1e6, len(late)
        )
        for each in late:
            self._newest[each] = time
            self._on_set_back(each)

    async def close(self) -> None:
        """End looking at clocks. Idempotent."""
        await end(self._looking)
