"""The hook ``on_message_receive``: what each recipient gets of a room's messages, in their order.

A hook that waits holds back the later events of its room for its socket, and nothing else.
"""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Collection, Sequence
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from chat_service.clock import Sparing
from chat_service.concurrency.deadlines import current_patience
from chat_service.concurrency.eager import in_task, is_being_cancelled
from chat_service.concurrency.time_limit import TimeLimit
from chat_service.domain.context import Context
from chat_service.hooks import Hook
from chat_service.interactions import Folds, fold
from chat_service.protocol.encoded import encoded_size
from chat_service.protocol.values import MAX_DEPTH, count_binary
from chat_service.types import Message, RoomName, SocketId, UserName

logger = logging.getLogger("chat_service")

#: The name of the hook.
HOOK: Final = "on_message_receive"
#: The size in bytes that an event that waits counts in addition to its own.
OVERHEAD: Final = 256
#: Minimum number of seconds between two log lines about failures of the hook.
LOG_PAUSE: Final = 10.0


class Waiting(NamedTuple):
    """An event of a room that waits for its turn."""

    event: str
    args: Sequence[Any]
    is_message: bool
    size: int


class Line:
    """The events of one room that wait for one socket, behind a message whose hook is running."""

    __slots__ = ("has_begun", "is_over", "items", "task")

    def __init__(self) -> None:
        self.items: deque[Waiting] = deque()
        #: The task that waits for the hook, and whether it has begun to.
        self.task: asyncio.Task[None] | None = None
        self.has_begun = False
        #: The socket gets nothing more of it.
        self.is_over = False


#: The line whose hook the current code runs in.
_own_line: ContextVar[Line | None] = ContextVar("chat_service_line", default=None)


def hidden(message: Message) -> Message:
    """The form in which a recipient gets a hidden message."""
    return {"id": message["id"], "timestamp": message.get("timestamp"), "hidden": True}


def is_hidden(message: Message) -> bool:
    """Whether this is what a recipient gets of a hidden message."""
    return message.keys() == {"id", "timestamp", "hidden"}


class Screening:
    """The ``Screen`` of a service with the hook."""

    def __init__(self, context: Context, hook: Hook) -> None:
        self._context = context
        self._hook = hook
        self._lines: dict[RoomName, dict[SocketId, Line]] = {}
        # Number of bytes that wait for each socket, in all rooms.
        self._bytes: dict[SocketId, int] = {}
        # Sockets that are being disconnected because too much waits for them.
        self._cut: set[SocketId] = set()
        # The last event that was measured, because it usually waits for several sockets.
        self._measured: tuple[Sequence[Any], int] = ((), 0)
        self._failures = Sparing(LOG_PAUSE)

    def __repr__(self) -> str:
        return f"<Screening lines={sum(map(len, self._lines.values()))} sockets={len(self._bytes)}>"

    def use(self, hook: Hook) -> None:
        """Call another hook from now on."""
        self._hook = hook

    # Live events

    def waiting(self, room: RoomName) -> Collection[SocketId]:
        """The sockets for which events of the room wait."""
        return self._lines.get(room, {}).keys()

    def message(self, room: RoomName, socket_id: SocketId, args: Sequence[Any]) -> None:
        """Send a socket what the hook makes of a message, after everything that waits for it."""
        if socket_id in self._cut:
            return
        line = self._lines.get(room, {}).get(socket_id)
        if line is not None:
            self._append(line, socket_id, Waiting("roomMessage", args, True, self._measure(args)))
            return
        answer = self._ask(room, socket_id, args[1])
        if not inspect.isawaitable(answer):
            self._send(room, socket_id, args[1], answer)
            return
        line = self._lines.setdefault(room, {})[socket_id] = Line()
        work = self._work(line, room, socket_id, args[1], answer)
        line.task = self._context.running.spawn(work, HOOK)

    def event(self, room: RoomName, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        """Send a socket another event of the room, after everything that waits for it."""
        line = self._lines.get(room, {}).get(socket_id)
        if line is None:
            self._context.transport.emit(socket_id, event, args)
        else:
            self._append(line, socket_id, Waiting(event, args, False, self._measure(args)))

    def forget(self, room: RoomName, socket_id: SocketId) -> None:
        """The socket is no longer joined: it gets none of the waiting messages."""
        self._cut.discard(socket_id)
        line = self._lines.get(room, {}).get(socket_id)
        if line is None:
            return
        self._end(line, room, socket_id)
        # A hook may remove its own recipient; and one that has not begun must not be left unawaited.
        if line.task is not None and line.has_begun and _own_line.get() is not line:
            line.task.cancel()

    # Histories

    async def history(
        self,
        user: UserName,
        socket_id: SocketId,
        room: RoomName,
        messages: Sequence[Message],
        folds: Folds | None,
    ) -> list[Message]:
        """The messages of a history as the hook returns them, one after another.

        ``folds``: to fold them afterwards. An edit that the hook hides does not show in the edited message.
        """
        screened = await self._screen(user, socket_id, room, messages)
        if folds is None:
            return screened
        edits = await self._screen(user, socket_id, room, list(folds.edits.values()))
        seen = {message["id"]: message for message in edits if not is_hidden(message)}
        folded = fold(screened, folds._replace(edits=seen))
        return [
            message if is_hidden(message) else said for message, said in zip(screened, folded, strict=True)
        ]

    async def _screen(
        self, user: UserName, socket_id: SocketId, room: RoomName, messages: Sequence[Message]
    ) -> list[Message]:
        screened = []
        patience = current_patience.get()
        # The hook belongs to the application, and its time is not that of the store.
        suspended = 0.0 if patience is None else patience.suspend()
        try:
            for message in messages:
                answer = self._ask_for(user, room, socket_id, message)
                if inspect.isawaitable(answer):
                    await in_task()
                    answer = await self._result_of(answer)
                screened.append(self._outcome(message, answer))
        finally:
            if patience is not None:
                patience.resume(suspended)
        return screened

    # The hook

    def _ask(self, room: RoomName, socket_id: SocketId, message: Message) -> Any:
        session = self._context.sessions.get(socket_id)
        user = None if session is None else session.user
        return None if user is None else self._ask_for(user, room, socket_id, message)

    def _ask_for(self, user: UserName, room: RoomName, socket_id: SocketId, message: Message) -> Any:
        """Call the hook. Returns its answer, to be awaited if it is awaitable; None if it has raised."""
        try:
            # A copy, because the others get the same message.
            return self._hook(self._context.service, user, socket_id, room, dict(message))
        except Exception as error:
            self._log(error)
            return None

    async def _result_of(self, answer: Awaitable[Any]) -> Any:
        limit = self._context.hooks.timeout
        try:
            return await (answer if limit is None else TimeLimit(limit).wait_for(answer))
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                raise
            self._log(error)
            return None

    def _outcome(self, message: Message, answer: Any) -> Message:
        if answer is None:
            return hidden(message)
        found = count_binary(answer, MAX_DEPTH) if isinstance(answer, dict) else None
        if found is None or found > self._context.limits.attachments:
            self._log(TypeError(f"the {HOOK} hook returned a value that cannot be sent: {answer!r}"))
            return hidden(message)
        return {**answer, "id": message["id"], "timestamp": message.get("timestamp")}

    def _log(self, error: BaseException) -> None:
        """Log a failure, but not each one: the hook runs for every recipient of every message."""
        if count := self._failures.count():
            logger.error(
                "the %s hook failed, so a message was hidden (%d failures since the last report): %r",
                HOOK,
                count,
                error,
                exc_info=error,
            )

    # Lines

    async def _work(
        self, line: Line, room: RoomName, socket_id: SocketId, message: Message, answer: Awaitable[Any]
    ) -> None:
        """Wait for the hook, then send what waits, until nothing does."""
        line.has_begun = True
        _own_line.set(line)
        if line.is_over:
            # The socket has left before the hook could begin.
            asyncio.ensure_future(answer).cancel()
            return
        waiting: Awaitable[Any] | None = answer
        try:
            while waiting is not None:
                result = await self._result_of(waiting)
                if line.is_over:
                    return
                self._send(room, socket_id, message, result)
                message, waiting = self._send_on(line, room, socket_id, message)
        finally:
            if not line.is_over:
                self._end(line, room, socket_id)

    def _send_on(
        self, line: Line, room: RoomName, socket_id: SocketId, message: Message
    ) -> tuple[Message, Awaitable[Any] | None]:
        """Send what waits up to the next message whose hook waits. Returns that one with the answer."""
        while line.items:
            event, args, is_message, size = line.items.popleft()
            self._release(socket_id, size)
            if not is_message:
                self._context.transport.emit(socket_id, event, args)
                continue
            message = args[1]
            answer = self._ask(room, socket_id, message)
            if inspect.isawaitable(answer):
                return message, answer
            self._send(room, socket_id, message, answer)
        return message, None

    def _send(self, room: RoomName, socket_id: SocketId, message: Message, answer: Any) -> None:
        self._context.transport.emit(socket_id, "roomMessage", (room, self._outcome(message, answer)))

    def _append(self, line: Line, socket_id: SocketId, waiting: Waiting) -> None:
        line.items.append(waiting)
        total = self._bytes[socket_id] = self._bytes.get(socket_id, 0) + waiting.size
        if total > self._context.options.receive_backlog_limit:
            self._cut_off(socket_id, total)

    def _cut_off(self, socket_id: SocketId, unsent: int) -> None:
        session = self._context.sessions.get(socket_id)
        logger.warning(
            "disconnecting socket %s of user %s as a slow consumer: %d bytes wait for the %s hook",
            socket_id,
            None if session is None else session.user,
            unsent,
            HOOK,
        )
        self._context.counters.slow_hooks += 1
        for room in [room for room, lines in self._lines.items() if socket_id in lines]:
            self.forget(room, socket_id)
        self._cut.add(socket_id)
        disconnecting = self._context.transport.disconnect(socket_id, may_return=True)
        self._context.running.spawn(disconnecting, "disconnect")

    def _end(self, line: Line, room: RoomName, socket_id: SocketId) -> None:
        line.is_over = True
        self._release(socket_id, sum(waiting.size for waiting in line.items))
        line.items.clear()
        lines = self._lines[room]
        del lines[socket_id]
        if not lines:
            del self._lines[room]

    def _release(self, socket_id: SocketId, size: int) -> None:
        left = self._bytes.get(socket_id, 0) - size
        if left > 0:
            self._bytes[socket_id] = left
        else:
            self._bytes.pop(socket_id, None)

    def _measure(self, args: Sequence[Any]) -> int:
        measured, size = self._measured
        if measured is not args:
            size = encoded_size(list(args)) + OVERHEAD
            self._measured = (args, size)
        return size


def install(context: Context) -> None:
    """Let the hook decide from now on what the recipients get, if the application has set it."""
    hook = context.hooks.get(HOOK)
    if hook is None:
        return
    screen = context.delivery.screen
    if isinstance(screen, Screening):
        # Waiting events stay in their order.
        screen.use(hook)
    else:
        context.delivery.screen = Screening(context, hook)
