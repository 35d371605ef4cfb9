"""Options shared by the transports of plain WebSockets and lines."""

from dataclasses import dataclass

from chat_service.open_files import connections_within, open_files_limit
from chat_service.option_group import OptionGroup, is_text
from chat_service.transports.socketio.engine.admissions import ConnectionLimits

#: In the order of the fields of ``ConnectionLimits``.
CONNECTION_LIMITS = (
    "max_connections",
    "max_connections_per_address",
    "max_pending_connections",
    "max_pending_connections_per_address",
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StreamOptions(OptionGroup):
    """Options of a stream transport. An invalid value raises ``ConfigurationError``."""

    #: Maximum size in bytes of an incoming frame or line. A longer one ends the connection.
    max_message_size: int = 1_000_000
    #: Maximum number of values in an incoming frame or line: elements of arrays and members of objects.
    max_message_values: int = 25_000
    #: Maximum number of bytes of events that wait for a client; beyond it the client is disconnected.
    #: Answers do not count.
    send_buffer_limit: int = 1024 * 1024
    #: Maximum time in seconds for a client to read some of its backlog.
    drain_timeout: float = 20.0
    #: Maximum number of commands of one client that are handled at a time; beyond it, reading from the client
    #: stops.
    max_waiting_commands: int = 1000
    #: Maximum number of frames or lines of one client that are handled before other clients have their turn.
    max_commands_per_turn: int = 100
    #: Maximum time in seconds for a client to log in, or to send its first command.
    connect_timeout: float = 45.0
    #: Maximum number of connections of this transport. None: as many as the limit of open files allows.
    max_connections: int | None = None
    #: Maximum number of connections from one address (of IPv6: from one /64). None: no limit.
    max_connections_per_address: int | None = None
    #: Maximum number of connections whose login is not complete. None: no limit.
    max_pending_connections: int | None = 5_000
    #: Maximum number of such connections from one address. None: no limit.
    max_pending_connections_per_address: int | None = None

    def check_shared(self) -> None:
        """Check the options of this class. Raises ``ConfigurationError``."""
        self.check_seconds("drain_timeout", "connect_timeout")
        self.check_count("a number of bytes", "max_message_size", "send_buffer_limit")
        self.check_count("a number", "max_message_values", "max_waiting_commands", "max_commands_per_turn")
        for name in CONNECTION_LIMITS:
            if getattr(self, name) is not None:
                self.check_count("None or a number", name)

    def check_port(self, name: str, *, is_optional: bool) -> None:
        """Check an option that is a TCP port."""
        value = getattr(self, name)
        is_port = type(value) is int and 0 <= value <= 65535
        is_good = is_port or (is_optional and value is None)
        self.check(name, is_good, "a port, 0 to 65535" + (", or None" if is_optional else ""))

    def check_text(self, *names: str) -> None:
        """Check options that are None or non-empty texts."""
        for name in names:
            value = getattr(self, name)
            self.check(name, value is None or is_text(value), "a text or None")

    @property
    def connection_limits(self) -> ConnectionLimits:
        """The limits of connections, within the limit of open files."""
        limits = ConnectionLimits(*(getattr(self, name) for name in CONNECTION_LIMITS))
        possible = connections_within(open_files_limit())
        if possible is None or (limits.connections is not None and limits.connections <= possible):
            return limits
        return limits._replace(connections=possible)
