"""The ``Dialect`` contract: how clients of a plain WebSocket or of a TCP line speak.

A dialect is code without I/O. It turns frames into steps, such as running a command or sending a frame, and
events of the service into frames. The transport carries the steps out at once, in their order, and does
everything else: it frames, limits, logs in, broadcasts and disconnects.

One ``Dialect`` serves all connections of a transport. It makes a ``Conversation`` for each, which holds the
state of that connection.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

from chat_service.contracts.transport import Handshake
from chat_service.types import SocketId


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A new connection."""

    #: The id of its socket, and of its user's sockets in the service.
    socket_id: SocketId
    #: Its address, and of a WebSocket the headers and the query. ``auth`` is None until the login.
    handshake: Handshake
    #: The TCP port of the client, None if it is unknown.
    remote_port: int | None
    #: Unix time in seconds.
    connected_at: float


class LogIn(NamedTuple):
    """Log the connection in, once; later ones are ignored. The service's ``on_connect`` hook runs.

    The service then sends the event ``loginConfirmed`` or ``loginRejected``. Commands may be run at once:
    they wait for the login. ``auth``: becomes ``Handshake.auth``. ``query``: is added to
    ``Handshake.query``.
    """

    auth: Any = None
    query: Mapping[str, str] = MappingProxyType({})


class Run(NamedTuple):
    """Run a command or a custom event. Its outcome is passed to ``Conversation.answered`` with ``tag``.

    Commands start in the order of their steps and do not wait for each other.
    """

    command: str
    args: Sequence[Any] = ()
    tag: Any = None


class Send(NamedTuple):
    """Send a frame: text in UTF-8, without the end of the line.

    ``is_answer``: the client has asked for it, so it does not count toward the limit of unsent bytes, beyond
    which a client that does not read is disconnected. Reading stops instead.
    """

    data: bytes
    is_answer: bool = True


class Close(NamedTuple):
    """Disconnect after everything sent so far, because the client wants it. ``last``: one more frame."""

    last: bytes | None = None


Step = LogIn | Run | Send | Close
Steps = Iterable[Step]


class Closing(NamedTuple):
    """Why the transport closes a connection."""

    #: A short text: "server disconnect", "idle", "login timeout", "line too long".
    reason: str
    #: Whether the client should connect again: the instance drains, or is closed.
    may_return: bool = False


class Each(Enum):
    """The type of ``EACH``."""

    EACH = "each"


#: The result of ``Dialect.event`` for an event that every conversation translates for itself.
EACH: Final = Each.EACH


class Conversation:
    """The state of one connection. Subclass it and override ``receive`` and ``answered``.

    No method waits or raises. Methods that return steps may be generators: each step is carried out before
    the generator is resumed. Within a step no other method is called, except that a ``Run`` that needs not
    wait is answered at once.
    """

    #: Whether ``ping`` is sent every ``ping_interval`` seconds on a WebSocket, whatever has arrived, and the
    #: client must send something before the next one.
    pings_always = False

    def begin(self) -> Steps:
        """The client has connected. The place for a greeting, and for a login that does not wait."""
        return ()

    def receive(self, text: str) -> Steps:
        """A frame, or a line without its end, has arrived."""
        raise NotImplementedError

    def malformed(self, why: str) -> Steps:
        """A frame that is not text: ``why`` is a short text for the client."""
        return (Close(),)

    def too_long(self) -> Steps | None:
        """A line exceeds the limit, and is dropped. None: the client is disconnected."""
        return None

    def interrupted(self) -> Steps:
        """Ctrl-C or Ctrl-D was pressed on a line. What precedes it on the line is dropped."""
        return (Close(),)

    def answered(self, tag: Any, values: Sequence[Any]) -> Steps:
        """The outcome of a ``Run``: ``(error, *results)`` as in an ack, ``error`` being None for success.

        Frames sent here precede everything that the service sends later, such as the first message of a room
        that was joined.
        """
        return ()

    def event(self, event: str, args: Sequence[Any]) -> Steps:
        """An event of the service for which ``Dialect.event`` has returned ``EACH``."""
        return ()

    def ping(self) -> bytes | None:
        """A frame that asks whether the client is alive: nothing has arrived for ``ping_interval`` seconds.

        None: the transport asks in its own way, if it has one.
        """
        return None

    def closing(self, closing: Closing) -> bytes | None:
        """The last frame to a client that the transport disconnects; None for none."""
        return None


@runtime_checkable
class TakesGuests(Protocol):
    """A dialect whose clients need no login, if ``takes_guests`` is true.

    A connection that the service's ``on_connect`` does not name, or of a service without this hook, is a user
    of its own: an ephemeral one, named by the id of its socket.
    """

    takes_guests: bool


class Dialect(Protocol):
    """How the clients of a transport speak."""

    @property
    def name(self) -> str:
        """A short name, unique among the transports of a service: ``Handshake.transport``."""
        ...

    @property
    def subprotocols(self) -> Sequence[str]:
        """The WebSocket subprotocols. A client that offers others only is refused; none need be offered."""
        ...

    def converse(self, client: Client) -> Conversation:
        """Begin the conversation with a client."""
        ...

    def event(self, event: str, args: Sequence[Any]) -> bytes | Each | None:
        """The frame of an event of the service, the same one for all clients.

        Called once per event, however many clients get it. None: nobody gets it. ``EACH``: ask every
        conversation.
        """
        ...
