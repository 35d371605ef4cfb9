"""Other instances: calls to them over the bus, and their pulses, which show that they are alive."""

import asyncio
import itertools
import logging
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chat_service.concurrency.eager import in_task
from chat_service.contracts.bus import Bus, Reply, Request, Topic, TopicKind
from chat_service.errors import ChatServiceError
from chat_service.protocol.wire import ErrorEncoder
from chat_service.types import InstanceId

logger = logging.getLogger("chat_service")

Operation = Callable[..., Awaitable[Any]]


#: How many senders of requests an instance remembers, how many requests of each, and how many of senders of
#: earlier versions altogether.
SENDERS, REQUESTS_OF_EACH, REQUESTS_WITHOUT_NUMBER = 10_000, 1000, 10_000
#: How long a number may be.
MOST_DIGITS = 18


class SeenRequests:
    """Tells new requests from repeated ones: somebody who can publish on the bus may have recorded them.

    The topic of an instance and the ids of instances are used for one life only, and each sender numbers its
    requests. So it is enough to remember the highest number of each sender, and which of the numbers before
    it have come. Senders of earlier versions do not number theirs; of those, the latest are remembered.
    """

    def __init__(self) -> None:
        # In the order of the last request: the highest number, and the numbers that have come.
        self._senders: OrderedDict[str, tuple[int, set[int]]] = OrderedDict()
        self._without_number: OrderedDict[str, None] = OrderedDict()

    def is_new(self, request: Request) -> bool:
        """Whether this is the first request of its sender with this id. Remembers it."""
        number, dot, _ = request.id.partition(".")
        if not dot or not number.isdecimal() or len(number) > MOST_DIGITS:
            return self._is_new_id(request.id)
        return self._is_new_number(request.reply_to, int(number))

    def _is_new_id(self, request_id: str) -> bool:
        if request_id in self._without_number:
            return False
        self._without_number[request_id] = None
        if len(self._without_number) > REQUESTS_WITHOUT_NUMBER:
            self._without_number.popitem(last=False)
        return True

    def _is_new_number(self, sender: str, number: int) -> bool:
        highest, seen = self._senders.pop(sender, (0, set()))
        floor = max(highest, number) - REQUESTS_OF_EACH
        is_new = number > floor and number not in seen
        if is_new:
            seen.add(number)
            if len(seen) > 2 * REQUESTS_OF_EACH:
                seen = {each for each in seen if each > floor}
        self._senders[sender] = max(highest, number), seen
        if len(self._senders) > SENDERS:
            self._senders.popitem(last=False)
        return is_new


class RemoteCalls:
    """Calls other instances, and answers their calls. ``timeout``: seconds to wait for an answer."""

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
        self._numbers = itertools.count(1)
        self._seen = SeenRequests()

    def register(self, name: str, operation: Operation) -> None:
        """Allow other instances to call ``operation`` under a name."""
        self._operations[name] = operation

    async def call(self, instance: InstanceId, operation: str, *args: Any) -> Any:
        """Call an operation of an instance and return its result.

        Raises the ``ChatServiceError`` of the operation, or ``timeout`` if there is no answer in time.
        """
        # Timeouts need a task.
        await in_task()
        request = Request(
            id=f"{next(self._numbers)}.{uuid.uuid4().hex}",
            reply_to=self._instance_id(),
            operation=operation,
            args=tuple(args),
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
        """Run an operation for another instance, and answer it. Repeated requests are dropped."""
        if not self._seen.is_new(request):
            logger.warning(
                "dropped a repeated request of instance %s: %s", request.reply_to, request.operation
            )
            return
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
        """Deliver an answer. Dropped if nobody waits for it any longer."""
        answer = self._waiting.get(reply.id)
        if answer is not None and not answer.done():
            answer.set_result(reply)


@dataclass(slots=True)
class Pulse:
    """The last observed pulse of an instance, and for how many seconds it has not changed."""

    number: int
    silence: float = 0.0


class PulseWatch:
    """An instance's observations of the others. Decides only; its caller reads the store and the clock."""

    def __init__(self, heartbeat_rate: float, heartbeat_timeout: float) -> None:
        self._rate = heartbeat_rate
        self._timeout = heartbeat_timeout
        self._pulses: dict[InstanceId, Pulse] = {}
        #: Time of the end of the last check, in seconds of the monotonic clock.
        self._looked_at: float | None = None

    def look(self, pulses: Mapping[InstanceId, int], began: float, ended: float, *, counts: bool) -> None:
        """Record the current pulses, which were read between ``began`` and ``ended``.

        ``counts``: whether live instances could renew their leases since the last check. If not, the time
        since then proves nothing. Neither does a long interval: this process stood still, and perhaps all
        others did, too.
        """
        waited = 0.0
        if counts and self._looked_at is not None:
            waited = min(max(began - self._looked_at, 0.0), self._rate)
        self._looked_at = ended
        former, self._pulses = self._pulses, {}
        for instance_id, number in pulses.items():
            pulse = former.get(instance_id)
            if pulse is not None and pulse.number == number:
                pulse.silence += waited
            else:
                pulse = Pulse(number)
            self._pulses[instance_id] = pulse

    def silence(self, instance_id: InstanceId) -> float | None:
        """Seconds for which an instance was observed to be silent; None if it was not observed yet."""
        pulse = self._pulses.get(instance_id)
        return None if pulse is None else pulse.silence

    def is_dead(self, instance_id: InstanceId) -> bool:
        """Whether an instance has been silent for ``heartbeat_timeout``."""
        return (self.silence(instance_id) or 0.0) >= self._timeout

    def dead(self) -> dict[InstanceId, int]:
        """The instances that have been silent for that long, each with its unchanged pulse."""
        return {name: pulse.number for name, pulse in self._pulses.items() if self.is_dead(name)}

    @property
    def pause(self) -> float:
        """Seconds until the next check: when an instance may turn out to be dead, or half a heartbeat."""
        due = [self._timeout - pulse.silence for pulse in self._pulses.values()]
        # Not immediately: a dead instance is already being recovered.
        nearest = min((seconds for seconds in due if seconds > 0), default=self._rate)
        return max(min(nearest, self._rate / 2), self._rate / 100)
