"""WebSockets that are not ours to write to: those of ASGI servers, and those with compression.

They are served from the session's queue, as python-engineio does it: a task writes, and the handler of the
request reads.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from engineio import packet
from engineio.exceptions import EngineIOError

from chat_service.transports.socketio.connection import CLOSE_GRACE
from chat_service.transports.socketio.engine_packets import decode_packet
from chat_service.transports.socketio.slow_consumers import size_of

if TYPE_CHECKING:
    from chat_service.transports.socketio.engine import EngineSocket

logger = logging.getLogger("chat_service")

#: Seconds that a change from polling to WebSocket may take.
UPGRADE_GRACE = 10.0


class QueuedWebSocket:
    """The WebSocket of a session, as an object of a driver of python-engineio."""

    def __init__(self, session: "EngineSocket", ws: Any) -> None:
        self._session = session
        self._ws = ws
        #: Bytes of the packet that is being sent.
        self.unsent = 0
        self._writer: asyncio.Task[None] | None = None
        # Ends the handling of the WebSocket when it is over: an upgrade, or reading.
        self._limit: asyncio.Timeout | None = None

    async def serve(self) -> None:
        """Returns when the WebSocket and its session are closed."""
        session = self._session
        if not session.connected:
            session.connected = session.upgraded = True
        elif not await self._upgrade():
            await self._ws.close()
            return
        session.queued = self
        self._writer = asyncio.create_task(self._write())
        self._writer.add_done_callback(lambda _: self._limit_handling(CLOSE_GRACE))
        try:
            async with asyncio.timeout(None) as self._limit:
                while True:
                    await session.wait_released()
                    await session.receive(self._decode(await self._ws.wait()))
        except (OSError, ValueError, EngineIOError) as error:
            # OSError: the client has gone. Else: it sent what cannot be.
            logger.debug("websocket %s ends: %s", session.sid, type(error).__name__)
        finally:
            self._limit = None
            await session.close(abort=True, reason=session.server.reason.TRANSPORT_CLOSE)
            await self.wait_closed()

    def _limit_handling(self, seconds: float) -> None:
        """End what handles the WebSocket in so many seconds, unless it ends before."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + seconds)

    async def _upgrade(self) -> bool:
        """Move a polling session to the WebSocket: probe, let the poll end, wait for the client's word."""
        session, ws = self._session, self._ws
        if session.upgrading or session.upgraded or session.closing:
            return False
        session.upgrading = True
        session.end_upgrade = lambda: self._limit_handling(0)
        try:
            async with asyncio.timeout(UPGRADE_GRACE) as self._limit:
                probe = self._decode(await ws.wait())
                if probe.packet_type != packet.PING or probe.data != "probe":
                    return False
                await ws.send(packet.Packet(packet.PONG, data="probe").encode())
                session.queue.put_nowait(packet.Packet(packet.NOOP))
                upgrade = self._decode(await ws.wait())
                session.upgraded = upgrade.packet_type == packet.UPGRADE and not session.closing
        except (OSError, ValueError) as error:
            logger.debug("upgrade of %s failed: %s", session.sid, type(error).__name__)
        finally:
            session.upgrading = False
            session.end_upgrade = None
            self._limit = None
        return session.upgraded

    def _decode(self, data: Any) -> packet.Packet:
        return decode_packet(data, self._session.server.max_http_buffer_size)

    async def _write(self) -> None:
        """Send what is queued until None comes, then close the WebSocket."""
        queue, ws = self._session.queue, self._ws
        try:
            while (pkt := await queue.get()) is not None:
                self.unsent = size_of(pkt)
                await ws.send(pkt.encode())
                self.unsent = 0
                self._session.fetched()
            await ws.close()
        except Exception as error:
            logger.debug("websocket %s cannot be written: %r", self._session.sid, error)
        except asyncio.CancelledError:
            abort = getattr(ws, "abort", None)
            if abort is not None:
                abort()
            raise

    def close_soon(self) -> None:
        """The queue ends with None: a client that does not read cannot hold up the end."""
        if self._writer is not None and not self._writer.done():
            timer = asyncio.get_running_loop().call_later(CLOSE_GRACE, self._writer.cancel)
            self._writer.add_done_callback(lambda _: timer.cancel())

    async def wait_closed(self) -> None:
        """Return when the WebSocket is closed."""
        if self._writer is not None:
            await asyncio.wait([self._writer])
