"""Several transports of one service, as one ``Transport``.

A socket belongs to the transport that has announced it: one dictionary lookup finds it. A broadcast goes to
all transports, each of which encodes it once if it has sockets in the channel.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from socket import socket
from typing import Any, Protocol, runtime_checkable

from chat_service.contracts.capabilities import (
    CommandFacts,
    HasAddress,
    HistoryDelivery,
    ListensAnywhere,
    MeasuredTransport,
    MountsOnAsgi,
    TakesCommands,
    TakesSites,
    name_of,
)
from chat_service.contracts.transport import (
    Handshake,
    LifeCycleStep,
    Transport,
    TransportHandler,
    TransportStatistics,
)
from chat_service.errors import ConfigurationError
from chat_service.open_files import connections_within, open_files_limit
from chat_service.transports.network.admissions import Admissions
from chat_service.transports.socketio import SocketIOTransport
from chat_service.transports.streams import WebSocketTransport
from chat_service.types import Channel, SocketId


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


#: Figures that are the same on all transports of a process, so that they are not added.
_OF_PROCESS = "accept_failures"


class MemberHandler:
    """Passes the calls of one transport on, and notes whose sockets they concern."""

    def __init__(
        self, owners: dict[SocketId, Transport], member: Transport, handler: TransportHandler
    ) -> None:
        self._owners = owners
        self._member = member
        self._handler = handler
        # Without another call on the hot path.
        self.on_event: Callable[[SocketId, str, Sequence[Any]], Awaitable[Sequence[Any]]] = handler.on_event

    def on_connect(self, socket_id: SocketId) -> Awaitable[None]:
        self._owners[socket_id] = self._member
        return self._handler.on_connect(socket_id)

    async def on_disconnect(self, socket_id: SocketId, reason: str) -> None:
        try:
            await self._handler.on_disconnect(socket_id, reason)
        finally:
            self._owners.pop(socket_id, None)


class TransportGroup:
    """The transports of a service. See ``Transport``."""

    def __init__(self, members: Sequence[Transport]) -> None:
        self.members = tuple(members)
        #: The members whose address is that of the service come first.
        self._main_first = sorted(self.members, key=lambda member: not isinstance(member, ListensAnywhere))
        #: The transport of each socket, until its disconnect is handled.
        self._owners: dict[SocketId, Transport] = {}
        self._deliveries = {id(member): HistoryDelivery.of(member) for member in self.members}

    def __repr__(self) -> str:
        return f"<TransportGroup {' '.join(map(name_of, self.members))} sockets={len(self._owners)}>"

    # Life cycle

    def attach(self, start: LifeCycleStep, close: LifeCycleStep) -> None:
        for member in self.members:
            member.attach(start, close)

    async def start(self, handler: TransportHandler) -> None:
        share_connections(self.members)
        for member in self.members:
            await member.start(MemberHandler(self._owners, member, handler))  # type: ignore[arg-type]

    async def listen(self) -> None:
        for member in self.members:
            await member.listen()

    async def stop_listening(self) -> None:
        await _all(member.stop_listening() for member in self.members)

    async def close(self) -> None:
        await _all(member.close() for member in self.members)

    @property
    def port(self) -> int | None:
        """The port of the Socket.IO transport, or else of the first transport that has one."""
        return next((member.port for member in self._main_first if member.port is not None), None)

    # Capabilities

    @property
    def address(self) -> tuple[str, int] | None:
        """The address of the transport whose port is ``port``."""
        found = (member.address for member in self._main_first if isinstance(member, HasAddress))
        return next((address for address in found if address is not None), None)

    def addresses(self) -> Sequence[tuple[str, str, int]]:
        """The name, the host and the port of each transport that listens."""
        return [
            (name_of(member), *member.address)
            for member in self.members
            if isinstance(member, HasAddress) and member.address is not None
        ]

    def listen_at(self, *, host: str | None, port: int | None, sockets: Sequence[socket]) -> None:
        """Change the address of the first transport whose address can be changed."""
        for member in self.members:
            if isinstance(member, ListensAnywhere):
                member.listen_at(host=host, port=port, sockets=sockets)
                return
        raise ConfigurationError(f"{self!r} does not listen on an address that can be changed")

    def add_site(
        self, path: str, add_routes: Callable[[Any], None], serve: Callable[[Any, Any, Any], Awaitable[Any]]
    ) -> None:
        """Serve a path on the first transport that can."""
        for member in self.members:
            if isinstance(member, TakesSites):
                member.add_site(path, add_routes, serve)
                return
        raise ConfigurationError(f"{self!r} does not serve other paths: {path}")

    def asgi_app(self, other: Any = None) -> Any:
        """The ASGI application of the first transport that has one."""
        for member in self.members:
            if isinstance(member, MountsOnAsgi):
                return member.asgi_app(other)
        raise ConfigurationError(f"{self!r} does not support ASGI")

    def take_commands(self, commands: Callable[[], Mapping[str, CommandFacts]]) -> None:
        """Tell each transport that wants to know."""
        for member in self.members:
            if isinstance(member, TakesCommands):
                member.take_commands(commands)

    def history_delivery(self, socket_id: SocketId) -> HistoryDelivery:
        """How a socket gets histories."""
        owner = self._owners.get(socket_id)
        return HistoryDelivery() if owner is None else self._deliveries[id(owner)]

    def statistics_by_transport(self) -> Mapping[str, TransportStatistics]:
        """The figures of each transport; those of several with one name are added."""
        found: dict[str, TransportStatistics] = {}
        for member in self.members:
            if isinstance(member, MeasuredTransport):
                name, figures = name_of(member), member.statistics()
                found[name] = add(found[name], figures) if name in found else figures
        return found

    def statistics(self) -> TransportStatistics:
        """The figures of all transports together."""
        total = TransportStatistics()
        for figures in self.statistics_by_transport().values():
            total = add(total, figures)
        return total

    # Sockets

    def socket_ids(self) -> Collection[SocketId]:
        return [socket_id for member in self.members for socket_id in member.socket_ids()]

    def is_connected(self, socket_id: SocketId) -> bool:
        owner = self._owners.get(socket_id)
        return owner is not None and owner.is_connected(socket_id)

    def get_handshake(self, socket_id: SocketId) -> Handshake:
        owner = self._owners.get(socket_id)
        return Handshake(is_connected=False) if owner is None else owner.get_handshake(socket_id)

    def get_socket(self, socket_id: SocketId) -> Any:
        owner = self._owners.get(socket_id)
        return None if owner is None else owner.get_socket(socket_id)

    def get_server(self) -> Any:
        """The server of the first transport."""
        return self.members[0].get_server()

    def emit(self, socket_id: SocketId, event: str, args: Sequence[Any]) -> None:
        owner = self._owners.get(socket_id)
        if owner is not None:
            owner.emit(socket_id, event, args)

    def broadcast(
        self, channel: Channel, event: str, args: Sequence[Any], exclude: Collection[SocketId] = ()
    ) -> None:
        for member in self.members:
            member.broadcast(channel, event, args, exclude)

    def join_channel(self, socket_id: SocketId, channel: Channel) -> None:
        owner = self._owners.get(socket_id)
        if owner is not None:
            owner.join_channel(socket_id, channel)

    def leave_channel(self, socket_id: SocketId, channel: Channel) -> None:
        owner = self._owners.get(socket_id)
        if owner is not None:
            owner.leave_channel(socket_id, channel)

    async def disconnect(self, socket_id: SocketId, *, may_return: bool = False) -> None:
        owner = self._owners.get(socket_id)
        if owner is not None:
            await owner.disconnect(socket_id, may_return=may_return)


async def _all(steps: "Collection[Awaitable[None]] | Any") -> None:
    """Run all steps, and raise the first error once they have ended."""
    outcomes = await asyncio.gather(*steps, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def add(one: TransportStatistics, other: TransportStatistics) -> TransportStatistics:
    """The sums of the figures."""
    figures: dict[str, Any] = {}
    for name in TransportStatistics.__slots__:
        first, second = getattr(one, name), getattr(other, name)
        if name == _OF_PROCESS:
            figures[name] = max(first, second)
        elif isinstance(first, Mapping):
            figures[name] = {key: first.get(key, 0) + second.get(key, 0) for key in {**first, **second}}
        else:
            figures[name] = first + second
    return TransportStatistics(**figures)


def _conforms(transport: TransportGroup) -> Transport:
    return transport
