"""Starts and closes a service. Whatever was opened is closed in reverse order, despite failures."""

import asyncio
import logging
from enum import Enum
from typing import Any

from chat_service.commands.gateway import DISCONNECT, Gateway
from chat_service.concurrency.running import CANCEL_GRACE
from chat_service.contracts.bus import EVERYONE
from chat_service.domain import connections
from chat_service.domain.context import Context
from chat_service.domain.inbox import Inbox
from chat_service.domain.lease import Lease, new_instance_id
from chat_service.errors import ServiceClosedError
from chat_service.hooks import call_hook
from chat_service.operations import Operations
from chat_service.webhooks.webhooks import Webhooks

logger = logging.getLogger("chat_service")


class CloseTimeoutError(TimeoutError):
    """Work still running ``close_timeout`` seconds after the clients had disconnected was cancelled."""


class Phase(Enum):
    """The phases of a service, passed once in this order."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    CLOSING = "closing"
    CLOSED = "closed"


class LifeCycle:
    """Starts and closes the parts of a service."""

    def __init__(self, context: Context, operations: Operations, webhooks: Webhooks) -> None:
        self._context = context
        self._operations = operations
        self._webhooks = webhooks
        self.phase = Phase.NEW
        #: The task running ``start``, the future set at its end, and its failure.
        self._starter: asyncio.Task[Any] | None = None
        self._start_ended = asyncio.Event()
        self._start_error: BaseException | None = None
        self._is_close_asked = False
        #: Whether the store knows, or may know, this instance.
        self._is_registered = False
        self._closing: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start, and return once clients can connect. A failed start is undone and raises its cause.

        Does nothing if running; a closed service cannot start again. A call during the start waits for it. A
        close during the start ends it with ``ServiceClosedError``.
        """
        if self.phase is Phase.STARTING:
            await self._start_ended.wait()
            if self._start_error is not None:
                raise ServiceClosedError("the service could not start") from self._start_error
        elif self.phase is Phase.NEW:
            self.phase = Phase.STARTING
            self._starter = asyncio.current_task()
            try:
                await self._start_or_abandon()
            except BaseException as error:
                self._start_error = error
                raise
            finally:
                self._starter = None
                self._start_ended.set()
        elif self.phase is not Phase.RUNNING:
            raise ServiceClosedError("the service was closed: create a new one")

    async def _start_or_abandon(self) -> None:
        try:
            await self._start()
            if self._is_close_asked:
                raise ServiceClosedError("the service was closed while it started")
        except BaseException as error:
            logger.debug("start failed: %r", error)
            if self._is_close_asked and self._starter is not None:
                self._starter.uncancel()
            await self._abandon(None if self._is_close_asked else error)
            if self._is_close_asked and isinstance(error, asyncio.CancelledError):
                raise ServiceClosedError("the service was closed while it started") from None
            raise
        self.phase = Phase.RUNNING
        self._context.events.emit("ready")

    async def _start(self) -> None:
        context = self._context
        context.instance_id.value = new_instance_id()
        # Opened first and closed last, so that health checks are always answered.
        await self._operations.listen()
        lease = context.lease = Lease(context)
        await context.store.open(Inbox(context, lease))
        await context.delivery.interest.acquire(EVERYONE)
        self._is_registered = True
        await lease.register()
        self._webhooks.open()
        await context.transport.start(Gateway(context))
        context.is_open = True
        hook = context.hooks.get("on_start")
        if hook is not None:
            await call_hook(hook, context.service)
        await context.transport.listen()
        lease.start()
        context.login_expiry.start(context.background)

    async def _abandon(self, cause: BaseException | None) -> None:
        """Undo a start. ``cause``: its failure, None if it was interrupted."""
        self.phase = Phase.CLOSED

        async def tell() -> None:
            await self._context.events.emit_and_wait("closed", cause)

        for step in (
            self._context.transport.close,
            self._context.running.cancel,
            self._leave_store,
            self._webhooks.close,
            tell,
            self._operations.close,
        ):
            try:
                await step()
            except Exception as error:
                logger.warning("closing after a failed start: %r", error)

    async def drain(self) -> None:
        """Become unready, then disconnect the clients, once. Calls during a drain wait for it.

        Does nothing unless the service is running. A close ends it.
        """
        if self.phase is not Phase.RUNNING:
            return
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(), name="drain")
        # Being ended by a close is not an error.
        await asyncio.wait([self._draining])
        if not self._draining.cancelled():
            self._draining.result()

    async def _drain(self) -> None:
        context, options = self._context, self._context.options
        context.is_draining = True
        sockets = len(context.transport.socket_ids())
        logger.info("draining: unready for %s s, then disconnecting %s sockets", options.drain_delay, sockets)
        if options.drain_delay:
            await context.clock.sleep(options.drain_delay)
        await context.transport.stop_listening()
        await connections.send_away(context, options.drain_seconds)

    async def close(self) -> None:
        """Close once. Calls during the close wait for it. Raises failures once everything is closed."""
        if self.phase is Phase.NEW:
            self.phase = Phase.CLOSED
        if self.phase is Phase.STARTING and self._starter is not None:
            self._is_close_asked = True
            self._starter.cancel()
            await self._start_ended.wait()
        if self.phase is Phase.CLOSED:
            return
        if self._closing is None:
            self.phase = Phase.CLOSING
            if self._draining is not None:
                self._draining.cancel()
            self._closing = asyncio.create_task(self._close(), name="close")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        error: Exception | None = None

        async def call_on_close() -> None:
            await self._call_on_close(error)

        for step in (
            self._disconnect_clients,
            self._finish_commands,
            call_on_close,
            self._webhooks.drain,
            self._leave_store,
            self._webhooks.close,
        ):
            try:
                await step()
            except Exception as failure:
                error = error or failure
        self.phase = Phase.CLOSED
        await self._context.events.emit_and_wait("closed", error)
        await self._context.running.cancel()
        await self._operations.close()
        if error is not None:
            raise error

    async def _disconnect_clients(self) -> None:
        await self._operations.close_api()
        await self._context.transport.stop_listening()
        await self._context.transport.close()
        # Let the disconnect handlers start.
        await asyncio.sleep(0)

    async def _finish_commands(self) -> None:
        running, timeout = self._context.running, self._context.options.close_timeout
        try:
            async with asyncio.timeout(timeout):
                await running.wait_idle()
        except TimeoutError:
            names = running.names()
            await self._end_commands()
            raise CloseTimeoutError(f"still running after {timeout} s, and cancelled: {names}") from None

    async def _end_commands(self) -> None:
        """Cancel running work. Disconnects that waited for it clean up now; the rest is done here."""
        context = self._context
        await context.running.cancel(spare=DISCONNECT)
        try:
            async with asyncio.timeout(CANCEL_GRACE):
                await context.running.wait_idle()
        except TimeoutError:
            await context.running.cancel()
        for session in context.sessions.all():
            await connections.abandon(context, session)

    async def _call_on_close(self, error: Exception | None) -> None:
        hook = self._context.hooks.get("on_close")
        if hook is None:
            return
        timeout = self._context.options.close_timeout
        try:
            async with asyncio.timeout(timeout) as limit:
                await call_hook(hook, self._context.service, error)
        except TimeoutError:
            if not limit.expired():
                raise
            raise CloseTimeoutError(f"the on_close hook took more than {timeout} s") from None

    async def _leave_store(self) -> None:
        context = self._context
        context.is_open = False
        await context.background.close()
        try:
            if self._is_registered:
                await context.store.instance_forget(context.instance_id())
        finally:
            await context.store.close()
