"""A connection to a Redis node shared by all commands. The commands of one loop tick leave in a single write.

redis-py connects (TLS, authentication, database) and hiredis parses. Sharing one connection avoids a pool,
which would cost a checkout per command and could run empty.
"""

import asyncio
import logging
import random
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from time import monotonic
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, RedisError

from chat_service.concurrency.eager import Reply, is_being_cancelled
from chat_service.concurrency.running import Background
from chat_service.errors import StoreError, StoreTimeoutError
from chat_service.telemetry import DURATION_BOUNDS, Durations

logger = logging.getLogger("chat_service")

#: Creates a redis-py connection to a node.
ConnectionFactory = Callable[[], AbstractConnection]

Encodable = str | bytes | int

#: Delay in seconds between attempts to connect: the first and the longest.
RETRY_FIRST, RETRY_LONGEST = 0.05, 2.0
#: Time in seconds that a command waits for a connection after a failed attempt.
RETRY_PATIENCE = 0.25


class RedisReplyError(Exception):
    """An error reply of Redis, such as ``NOSCRIPT …``."""

    @property
    def kind(self) -> str:
        """The first word of the error."""
        return str(self).partition(" ")[0]


def pack_command(command: tuple[Encodable, ...]) -> bytes:
    """Encode a command in the Redis protocol."""
    # The library's stub allows only commands with one part.
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]
    return packed


class Waiting(Reply):
    """A command or transaction waiting for its reply."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sent_at: float, before: int) -> None:
        asyncio.Future.__init__(self, loop=loop)
        self.sent_at = sent_at
        #: Number of replies before the one that counts: to the parts of a transaction.
        self.before = before
        #: The first error among those replies.
        self.refusal: Exception | None = None


class Wire(asyncio.Protocol):
    """An open connection: takes over the transport, and passes on replies as soon as they are read."""

    def __init__(self, writer: asyncio.StreamWriter, link: "Link", take: Callable[[Any], None]) -> None:
        # It would close the transport when it is collected.
        self._writer = writer
        self.transport = writer.transport
        self._link = link
        self._take = take
        self._parser = hiredis.Reader(replyError=RedisReplyError)
        #: Set when the connection has ended.
        self.ended = asyncio.Event()
        self.transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Part of ``asyncio.Protocol``."""
        self._link.last_heard = monotonic()
        parser, take = self._parser, self._take
        try:
            parser.feed(data)
            while (answer := parser.gets()) is not False:
                take(answer)
        except Exception as error:
            self._link.lose(self, error)

    def eof_received(self) -> None:
        """Part of ``asyncio.Protocol``."""
        self._link.lose(self, "it hung up")

    def connection_lost(self, error: Exception | None) -> None:
        """Part of ``asyncio.Protocol``."""
        self.ended.set()
        self._link.lose(self, error or "it hung up")


class Link:
    """Sends commands in order and matches the replies. Opens on first use and again after a loss.

    ``timeout``: time in seconds after which a command without a reply fails; the link fails too if Redis has
    sent nothing in that time. ``on_push``: receives all replies unmatched, for subscriptions. ``on_lost``:
    called when an open connection is lost. ``durations``: records how long replies took. ``background``:
    counts failures of what takes the replies.
    """

    def __init__(
        self,
        name: str,
        factory: ConnectionFactory,
        timeout: float,
        *,
        on_push: Callable[[Any], None] | None = None,
        on_lost: Callable[[], None] | None = None,
        durations: Durations | None = None,
        background: Background | None = None,
    ) -> None:
        self.name = name
        self._factory = factory
        self._timeout = timeout
        self._on_push = on_push
        self._on_lost = on_lost
        self._durations = Durations() if durations is None else durations
        self._background = Background() if background is None else background
        #: The open connection. None: commands cannot be submitted now.
        self.wire: Wire | None = None
        #: The connection's loop. Getting the running one takes a system call in Python 3.11.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        # ``monotonic()`` of the next timeout check.
        self._watch_at = 0.0
        # In the order of the expected replies.
        self._waiting: deque[Waiting] = deque()
        self._unsent: list[bytes] = []
        #: ``monotonic()`` of the last reply. Not the loop's time, which has steps of 1 ms in uvloop.
        self.last_heard = 0.0
        self._is_closed = False
        # Failed attempts to connect since the last success, and the loop time of the next permitted one.
        self._failures = 0
        self._retry_at = 0.0

    def __repr__(self) -> str:
        return f"<Link {self.name} open={self.is_open} waiting={len(self._waiting)}>"

    @property
    def is_open(self) -> bool:
        """Whether commands can be submitted."""
        return self.wire is not None

    @property
    def is_idle(self) -> bool:
        """Whether the link is neither open nor being opened."""
        return self.wire is None and self._connecting is None

    # Opening and closing

    async def open(self) -> None:
        """Connect unless already connected.

        Raises ``StoreTimeoutError`` if Redis does not answer, ``StoreError`` if it refuses the login.
        Attempts back off after failures; until the next one is due, this raises immediately.
        """
        if self.wire is not None:
            return
        if self._is_closed:
            raise StoreError(f"the connection to Redis at {self.name} was closed")
        if self._connecting is None:
            if asyncio.get_running_loop().time() < self._retry_at:
                raise StoreTimeoutError(f"Redis at {self.name} is currently unreachable")
            # The connection outlives the command that opens it, so it does not inherit its context.
            self._connecting = asyncio.get_running_loop().create_task(
                self._connect(), name=f"connect to {self.name}", context=Context()
            )
            self._connecting.add_done_callback(self._end_connecting)
        connecting = self._connecting
        # Do not wait long if the last attempt failed: commands fail fast while Redis is down.
        done, _ = await asyncio.wait([connecting], timeout=RETRY_PATIENCE if self._failures else None)
        if not done:
            raise StoreTimeoutError(f"Redis at {self.name} is currently unreachable")
        if connecting.cancelled():
            raise StoreError(f"the connection to Redis at {self.name} was closed")
        connecting.result()

    def _end_connecting(self, task: "asyncio.Task[None]") -> None:
        self._connecting = None
        # Retrieve the exception in any case, since nobody may be waiting for it.
        if task.cancelled() or task.exception() is None:
            self._failures = 0
            return
        self._failures += 1
        delay = min(RETRY_FIRST * 2 ** (self._failures - 1), RETRY_LONGEST)
        # Random, so that instances do not all connect at the same moment.
        delay *= random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        self._retry_at = asyncio.get_running_loop().time() + delay

    async def _connect(self) -> None:
        connection = None
        try:
            # Even this may fail: redis-py reads its version from a file.
            connection = self._factory()
            await connection.connect()  # type: ignore[no-untyped-call]
        except (Exception, asyncio.CancelledError) as error:
            if connection is not None:
                with suppress(Exception):
                    await connection.disconnect(nowait=True)
            if is_being_cancelled():
                raise
            raise self._unreachable(error) from error
        # From here on we use the transport directly.
        reader, writer = connection._reader, connection._writer
        connection._reader = connection._writer = None
        if reader is None or writer is None or reader.at_eof() or writer.is_closing():
            raise StoreTimeoutError(f"Redis at {self.name} hung up")
        self._loop = asyncio.get_running_loop()
        self.last_heard = monotonic()
        self.wire = Wire(writer, self, self._on_push or self._resolve)

    def _unreachable(self, error: BaseException) -> StoreError:
        """Convert any failure to connect: whatever was raised, Redis cannot be reached."""
        if isinstance(error, AuthenticationError):
            return StoreError(f"Redis at {self.name} refused the login: {error}")
        # Libraries raise other errors too, such as uvloop when a connection was reset.
        known = isinstance(error, RedisError | OSError) and str(error)
        return StoreTimeoutError(f"Redis at {self.name} cannot be reached: {known or repr(error)}")

    async def close(self) -> None:
        """Close the connection permanently; pending commands fail. Idempotent."""
        self._is_closed = True
        self._on_lost = None
        wire = self.wire
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        self.drop(StoreError(f"the connection to Redis at {self.name} was closed"))
        if wire is not None:
            await wire.ended.wait()

    def drop(self, error: StoreError) -> None:
        """Drop the connection; the next ``open`` makes a new one. Pending commands fail."""
        wire, self.wire = self.wire, None
        if wire is None:
            return
        wire.transport.abort()
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        self._unsent.clear()
        waiting, self._waiting = self._waiting, deque()
        for item in waiting:
            item.fail(error)
        if self._on_lost is not None:
            self._on_lost()

    # Commands

    def submit(self, *command: Encodable) -> Reply:
        """Queue a command on an open link, to be sent with the others of this loop tick.

        It receives the reply, or a ``RedisReplyError`` or ``StoreError`` as its exception.
        """
        return self.submit_packed(pack_command(command))

    def submit_packed(self, packed: bytes, before: int = 0) -> Reply:
        """``submit`` for several commands packed into one.

        ``before``: number of replies before the one that counts; an error among them becomes the outcome.
        """
        loop = self._loop
        if loop is None or self.wire is None:
            refused = Reply(loop=asyncio.get_running_loop())
            refused.set_exception(StoreTimeoutError(f"Redis at {self.name} is not connected"))
            return refused
        now = monotonic()
        waiting = Waiting(loop, now, before)
        self._waiting.append(waiting)
        if self._watchdog is None:
            self._watch_in(loop, now, self._timeout)
        if not self._unsent:
            loop.call_soon(self._flush)
        self._unsent.append(packed)
        return waiting

    def send(self, *command: Encodable) -> None:
        """Queue a command on a link with ``on_push``, which receives the reply."""
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._flush)
        self._unsent.append(pack_command(command))

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self.wire is None or not unsent:
            return
        try:
            self.wire.transport.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))
        except Exception as error:
            # uvloop's transport raises if it was closed in this loop tick.
            self.drop(StoreTimeoutError(f"Redis at {self.name} is lost: {error}"))

    def lose(self, wire: Wire, reason: object) -> None:
        """A connection has ended, or its replies cannot be taken: whatever the reason, it is useless."""
        if isinstance(reason, Exception) and not isinstance(
            reason, OSError | RuntimeError | hiredis.ProtocolError
        ):
            self._background.failed("redis reading", reason, "drops the connection")
        if wire is self.wire:
            self.drop(StoreTimeoutError(f"Redis at {self.name} is lost: {reason}"))

    def _resolve(self, answer: Any) -> None:
        if not self._waiting:
            raise hiredis.ProtocolError("a reply that no command waits for")
        waiting = self._waiting[0]
        if waiting.before:
            waiting.before -= 1
            if waiting.refusal is None and isinstance(answer, Exception):
                waiting.refusal = answer
            return
        self._waiting.popleft()
        # Inlined ``Durations.observe``.
        seconds, durations = self.last_heard - waiting.sent_at, self._durations
        durations.counts[bisect_left(DURATION_BOUNDS, seconds)] += 1
        durations.total += seconds
        if isinstance(answer, Exception):
            waiting.fail(waiting.refusal or answer)
        else:
            waiting.settle(answer)

    def _watch_in(self, loop: asyncio.AbstractEventLoop, now: float, seconds: float) -> None:
        # One timer for all commands.
        seconds = max(seconds, self._timeout / 100)
        self._watch_at = now + seconds
        self._watchdog = loop.call_later(seconds, self._watch)

    def _watch(self) -> None:
        """Fail commands that have waited too long; if Redis sent nothing meanwhile, drop the connection."""
        self._watchdog = None
        if not self._waiting:
            return
        loop, now = asyncio.get_running_loop(), monotonic()
        if now - self._watch_at > self._timeout / 10:
            # The process was suspended: read the replies that arrived meanwhile first.
            self._watch_in(loop, now, 0)
            return
        # Replies come in order, so a reply before the oldest pending command proves nothing about the
        # connection.
        silent_since = max(self._waiting[0].sent_at, self.last_heard)
        if silent_since + self._timeout <= now:
            self._failures = max(self._failures, 1)
            self.drop(StoreTimeoutError(f"Redis at {self.name} did not answer in {self._timeout} s"))
            return
        look_at = silent_since + self._timeout
        for item in self._waiting:
            if item.sent_at + self._timeout > now:
                look_at = min(look_at, item.sent_at + self._timeout)
                break
            item.fail(StoreTimeoutError(f"Redis at {self.name} is too slow"))
        self._watch_in(loop, now, look_at - now)
