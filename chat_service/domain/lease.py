"""The lease of an instance: its heartbeats, the recovery of dead instances, a new start after a lapse.

A survivor that finds a lapsed lease claims it in one step of the store, so one of them recovers the dead
instance; if that one dies too, its claim lapses and another one goes on. An instance that finds itself
claimed, or that could not renew its lease in time, disconnects its sockets and goes on under a new id.
"""

import asyncio
import logging
import random
import uuid

from chat_service.bus.base import Topic, TopicKind
from chat_service.domain import recovery
from chat_service.domain.context import Context
from chat_service.domain.failures import FailureInfo
from chat_service.types import InstanceId

logger = logging.getLogger("chat_service")


def new_instance_id() -> InstanceId:
    """An id that no other instance has or had."""
    return InstanceId(uuid.uuid4().hex)


class Lease:
    """Keeps one instance alive in the eyes of the others."""

    def __init__(self, context: Context) -> None:
        self._context = context
        #: ``clock.monotonic()`` of the last heartbeat that the store took.
        self._renewed = 0.0

    async def register(self) -> None:
        """Say for the first time that this instance is alive. Raises ``StoreError``."""
        context = self._context
        await context.delivery.interest.acquire(Topic(TopicKind.INSTANCE, context.instance_id()))
        await context.store.instance_heartbeat(context.instance_id(), context.clock.now_ms())
        self._renewed = context.clock.monotonic()

    async def run(self) -> None:
        """Renew at each ``heartbeat_rate``, and recover who lapsed; runs until it is cancelled."""
        context = self._context
        while True:
            await context.clock.sleep(context.options.heartbeat_rate)
            try:
                if await self._renew() and context.options.auto_recovery:
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
            if begun - self._renewed > context.options.heartbeat_timeout:
                await self._start_over("it could not renew its lease in time")
            raise
        if is_known:
            self._renewed = begun
            return True
        await self._start_over("its lease had lapsed")
        return False

    async def _start_over(self, reason: str) -> None:
        """Disconnect all sockets, so that their clients connect again, and take a new id."""
        context = self._context
        former = context.instance_id()
        logger.error("instance %s starts over: %s", former, reason)
        for socket_id in tuple(context.transport.socket_ids()):
            await context.transport.disconnect(socket_id)
        try:
            # The disconnects clean up under the former id.
            async with asyncio.timeout(context.options.heartbeat_timeout):
                await context.sessions.wait_empty()
        except TimeoutError:
            logger.warning("instance %s: %d sockets are left to recovery", former, len(context.sessions))
        await context.delivery.interest.release(Topic(TopicKind.INSTANCE, former))
        context.instance_id.value = new_instance_id()
        await self.register()
        await recovery.instance_recovery(context, former)

    async def _recover_others(self) -> None:
        """Recover the instances whose lease has lapsed, those that nobody else has claimed."""
        context = self._context
        now = context.clock.now_ms()
        before = now - round(context.options.heartbeat_timeout * 1000)
        lapsed = await context.store.instances_lapsed(before)
        # Not all survivors begin with the same one.
        random.shuffle(lapsed)
        for instance_id in lapsed:
            if instance_id == context.instance_id():
                continue
            if await context.store.instance_claim(instance_id, now, before):
                logger.warning("instance %s is dead; recovering it", instance_id)
                context.running.spawn(
                    recovery.instance_recovery(context, instance_id), f"recovery of {instance_id}"
                )
