"""One connection of a stream: carries out the steps of its conversation, and limits it."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from chat_service.concurrency.deadlines import Deadlines
from chat_service.concurrency.eager import Waited
from chat_service.transports.network.lines import (
    CLIENT_DISCONNECT,
    NOBODY,
    SLOW_CONSUMER,
    TRANSPORT_CLOSE,
    Line,
)
from chat_service.transports.streams.dialect import (
    Client,
    Close,
    Closing,
    Conversation,
    Dialect,
    LogIn,
    Run,
    Steps,
)
from chat_service.types import SocketId

logger = logging.getLogger("chat_service")

#: Why a connection is closed, for the client and for ``on_disconnect``.
IDLE, LOGIN_TIMEOUT, LINE_TOO_LONG = "idle", "login timeout", "line too long"


class StreamOwner(Protocol):
    """The owner of the connections."""

    dialect: Dialect
    #: Maximum number of commands of one client that are handled at a time.
    max_waiting: int
    #: Connections that have to log in, that may be idle, and that have to read some of their backlog.
    unused: "Deadlines[StreamConnection]"
    idle: "Deadlines[StreamConnection]"
    stalled: "Deadlines[StreamConnection]"

    def log_in(self, connection: "StreamConnection", auth: Any, query: Any) -> None:
        """Announce a socket to the service."""
        ...

    def run(self, connection: "StreamConnection", command: str, args: Sequence[Any], tag: Any) -> None:
        """Run a command, and pass its outcome to ``StreamConnection.answer``."""
        ...

    def write(self, connection: "StreamConnection", data: bytes, *, is_answer: bool) -> None:
        """Send a frame."""
        ...

    def close_line(self, line: Line, closing: Closing) -> None:
        """Close a connection, as clients of this transport expect."""
        ...

    def found_slow(self, connection: "StreamConnection", unsent: int) -> None:
        """A connection is being closed because this number of bytes waits for it."""
        ...

    def forget(self, connection: "StreamConnection", reason: str) -> None:
        """A connection is closed."""
        ...


class StreamConnection:
    """A client's connection. The ``Receiver`` of its line, and the session of its socket."""

    __slots__ = (
        "_has_ended",
        "_resume",
        "client",
        "closed",
        "conversation",
        "heard",
        "is_logged_in",
        "is_pinged",
        "line",
        "owner",
        "waiting",
    )

    def __init__(self, owner: StreamOwner, client: Client, line: Line) -> None:
        self.owner = owner
        self.client = client
        self.line = line
        self.conversation: Conversation = owner.dialect.converse(client)
        #: Whether the connection is closed, or is being closed.
        self.closed = False
        #: Whether the service knows the socket.
        self.is_logged_in = False
        #: Whether anything has arrived since this was last reset, and whether a ping waits for an answer.
        self.heard = False
        self.is_pinged = False
        #: Number of tasks that handle commands.
        self.waiting = 0
        #: Whether the client sends no more, but may still read.
        self._has_ended = False
        #: Waiters for the end of the block on frames.
        self._resume: asyncio.Event | None = None

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<StreamConnection {self.socket_id} {state} waiting={self.waiting}>"

    @property
    def socket_id(self) -> SocketId:
        """The id of its socket."""
        return self.client.socket_id

    def begin(self) -> None:
        """The client may be greeted."""
        self.line.receiver = self
        self.owner.unused.add(self)
        self.owner.idle.add(self)
        self.perform(self.conversation.begin)

    # Steps

    def perform(self, say: Callable[..., Steps], *args: Any) -> None:
        """Carry out the steps that a method of the conversation returns."""
        try:
            for step in say(*args):
                if self.closed:
                    return
                self._do(step)
        except Exception:
            logger.exception("the conversation of connection %s has failed", self.socket_id)
            self.end(TRANSPORT_CLOSE, abort=True)

    def _do(self, step: Any) -> None:
        if isinstance(step, Run):
            self.owner.run(self, *step)
        elif isinstance(step, LogIn):
            if not self.is_logged_in:
                self.is_logged_in = True
                self.owner.unused.discard(self)
                self.owner.log_in(self, step.auth, step.query)
        elif isinstance(step, Close):
            if step.last is not None:
                self.owner.write(self, step.last, is_answer=True)
            self.end(CLIENT_DISCONNECT)
        else:
            self.owner.write(self, step.data, is_answer=step.is_answer)

    def answer(self, values: Sequence[Any], tag: Any) -> None:
        """A command has an outcome."""
        if not self.closed:
            self.perform(self.conversation.answered, tag, values)

    # Receiving: part of ``Receiver``

    @property
    def is_blocked(self) -> bool:
        """Whether frames must wait, because earlier ones are being handled or answers are not sent yet."""
        return (self.waiting >= self.owner.max_waiting or self.line.is_full) and not self.closed

    def take(self, packet: str | bytes) -> None:
        """Part of ``Receiver``."""
        self.heard = True
        if self.closed:
            return
        if isinstance(packet, str):
            self.perform(self.conversation.receive, packet)
        else:
            self.perform(self.conversation.malformed, "not text in UTF-8")

    def interrupt(self) -> None:
        """The client has interrupted the session."""
        if not self.closed:
            self.perform(self.conversation.interrupted)

    def too_long(self) -> None:
        """A line exceeds the limit, and is dropped."""
        if self.closed:
            return
        self.heard = True
        steps = self.conversation.too_long()
        if steps is None:
            self.dismiss(Closing(LINE_TOO_LONG))
        else:
            self.perform(lambda: steps)

    def finish(self) -> None:
        """The client sends no more. It still gets the answers to what it has sent."""
        self._has_ended = True
        self._look_at_end()

    def _look_at_end(self) -> None:
        if self._has_ended and not self.waiting:
            self.end(CLIENT_DISCONNECT)

    def wait_for(self, work: Waited) -> None:
        """A command is being handled. If there are too many, further frames wait."""
        self.waiting += 1
        work.add_done_callback(self._waited)

    def _waited(self, _: object) -> None:
        self.waiting -= 1
        self._look_at_end()
        # Resume in batches.
        if self.waiting == self.owner.max_waiting // 2:
            self.proceed()

    def proceed(self) -> None:
        """Resume handling frames, unless there is another reason to wait."""
        if not self.is_blocked:
            self.line.proceed()
        if self._resume is not None:
            # Each waiter checks again whether it may continue.
            self._resume.set()
            self._resume.clear()

    def full(self) -> None:
        """Part of ``Receiver``: stop handling commands until the client reads."""
        self.owner.stalled.add(self)

    def drained(self) -> None:
        """Part of ``Receiver``."""
        self.owner.stalled.discard(self)
        self.proceed()

    def look_at_stalled(self) -> None:
        """The time for the client to read some of its backlog has passed."""
        if self.line.has_drained():
            self.owner.stalled.add(self)
        else:
            self.slow(self.unsent)

    def slow(self, unsent: int) -> None:
        """Part of ``Receiver``: the client does not read."""
        if not self.closed:
            self.owner.found_slow(self, unsent)
            self.end(SLOW_CONSUMER, abort=True)

    def violated(self, why: str) -> None:
        """Part of ``Receiver``."""
        logger.debug("connection %s ends: %s", self.socket_id, why)
        self.end(TRANSPORT_CLOSE)

    def lost(self) -> None:
        """Part of ``Receiver``."""
        self.end(TRANSPORT_CLOSE, abort=True)

    # The session of a socket

    @property
    def unsent(self) -> int:
        """Number of bytes waiting to be sent."""
        return self.line.unsent

    def send_all(self, packets: Iterable[str | bytes], *, is_answer: bool = False) -> None:
        """Send frames of a line that has no sink."""
        for packet in packets:
            self.line.send(packet, is_answer=is_answer)

    async def wait_drained(self) -> None:
        """Wait until the backlog is small enough for a large answer, or the connection is closed."""
        while self.line.is_full and not self.closed:
            if self._resume is None:
                self._resume = asyncio.Event()
            await self._resume.wait()

    def unbind(self) -> None:
        """The socket is gone."""

    # Closing

    def dismiss(self, closing: Closing) -> None:
        """Close the connection after what was sent so far, and tell the client why."""
        if not self.closed:
            try:
                last = self.conversation.closing(closing)
            except Exception:
                logger.exception("the conversation of connection %s has failed", self.socket_id)
                last = None
            if last is not None:
                self.owner.write(self, last, is_answer=True)
            self.end(closing.reason, closing=closing)

    def end(self, reason: str, *, abort: bool = False, closing: Closing | None = None) -> None:
        """Close the connection. ``abort``: without sending what waits."""
        if self.closed:
            return
        self.closed = True
        if abort:
            self.line.receiver = NOBODY
            self.line.abort()
        else:
            self.owner.close_line(self.line, closing or Closing(reason))
        self.proceed()
        self.owner.forget(self, reason)


def new_client(socket_id: SocketId, handshake: Any, remote_port: int | None) -> Client:
    """The facts of a new connection."""
    return Client(socket_id=socket_id, handshake=handshake, remote_port=remote_port, connected_at=time.time())
