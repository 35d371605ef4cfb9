"""Calls from one instance to another, over the bus."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from chat_service.concurrency.eager import in_task
from chat_service.contracts.bus import Bus, Reply, Request, Topic, TopicKind
from chat_service.errors import ChatServiceError
from chat_service.protocol.wire import ErrorEncoder
from chat_service.types import InstanceId

logger = logging.getLogger("chat_service")

Operation = Callable[..., Awaitable[Any]]


class RemoteCalls:
    """Asks other instances, and answers them. ``timeout``: seconds to wait for an answer."""

    def __init__(
        self,
        bus: Callable[[], Bus],
        instance_id: Callable[[], InstanceId],
        errors: ErrorEncoder,
        timeout: float,
    ) -> None:
        self._bus = bus
        self._instance_id = instance_id
        self._errors = errors
        self._timeout = timeout
        self._operations: dict[str, Operation] = {}
        self._waiting: dict[str, asyncio.Future[Reply]] = {}

    def register(self, name: str, operation: Operation) -> None:
        """Let other instances call ``operation`` under a name."""
        self._operations[name] = operation

    async def call(self, instance: InstanceId, operation: str, *args: Any) -> Any:
        """Call an operation of an instance and return its result.

        Raises the ``ChatServiceError`` that it raised, or ``timeout`` when no answer came in time.
        """
        # Time-outs need one.
        await in_task()
        request = Request(
            id=uuid.uuid4().hex, reply_to=self._instance_id(), operation=operation, args=tuple(args)
        )
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = answer
        try:
            async with asyncio.timeout(self._timeout):
                await self._bus().publish(Topic(TopicKind.INSTANCE, instance), request)
                reply = await answer
        except TimeoutError:
            logger.warning("instance %s did not answer %s in %s s", instance, operation, self._timeout)
            raise ChatServiceError("timeout") from None
        finally:
            del self._waiting[request.id]
        if reply.error is not None:
            code, arguments = reply.error
            raise ChatServiceError(code, *arguments)
        return reply.result

    async def serve(self, request: Request) -> None:
        """Run what another instance asked for, and answer it."""
        operation = self._operations.get(request.operation)
        try:
            if operation is None:
                raise ChatServiceError("noCommand", request.operation)
            reply = Reply(id=request.id, result=await operation(*request.args))
        except Exception as error:
            public = self._errors.public_error(error, f"request {request.operation}")
            reply = Reply(id=request.id, error=(public.code, public.arguments))
        await self._bus().publish(Topic(TopicKind.INSTANCE, request.reply_to), reply)

    def resolve(self, reply: Reply) -> None:
        """Deliver an answer. It is dropped if nobody waits for it any longer."""
        answer = self._waiting.get(reply.id)
        if answer is not None and not answer.done():
            answer.set_result(reply)
