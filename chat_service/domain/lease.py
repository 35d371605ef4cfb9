"""The lease of an instance: its heartbeats, the recovery of dead instances, and starting over after a
lapse.

If another instance has been silent for ``heartbeat_timeout``, this one claims it in one step of the store,
so that only one instance recovers it. If that one dies too, another one finds its claim silent and takes
over. An instance that finds itself claimed, or whose store did not answer for that long, disconnects its
sockets and continues under a new id. A store that answers but refuses changes also refuses claims, so all
instances wait.
"""

import logging
import random
import uuid
from collections.abc import Callable

from chat_service.contracts.bus import Topic, TopicKind
from chat_service.domain import recovery
from chat_service.domain.context import Context
from chat_service.domain.emitter import FailureInfo
from chat_service.types import InstanceId, SocketId

logger = logging.getLogger("chat_service")

#: Seconds between two checks whether the sockets of a former id are gone.
BURY_PAUSE = 0.05
#: Seconds until the next heartbeat while the store refuses them.
REFUSED_PAUSE = 0.25


def new_instance_id() -> InstanceId:
    """An id that no other instance has or had."""
    return InstanceId(uuid.uuid4().hex)


class Lease:
    """Keeps one instance alive for the others."""

    def __init__(self, context: Context) -> None:
        self._context = context
        #: ``clock.monotonic()`` of the last heartbeat that the store accepted or refused.
        self._answered = 0.0
        #: Whether the store refused the last heartbeat.
        self._is_refused = False
        #: Number of failed heartbeats since the last check of the others.
        self._failed = 0
        #: Whether the others may consider this instance dead, so that it has to start over.
        self._is_lapsed = False
        #: Callbacks that wait until no other instance can consider this one dead.
        self._deferred: list[Callable[[], None]] = []
        #: The dead instances that this one is recovering, with the pulses of its claims.
        self._recovering: dict[InstanceId, int] = {}

    async def register(self) -> None:
        """Register this instance with its first heartbeat. Raises ``StoreError``."""
        await self._register(self._context.instance_id())
        self._run_deferred()

    async def _register(self, instance_id: InstanceId) -> None:
        context, topic = self._context, Topic(TopicKind.INSTANCE, instance_id)
        begun = context.clock.monotonic()
        await context.delivery.interest.acquire(topic)
        try:
            await context.store.instance_heartbeat(instance_id, context.clock.now_ms())
        except BaseException:
            await context.delivery.interest.release(topic)
            raise
        self._answered = begun

    def when_valid(self, work: Callable[[], None]) -> None:
        """Call a function once no other instance considers this one dead: it has renewed its lease, or all
        its former sockets are disconnected.
        """
        self._deferred.append(work)

    def _run_deferred(self) -> None:
        deferred, self._deferred = self._deferred, []
        for work in deferred:
            work()

    def is_valid(self) -> bool:
        """Whether no other instance can consider this one dead."""
        age = self._context.clock.monotonic() - self._answered
        return age < self._context.options.heartbeat_timeout and not self._is_lapsed

    def start(self) -> None:
        """Renew at each ``heartbeat_rate``, and recover dead instances, until the background closes."""
        self._context.background.keep("heartbeats", self._beat)
        self._context.background.keep("watch of other instances", self._watch)

    # The lease of this instance

    async def _beat(self) -> None:
        context, rate = self._context, self._context.options.heartbeat_rate
        while True:
            await context.clock.sleep(min(rate, REFUSED_PAUSE) if self._is_refused else rate)
            try:
                if await self._renew():
                    recovery.clean_soon(context)
                    context.bans.check_all()
            except Exception as error:
                context.failures.store(error, FailureInfo(op_type="heartbeat"))

    async def _renew(self) -> bool:
        """Whether this instance is still alive and could renew its lease. If it is dead, it has started
        over.
        """
        context = self._context
        begun = context.clock.monotonic()
        try:
            is_known = await context.store.instance_renew(context.instance_id(), context.clock.now_ms())
        except Exception as error:
            self._failed += 1
            if getattr(error, "is_answered", False) and not self._is_lapsed:
                # If the store refuses this heartbeat, it refuses those of all instances.
                self._answered = context.clock.monotonic()
                self._run_deferred()
                if self._is_refused:
                    # It has already been reported.
                    return False
                self._is_refused = True
                raise
            self._is_refused = False
            if begun - self._answered > context.options.heartbeat_timeout and not self._is_lapsed:
                self._is_lapsed = True
                context.counters.leases_lost += 1
                logger.error("instance %s could not renew its lease in time", context.instance_id())
                await self._disconnect(self._sockets())
            raise
        if self._is_refused:
            self._is_refused = False
            logger.info("instance %s: the store accepts changes again", context.instance_id())
        if is_known and not self._is_lapsed:
            self._answered = begun
            self._run_deferred()
            return True
        if not self._is_lapsed:
            self._is_lapsed = True
            context.counters.leases_lost += 1
        await self._start_over()
        return False

    async def _start_over(self) -> None:
        """Take a new id, and disconnect all sockets, so that their clients reconnect.

        The new id comes first: clients that reconnect immediately get sockets under it.
        """
        context = self._context
        former, fresh = context.instance_id(), new_instance_id()
        await self._register(fresh)
        context.instance_id.value = fresh
        logger.error("the lease of instance %s has lapsed: it starts over as %s", former, fresh)
        old = self._sockets()
        await self._disconnect(old)
        self._is_lapsed = False
        self._run_deferred()
        # In the background, because the heartbeats must continue.
        context.running.spawn(self._bury(former, old), f"recovery of {former}")
        await context.delivery.interest.release(Topic(TopicKind.INSTANCE, former))

    def _sockets(self) -> set[SocketId]:
        sessions = self._context.sessions.all()
        return {*self._context.transport.socket_ids(), *(session.socket_id for session in sessions)}

    async def _disconnect(self, sockets: set[SocketId]) -> None:
        for socket_id in sockets:
            await self._context.transport.disconnect(socket_id, may_return=True)

    async def _bury(self, former: InstanceId, old: set[SocketId]) -> None:
        """Remove what the disconnects under the former id left behind, when they are done."""
        context = self._context
        deadline = context.clock.monotonic() + context.options.heartbeat_timeout
        while left := sum(context.sessions.get(socket_id) is not None for socket_id in old):
            if context.clock.monotonic() > deadline:
                logger.warning("instance %s: %d sockets are left to recovery", former, left)
                break
            await context.clock.sleep(BURY_PAUSE)
        await recovery.instance_recovery(context, former)

    # The others

    async def _watch(self) -> None:
        context = self._context
        while True:
            await context.clock.sleep(context.watch.pause)
            try:
                await self._look()
                if context.options.auto_recovery and not self._failed and self.is_valid():
                    await self._recover_others()
            except Exception as error:
                self._failed += 1
                logger.warning("the other instances could not be watched: %r", error)

    async def _look(self) -> None:
        context, clock = self._context, self._context.clock
        began = clock.monotonic()
        pulses = dict(await context.store.instance_pulses())
        pulses.pop(context.instance_id(), None)
        # If this instance could not renew its lease, the others may not have been able to either.
        counts = not self._failed and self.is_valid()
        context.watch.look(pulses, began, clock.monotonic(), counts=counts)
        if not self._is_refused:
            self._failed = 0

    async def _recover_others(self) -> None:
        """Recover the dead instances that no other instance has claimed."""
        context = self._context
        now = context.clock.now_ms()
        for instance_id, pulse in tuple(self._recovering.items()):
            # Renew the claim during a long recovery.
            claimed = await context.store.instance_claim(instance_id, now, pulse)
            if claimed is not None and instance_id in self._recovering:
                self._recovering[instance_id] = claimed
        dead = list(context.watch.dead().items())
        # Not all instances should begin with the same one.
        random.shuffle(dead)
        for instance_id, pulse in dead:
            if instance_id in self._recovering:
                continue
            claimed = await context.store.instance_claim(instance_id, now, pulse)
            if claimed is not None:
                logger.warning("instance %s is dead; recovering it", instance_id)
                self._recovering[instance_id] = claimed
                context.running.spawn(self._recover(instance_id), f"recovery of {instance_id}")

    async def _recover(self, instance_id: InstanceId) -> None:
        recoveries = self._context.counters.recoveries
        try:
            await recovery.instance_recovery(self._context, instance_id)
            recoveries["ok"] += 1
        except Exception:
            recoveries["error"] += 1
            raise
        finally:
            del self._recovering[instance_id]
