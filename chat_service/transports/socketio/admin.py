"""The server side of the Socket.IO Admin UI: reports figures of this server to clients with the password.

The library's own instrumentation, ``server.instrument()``, patches its classes, which affects all servers
of the process and every packet. This module only reads counters, in the UI's mode "production".
"""

import asyncio
import hmac
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from socketio.exceptions import ConnectionRefusedError as Refused

from chat_service.concurrency.running import Background, end
from chat_service.contracts.transport import TransportStatistics
from chat_service.errors import shorten
from chat_service.guesses import Failures
from chat_service.transports.borrowed import forget_namespace

logger = logging.getLogger("chat_service")

NAMESPACE = "/admin"
#: Wrong passwords that one address may send in a minute.
MAX_FAILURES = 5
#: Seconds between two reports.
INTERVAL = 2.0
#: Features that the UI offers: none that change anything.
FEATURES = ["AGGREGATED_EVENTS"]


class AdminUI:
    """Reports to the admin clients of one server. ``login``: user name and password."""

    def __init__(
        self,
        server: Any,
        login: Mapping[str, str],
        namespaces: tuple[str, ...],
        statistics: Callable[[], TransportStatistics],
        background: Background,
    ) -> None:
        self._server = server
        self._login = dict(login)
        self._namespaces = namespaces
        self._statistics = statistics
        self._server_id = f"{socket.gethostname()}#{os.getpid()}"
        self._background = background
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = Failures(MAX_FAILURES)

    def _is_admin(self, auth: Any) -> bool:
        if not isinstance(auth, dict):
            return False
        # Compare all fields, so that the time does not reveal which one is wrong.
        fits = [
            hmac.compare_digest(str(auth.get(name)).encode("utf-8", "replace"), value.encode())
            for name, value in self._login.items()
        ]
        return all(fits)

    def start(self) -> None:
        """Start to report."""
        self._server.on("connect", self._connect, namespace=NAMESPACE)
        self._add(self._background.keep("admin UI", self._report))

    def _add(self, task: "asyncio.Task[None]") -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop the reports. Idempotent."""
        await end(*self._tasks)
        forget_namespace(self._server, NAMESPACE)

    async def _connect(self, sid: str, environ: Mapping[str, Any], auth: Any) -> None:
        address, now = self._address(sid), time.monotonic()
        if self._failures.left(address, now):
            # The password is not compared, so an attacker cannot learn that a guess is correct.
            raise Refused("too many wrong passwords: try again in a minute")
        if not self._is_admin(auth):
            count, _ = self._failures.note(address, now)
            logger.warning("admin UI: wrong login %s of address %s", count, shorten(address))
            if count == MAX_FAILURES:
                logger.warning("admin UI: address %s is refused for a minute", shorten(address))
            raise Refused("authentication failed")
        self._failures.forget(address)
        self._add(self._background.once("admin UI", partial(self._configure, sid)))

    def _address(self, sid: str) -> str:
        """Where a connecting client is."""
        session = self._server.eio.sockets.get(self._server.manager.eio_sid_from_sid(sid, NAMESPACE))
        return (session.opening.remote_addr if session is not None else None) or "unknown"

    async def _configure(self, sid: str) -> None:
        """Send the configuration to the UI, as soon as it knows that it is connected."""
        while not self._server.manager.is_connected(sid, NAMESPACE):
            if self._server.manager.eio_sid_from_sid(sid, NAMESPACE) is None:
                return
            await asyncio.sleep(0)
        await self._server.emit("config", {"supportedFeatures": FEATURES}, to=sid, namespace=NAMESPACE)

    async def _report(self) -> None:
        begun, sent = time.monotonic(), self._statistics().deliveries
        while True:
            await asyncio.sleep(INTERVAL)
            deliveries = self._statistics().deliveries
            packets = {"timestamp": int(time.time()) * 1000, "type": "packetsOut", "count": deliveries - sent}
            sessions = list(self._server.eio.sockets.values())
            members = self._server.manager.get_participants
            report = {
                "serverId": self._server_id,
                "hostname": socket.gethostname(),
                "pid": os.getpid(),
                "uptime": time.monotonic() - begun,
                "clientsCount": len(sessions),
                "pollingClientsCount": sum(not session.upgraded for session in sessions),
                "aggregatedEvents": [packets] if deliveries > sent else [],
                "namespaces": [
                    {"name": name, "socketsCount": sum(1 for _ in members(name, None))}
                    for name in (*self._namespaces, NAMESPACE)
                ],
            }
            sent = deliveries
            await self._server.emit("server_stats", report, namespace=NAMESPACE)
