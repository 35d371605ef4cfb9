"""All clients of one engine: admits, pings and closes them."""

import asyncio
import base64
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from chat_service.concurrency.deadlines import Deadlines
from chat_service.transports.network.admissions import Admissions
from chat_service.transports.network.gate import Gate, Refusal, TooManyConnections, bad_request
from chat_service.transports.network.lines import SERVER_DISCONNECT, Line, Outbox
from chat_service.transports.network.opening import HeadLimits, Opening
from chat_service.transports.network.origins import AllowedHosts, AllowedOrigins
from chat_service.transports.network.proxies import TrustedProxies
from chat_service.transports.socketio.engine.peer import Peer
from chat_service.transports.socketio.engine.session import OPEN

logger = logging.getLogger("chat_service")

#: Called with a new peer.
OnConnect = Callable[[Peer], Awaitable[None]]
OnMessage = Callable[[Peer, str | bytes], Awaitable[None]]
OnEnd = Callable[[Peer, str], Coroutine[Any, Any, None]]


def unknown_transport() -> Refusal:
    return Refusal(400, "Transport unknown", 0)


def unknown_session() -> Refusal:
    return Refusal(400, "Session ID unknown", 1)


def bad_method() -> Refusal:
    return Refusal(400, "Bad handshake method", 2)


class Hub(Gate):
    """The peers of a server. ``use`` registers the handlers."""

    def __init__(
        self,
        *,
        origins: AllowedOrigins,
        hosts: AllowedHosts,
        limits: HeadLimits,
        transports: tuple[str, ...],
        ping_interval: float,
        ping_timeout: float,
        max_message_size: int,
        send_buffer_limit: int,
        max_waiting: int,
        per_turn: int,
        body_timeout: float,
        connect_timeout: float,
        compression: bool,
        admissions: Admissions,
        proxies: TrustedProxies | None,
    ) -> None:
        super().__init__(origins=origins, hosts=hosts, limits=limits, proxies=proxies)
        #: The limits of connections.
        self.admissions = admissions
        self.transports = transports
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.max_message_size = max_message_size
        self.send_buffer_limit = send_buffer_limit
        self.max_waiting = max_waiting
        #: Maximum number of packets of one client handled in one turn of the loop.
        self.per_turn = per_turn
        #: Maximum time in seconds for a request's body to arrive.
        self.body_timeout = body_timeout
        self.compression = compression
        #: Whether new sessions are accepted.
        self.is_open = False
        #: The open sessions by their ids.
        self.sockets: dict[str, Peer] = {}
        self.outbox = Outbox(send_buffer_limit)
        #: Number of sessions closed because their clients did not read.
        self.slow_consumers = 0
        self._on_connect: OnConnect = _nobody
        self.on_message: OnMessage = _nobody
        self.on_end: OnEnd = _nobody
        #: Whether a namespace uses a session.
        self.is_used: Callable[[str], bool] = lambda sid: True
        #: Sessions to ping, sessions that have to answer a ping, and sessions that have not joined a
        #: namespace yet.
        self.pings: Deadlines[Peer] = Deadlines(ping_interval, lambda peer: peer.ping())
        self.silent: Deadlines[Peer] = Deadlines(
            ping_interval + ping_timeout, lambda peer: peer.check(), is_exact=True
        )
        self.unused: Deadlines[Peer] = Deadlines(connect_timeout, self._end_unused)
        #: Sessions whose clients have to read some of their backlog.
        self.stalled: Deadlines[Peer] = Deadlines(ping_timeout, lambda peer: peer.look_at_stalled())
        self._settings = json.dumps(
            {
                "pingInterval": int(ping_interval * 1000),
                "pingTimeout": int(ping_timeout * 1000),
                "maxPayload": max_message_size,
            },
            separators=(",", ":"),
        )[1:]

    def use(self, on_connect: OnConnect, on_message: OnMessage, on_end: OnEnd) -> None:
        """Register the handlers of new sessions, their messages and their ends."""
        self._on_connect, self.on_message, self.on_end = on_connect, on_message, on_end

    # Admission

    def check(self, opening: Opening) -> Peer | None:
        """The session that a request belongs to, None for a new one. Raises ``Refusal``."""
        self.check_head(opening)
        self.check_host(opening)
        self.check_origin(opening)
        query = opening.query
        if query.get("transport") not in self.transports:
            raise unknown_transport()
        if "j" in query:
            raise bad_request("JSONP is not supported")
        sid = query.get("sid")
        if sid is not None:
            peer = self.sockets.get(sid)
            if peer is None:
                raise unknown_session()
            return peer
        if query.get("EIO") != "4":
            raise Refusal(400, "Unsupported protocol version", 5)
        if opening.method != "GET":
            raise bad_method()
        if not self.is_open:
            raise Refusal(503, "closed")
        reason = self.admissions.refusal(opening.remote_addr)
        if reason is not None:
            raise TooManyConnections(reason)
        return None

    # Sessions

    def generate_id(self) -> str:
        """A new, unguessable id."""
        return base64.urlsafe_b64encode(secrets.token_bytes(15)).decode()

    def _opening_packet(self, sid: str, *, is_websocket: bool) -> str:
        """The first packet of a session."""
        upgrades = "[]" if is_websocket or "websocket" not in self.transports else '["websocket"]'
        return f'{OPEN}{{"sid":"{sid}","upgrades":{upgrades},{self._settings}'

    async def open(self, opening: Opening, line: Line | None = None) -> Peer:
        """Begin a session with polling or a WebSocket."""
        sid = self.generate_id()
        first = self._opening_packet(sid, is_websocket=line is not None)
        if line is not None:
            line.begin(first)
        peer = self.sockets[sid] = Peer(self, sid, opening, line)
        self.admissions.enter(peer, opening.remote_addr)
        if line is None:
            peer.send(first)
        await self._on_connect(peer)
        if not peer.closed:
            self.watch(peer)
            self.unused.add(peer)
        peer.release()
        return peer

    def join(self, peer: Peer | None, opening: Opening, line: Line) -> Coroutine[Any, Any, Peer] | None:
        """A WebSocket was opened, for ``peer`` or for a new session, which is returned."""
        if peer is None:
            return self.open(opening, line)
        line.begin(None)
        peer.ask(line)
        return None

    def watch(self, peer: Peer) -> None:
        """Part of ``Owner``."""
        self.pings.add(peer)
        self.silent.add(peer)

    def forget(self, peer: Peer) -> None:
        """Part of ``Owner``."""
        self.sockets.pop(peer.sid, None)
        self.admissions.leave(peer)
        for deadlines in (self.pings, self.silent, self.unused, self.stalled):
            deadlines.discard(peer)

    def left_namespaces(self, peer: Peer) -> None:
        """A session has left its last namespace. It must join one again in time, or it is closed."""
        self.unused.add(peer)
        self.admissions.pend(peer, peer.opening.remote_addr)

    def found_slow(self, sid: str, unsent: int) -> None:
        """Part of ``Owner``."""
        self.slow_consumers += 1
        logger.warning("closing connection %s as a slow consumer: %s bytes are unsent", sid, unsent)

    def _end_unused(self, peer: Peer) -> None:
        if not self.is_used(peer.sid):
            peer.end(SERVER_DISCONNECT)

    # Closing

    async def close(self, *, lets_fetch: bool) -> None:
        """Close all sessions and refuse new ones. ``lets_fetch``: whether polls still arrive."""
        self.is_open = False
        await asyncio.gather(*(self._close(peer, lets_fetch) for peer in tuple(self.sockets.values())))
        for deadlines in (self.pings, self.silent, self.unused, self.stalled):
            deadlines.close()

    async def _close(self, peer: Peer, lets_fetch: bool) -> None:
        if lets_fetch and peer.polls is not None:
            await peer.polls.wait_fetched()
        await peer.close()
        await peer.wait_closed()


async def _nobody(*_: object) -> None:
    """The default for callbacks that are not set."""
