"""A bare Socket.IO client over a WebSocket: no reconnects and no queues that a test does not see."""

import asyncio
import contextlib
import itertools
import json
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.chaos.record import Record
from tests.chaos.tracking import SocketTracker

NAMESPACE = "/chat-service"
#: Seconds that a connect and its login may take.
LOGIN_IN = 10.0
#: Seconds without a sign of life, the server's pings included, after which a connection is given up.
SILENCE = 8.0


class ConnectFailed(Exception):
    """No login: the instance is gone, is not there yet, or cannot reach its store."""


class Connection:
    """One logged-in socket. Everything that happens on it goes to the record."""

    def __init__(self, record: Record, user: str, port: int) -> None:
        self.record = record
        self.user = user
        self.port = port
        self.socket = ""
        self.tracker = SocketTracker("", user)
        self._ws: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[int, asyncio.Future[str | None]]] = {}
        #: Answers by the number of the call.
        self.results: dict[int, Any] = {}
        self.is_open = False

    async def open(self) -> None:
        """Connect and log in. Raises ``ConnectFailed``."""
        url = f"ws://127.0.0.1:{self.port}/socket.io/?EIO=4&transport=websocket&userName={self.user}"
        try:
            async with asyncio.timeout(LOGIN_IN):
                self._ws = await connect(
                    url, max_size=None, ping_interval=None, close_timeout=0.5, proxy=None
                )
                await self._log_in(self._ws)
        except (OSError, TimeoutError, websockets.WebSocketException, ConnectFailed) as error:
            await self._hang_up()
            raise ConnectFailed(repr(error)) from None
        except asyncio.CancelledError:
            await self._hang_up()
            raise
        self.is_open = True
        self.tracker = SocketTracker(self.socket, self.user)
        self.tracker.feed(self.record.opened(self.socket, self.user))
        self._reading = asyncio.create_task(self._read(self._ws), name=f"client {self.user}")

    async def _log_in(self, ws: ClientConnection) -> None:
        await ws.send(f"40{NAMESPACE},")
        while True:
            message = str(await ws.recv())
            if message == "2":
                await ws.send("3")
            elif message.startswith("42"):
                event, *args = json.loads(message.partition(",")[2])
                if event == "loginConfirmed":
                    self.socket = args[1]["id"]
                    return
                raise ConnectFailed(f"{event} {args}")
            elif message.startswith(("41", "44", "1")):
                raise ConnectFailed(message)

    async def _hang_up(self) -> None:
        if self._ws is not None:
            # Not a polite close: what the peer does must not hold the run up.
            self._ws.transport.abort()
            with contextlib.suppress(Exception):
                await self._ws.wait_closed()

    async def _read(self, ws: ClientConnection) -> None:
        try:
            while True:
                async with asyncio.timeout(SILENCE):
                    message = str(await ws.recv())
                if not await self._take(ws, message):
                    return
        except (TimeoutError, OSError, websockets.WebSocketException):
            return
        finally:
            self._end()

    async def _take(self, ws: ClientConnection, message: str) -> bool:
        """False when it is the end of the connection."""
        if message == "2":
            await ws.send("3")
        elif message.startswith("42"):
            event, *args = json.loads(message.partition(",")[2])
            self.tracker.feed(self.record.received(self.socket, event, *args))
        elif message.startswith("43"):
            digits, _, values = message.partition(",")[2].partition("[")
            error, *results = json.loads("[" + values)
            self._answer(int(digits), error["code"] if error else None, results[0] if results else None)
        return not message.startswith(("41", "1"))

    def _answer(self, packet_id: int, error: str | None, result: Any) -> None:
        call, waiting = self._waiting.pop(packet_id)
        self.results[call] = result
        self.tracker.feed(self.record.acked(self.socket, call, error, result))
        if not waiting.done():
            waiting.set_result(error)

    def _end(self) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self.tracker.feed(self.record.closed(self.socket))
        for _, waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result("lost")

    async def call(self, command: str, *args: Any) -> tuple[str | None, Any]:
        """Send a command. Returns the error ("lost": no connection; None on success) and the result."""
        if not self.is_open or self._ws is None:
            return "lost", None
        sent = self.record.sent(self.socket, command, *args)
        self.tracker.feed(sent)
        packet_id = next(self._ids)
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting[packet_id] = (sent.call, answer)
        with contextlib.suppress(OSError, websockets.WebSocketException):
            await self._ws.send(f"42{NAMESPACE},{packet_id}{json.dumps([command, *args])}")
        error = await answer
        return error, self.results.pop(sent.call, None)

    async def close(self) -> None:
        """End the connection without a word."""
        self._end()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        await self._hang_up()
