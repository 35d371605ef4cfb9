"""What the Socket.IO Admin UI connects to: numbers of this server, for whoever has the password.

The library's own instrumentation puts itself into its classes, for all servers of the process and below every
packet. Here it only answers the UI, in its mode "production", and reads counters for it.
"""

import asyncio
import hmac
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from socketio.async_admin import InstrumentedAsyncServer

from chat_service.concurrency.background import Background, end
from chat_service.contracts.transport import TransportStatistics

NAMESPACE = "/admin"
#: Seconds between two reports.
INTERVAL = 2.0


class AdminUI(InstrumentedAsyncServer):  # type: ignore[misc]
    """Reports to the admin clients of one server. ``login``: user name and password."""

    def __init__(
        self,
        server: Any,
        login: Mapping[str, str],
        namespaces: tuple[str, ...],
        statistics: Callable[[], TransportStatistics],
        background: Background,
    ) -> None:
        self._login = dict(login)
        self._namespaces = namespaces
        self._statistics = statistics
        self._background = background
        self._reporting: asyncio.Task[None] | None = None
        super().__init__(
            server,
            auth=self._is_admin,
            namespace=NAMESPACE,
            read_only=True,
            server_id=f"{socket.gethostname()}#{os.getpid()}",
            mode="production",
        )

    def instrument(self) -> None:
        """Called by the constructor of the library's class, whose own method patches classes."""
        self.sio.on("connect", self.admin_connect, namespace=NAMESPACE)

    def _is_admin(self, auth: Any) -> bool:
        if not isinstance(auth, dict):
            return False
        # All fields are compared, so that the time tells nothing.
        fits = [
            hmac.compare_digest(str(auth.get(name)).encode("utf-8", "replace"), value.encode())
            for name, value in self._login.items()
        ]
        return all(fits)

    def start(self) -> None:
        """Begin to report."""
        self._reporting = self._background.keep("admin UI", self._report)

    async def close(self) -> None:
        """End the reports. Idempotent."""
        reporting, self._reporting = self._reporting, None
        if reporting is not None:
            await end(reporting)
            self.sio.handlers.pop(NAMESPACE, None)

    async def _report(self) -> None:
        begun, sent = time.monotonic(), self._statistics().deliveries
        while True:
            await asyncio.sleep(INTERVAL)
            deliveries = self._statistics().deliveries
            if deliveries > sent:
                self.event_buffer.push("packetsOut", deliveries - sent)
            sent = deliveries
            sessions = list(self.sio.eio.sockets.values())
            report = {
                "serverId": self.server_id,
                "hostname": socket.gethostname(),
                "pid": os.getpid(),
                "uptime": time.monotonic() - begun,
                "clientsCount": len(sessions),
                "pollingClientsCount": sum(not session.upgraded for session in sessions),
                "aggregatedEvents": self.event_buffer.get_and_clear(),
                "namespaces": [
                    {"name": name, "socketsCount": len(self.sio.manager.rooms.get(name, {}).get(None, ()))}
                    for name in (*self._namespaces, NAMESPACE)
                ],
            }
            await self.sio.emit("server_stats", report, namespace=NAMESPACE)
