"""The lease of an instance: its heartbeats, the recovery of dead instances, a new start after a lapse.

A survivor that finds a lapsed lease claims it in one step of the store, so one of them recovers the dead
instance; if that one dies too, its claim lapses and another one goes on. An instance that finds itself
claimed, or that could not renew its lease in time, disconnects its sockets and goes on under a new id.
"""

import logging
import random
import uuid

from chat_service.bus.base import Topic, TopicKind
from chat_service.domain import leftovers, recovery
from chat_service.domain.context import Context
from chat_service.domain.failures import FailureInfo
from chat_service.types import InstanceId, SocketId

logger = logging.getLogger("chat_service")

#: Seconds between two looks whether the sockets of a former id are gone.
BURY_PAUSE = 0.05


def new_instance_id() -> InstanceId:
    """An id that no other instance has or had."""
    return InstanceId(uuid.uuid4().hex)


class Lease:
    """Keeps one instance alive in the eyes of the others."""

    def __init__(self, context: Context) -> None:
        self._context = context
        #: ``clock.monotonic()`` of the last heartbeat that the store took.
        self._renewed = 0.0
        #: Whether the others may think that this instance is dead: it has to start over.
        self._is_lapsed = False
        #: The dead instances that this one recovers now.
        self._recovering: set[InstanceId] = set()

    async def register(self) -> None:
        """Say for the first time that this instance is alive. Raises ``StoreError``."""
        await self._register(self._context.instance_id())

    async def _register(self, instance_id: InstanceId) -> None:
        context, topic = self._context, Topic(TopicKind.INSTANCE, instance_id)
        begun = context.clock.monotonic()
        await context.delivery.interest.acquire(topic)
        try:
            await context.store.instance_heartbeat(instance_id, context.clock.now_ms())
        except BaseException:
            await context.delivery.interest.release(topic)
            raise
        self._renewed = begun
        context.delivery.is_alive = self.is_valid

    def is_valid(self) -> bool:
        """Whether no other instance can have taken this one for dead."""
        age = self._context.clock.monotonic() - self._renewed
        return age < self._context.options.heartbeat_timeout and not self._is_lapsed

    async def run(self) -> None:
        """Renew at each ``heartbeat_rate``, and recover who lapsed; runs until it is cancelled."""
        context = self._context
        while True:
            await context.clock.sleep(context.options.heartbeat_rate)
            try:
                if await self._renew():
                    leftovers.clean_soon(context)
                    if context.options.auto_recovery:
                        await self._recover_others()
            except Exception as error:
                context.failures.store(error, FailureInfo(op_type="heartbeat"))

    async def _renew(self) -> bool:
        """Whether this instance is alive still; if not, it has started over."""
        context = self._context
        begun = context.clock.monotonic()
        try:
            is_known = await context.store.instance_renew(context.instance_id(), context.clock.now_ms())
        except Exception:
            if begun - self._renewed > context.options.heartbeat_timeout and not self._is_lapsed:
                self._is_lapsed = True
                context.counters.leases_lost += 1
                logger.error("instance %s could not renew its lease in time", context.instance_id())
                await self._disconnect(self._sockets())
            raise
        if is_known and not self._is_lapsed:
            self._renewed = begun
            context.delivery.deliver_unsure()
            return True
        if not self._is_lapsed:
            self._is_lapsed = True
            context.counters.leases_lost += 1
        await self._start_over()
        return False

    async def _start_over(self) -> None:
        """Take a new id, and disconnect all sockets, so that their clients connect again.

        The id comes first: clients that come back at once are sockets of the new one.
        """
        context = self._context
        former, fresh = context.instance_id(), new_instance_id()
        await self._register(fresh)
        context.instance_id.value = fresh
        logger.error("the lease of instance %s has lapsed: it starts over as %s", former, fresh)
        old = self._sockets()
        await self._disconnect(old)
        self._is_lapsed = False
        context.delivery.deliver_unsure()
        # Not here: the heartbeats go on meanwhile.
        context.running.spawn(self._bury(former, old), f"recovery of {former}")
        await context.delivery.interest.release(Topic(TopicKind.INSTANCE, former))

    def _sockets(self) -> set[SocketId]:
        sessions = self._context.sessions.all()
        return {*self._context.transport.socket_ids(), *(session.socket_id for session in sessions)}

    async def _disconnect(self, sockets: set[SocketId]) -> None:
        for socket_id in sockets:
            await self._context.transport.disconnect(socket_id, may_return=True)

    async def _bury(self, former: InstanceId, old: set[SocketId]) -> None:
        """Remove what the disconnects under the former id left, when they are done."""
        context = self._context
        deadline = context.clock.monotonic() + context.options.heartbeat_timeout
        while left := sum(context.sessions.get(socket_id) is not None for socket_id in old):
            if context.clock.monotonic() > deadline:
                logger.warning("instance %s: %d sockets are left to recovery", former, left)
                break
            await context.clock.sleep(BURY_PAUSE)
        await recovery.instance_recovery(context, former)

    async def _recover_others(self) -> None:
        """Recover the instances whose lease has lapsed, those that nobody else has claimed."""
        context = self._context
        now = context.clock.now_ms()
        before = now - round(context.options.heartbeat_timeout * 1000)
        for instance_id in tuple(self._recovering):
            # A recovery that takes long keeps its claim.
            await context.store.instance_claim(instance_id, now, now + 1)
        lapsed = await context.store.instances_lapsed(before)
        # Not all survivors begin with the same one.
        random.shuffle(lapsed)
        for instance_id in lapsed:
            if instance_id == context.instance_id() or instance_id in self._recovering:
                continue
            if await context.store.instance_claim(instance_id, now, before):
                logger.warning("instance %s is dead; recovering it", instance_id)
                self._recovering.add(instance_id)
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
            self._recovering.discard(instance_id)
