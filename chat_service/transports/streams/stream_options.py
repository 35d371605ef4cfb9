"""Options shared by the transports of plain WebSockets and lines."""

from dataclasses import dataclass

from chat_service.option_group import is_text
from chat_service.transports.network.connection_options import ConnectionOptions


@dataclass(frozen=True, kw_only=True, repr=False)
class StreamOptions(ConnectionOptions):
    """Options of a stream transport. The slots are in its subclasses."""

    __slots__ = ()

    #: Maximum time in seconds for a client to read some of its backlog.
    drain_timeout: float = 20.0
    #: Maximum number of commands of one client that are handled at a time; beyond it, reading from the client
    #: stops.
    max_waiting_commands: int = 1000
    #: Maximum number of frames or lines of one client that are handled before other clients have their turn.
    max_commands_per_turn: int = 100

    def check_shared(self) -> None:
        """Check the options of this class and of connections. Raises ``ConfigurationError``."""
        self.check_connections()
        self.check_seconds("drain_timeout")
        self.check_count("a number", "max_waiting_commands", "max_commands_per_turn")

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
