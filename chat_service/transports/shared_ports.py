"""Lets the transports of one service share a port, and the connections that one process can have."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from chat_service.contracts.transport import Transport
from chat_service.errors import ConfigurationError
from chat_service.open_files import connections_within, open_files_limit
from chat_service.transports.network.admissions import Admissions
from chat_service.transports.socketio import SocketIOTransport
from chat_service.transports.streams import WebSocketTransport


@runtime_checkable
class Admits(Protocol):
    """A transport that limits its connections."""

    @property
    def admissions(self) -> Admissions:
        """The current connections."""
        ...


def share_port(members: Sequence[Transport], host: str | None, port: int) -> None:
    """Serve WebSockets that have no port of their own on that of Socket.IO, or else on this one.

    Raises ``ConfigurationError``.
    """
    main = next((member for member in members if isinstance(member, SocketIOTransport)), None)
    guests = [each for each in members if isinstance(each, WebSocketTransport) and each.needs_port]
    for guest in guests:
        if main is not None:
            main.add_door(guest)
            guest.is_guest = True
        elif len(guests) == 1:
            guest.listen_at(host=host, port=port)
        else:
            raise ConfigurationError("several WebSocket transports: give each a port")


def share_connections(members: Sequence[Transport]) -> None:
    """Limit the connections of all transports together to what the open files allow."""
    possible = connections_within(open_files_limit())
    counted = [member.admissions for member in members if isinstance(member, Admits)]
    if possible is not None and len(counted) > 1:
        for admissions in counted:
            admissions.share(lambda: sum(map(len, counted)), possible)
