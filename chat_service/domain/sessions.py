"""The sockets of this instance: their users, and the rooms that they have joined."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from chat_service.concurrency.time_limit import TimeLimit
from chat_service.contracts.bus import RoomCursor
from chat_service.domain.pace import Pace
from chat_service.types import InstanceId, RoomName, SocketId, UserName


class LoginState(Enum):
    """The state of a socket. It never goes back."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CLOSED = "closed"


@dataclass(slots=True, eq=False)
class Session:
    """One socket of this instance."""

    socket_id: SocketId
    state: LoginState = LoginState.PENDING
    #: The user, set before the socket is stored.
    user: UserName | None = None
    #: Expiry time of the login in seconds of Unix time; None if it does not expire.
    expires_at: float | None = None
    #: Whether the login asked for the user to be deleted with the last socket.
    is_ephemeral: bool = False
    #: Whether the store knows, or may know, of the socket.
    is_stored: bool = False
    #: The id under which this instance registered the socket in the store.
    instance_id: InstanceId | None = None
    #: Rooms that the socket is joined to, or joining (None), with the position of the join.
    rooms: dict[RoomName, RoomCursor | None] = field(default_factory=dict)
    #: Rooms whose loss the client has been told of, while the rest of the leave is running.
    told: set[RoomName] = field(default_factory=set)
    #: The socket is gone, and the store could not record that it has left a room.
    is_left_over: bool = False
    #: Handlers of custom events.
    handlers: dict[str, Callable[..., Any]] = field(default_factory=dict)
    #: Commands that came before the end of the login and wait for it, in order.
    early: deque[asyncio.Future[None]] = field(default_factory=deque)
    #: Number of early commands that were refused because too many waited.
    early_refused: int = 0
    #: The time limit of the ``on_connect`` hook while it runs.
    login_limit: TimeLimit | None = None
    #: How fast it sends; shared by the sockets of a user.
    pace: Pace = field(default_factory=Pace)
    #: Number of running commands and custom events.
    in_flight: int = 0

    @property
    def is_closed(self) -> bool:
        return self.state is LoginState.CLOSED

    def end_login(self, state: LoginState) -> None:
        """The login is complete: waiting commands continue in order."""
        self.state = state
        for waiting in self.early:
            if not waiting.done():
                waiting.set_result(None)

    async def wait_for_login(self) -> None:
        """Wait until the login is complete and all earlier commands have continued."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        if self.state is not LoginState.PENDING:
            # Earlier ones are about to be woken; this one is woken after them.
            loop.call_soon(_set, turn)
        self.early.append(turn)
        try:
            await turn
        finally:
            self.early.remove(turn)


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class Sessions:
    """All sessions of this instance, by socket and by user."""

    def __init__(self) -> None:
        self._by_socket: dict[SocketId, Session] = {}
        self._by_user: dict[UserName, dict[SocketId, Session]] = {}
        #: The session of a socket of this instance, or None.
        self.get: Callable[[SocketId], Session | None] = self._by_socket.get

    def __len__(self) -> int:
        return len(self._by_socket)

    @property
    def user_count(self) -> int:
        """The number of users with a socket here."""
        return len(self._by_user)

    def add(self, socket_id: SocketId) -> Session:
        session = self._by_socket[socket_id] = Session(socket_id)
        return session

    def name_user(self, session: Session, user: UserName) -> None:
        """Set the user of a socket."""
        session.user = user
        sockets = self._by_user.setdefault(user, {})
        if sockets:
            session.pace = next(iter(sockets.values())).pace
        sockets[session.socket_id] = session

    def remove(self, session: Session) -> None:
        self._by_socket.pop(session.socket_id, None)
        if session.user is not None:
            sockets = self._by_user.get(session.user, {})
            sockets.pop(session.socket_id, None)
            if not sockets:
                self._by_user.pop(session.user, None)

    def users(self) -> list[UserName]:
        """The users with a socket here."""
        return list(self._by_user)

    def of_user(self, user: UserName) -> list[Session]:
        return list(self._by_user.get(user, {}).values())

    def all(self) -> list[Session]:
        return list(self._by_socket.values())
