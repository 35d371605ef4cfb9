"""A bare Socket.IO client: no reconnects and no queues that a test does not see."""

import asyncio
import contextlib
import itertools
import json
from typing import Any

from tests.chaos.instances import InstanceProcess
from tests.chaos.record import Opened, Record
from tests.chaos.tracking import SocketTracker
from tests.chaos.wires import WIRES, Wire, WireLost

NAMESPACE = "/chat-service"
#: Seconds that a connect and its login may take.
LOGIN_IN = 10.0
#: Seconds without a sign of life, the server's pings included, after which a connection is given up.
SILENCE = 8.0


class ConnectFailed(Exception):
    """No login: the instance is gone, is not there yet, or cannot reach its store."""


class Connection:
    """One logged-in socket. Everything that happens on it goes to the record.

    ``carrier``: one of ``WIRES``.
    """

    def __init__(
        self, record: Record, user: str, instance: InstanceProcess, carrier: str = "websocket"
    ) -> None:
        self.record = record
        self.user = user
        self.instance = instance
        self._carrier = carrier
        self.socket = ""
        self.tracker = SocketTracker("", user)
        self._wire: Wire | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ids = itertools.count(1)
        self._waiting: dict[int, tuple[int, asyncio.Future[str | None]]] = {}
        #: Results and extra values by the number of the call.
        self._results: dict[int, tuple[Any, list[Any]]] = {}
        #: The last message that came of each room.
        self.newest: dict[str, int] = {}
        self.is_open = False

    async def open(self) -> None:
        """Connect and log in. Raises ``ConnectFailed``."""
        try:
            async with asyncio.timeout(LOGIN_IN):
                self._wire = await WIRES[self._carrier](self.instance.port, f"userName={self.user}")
                await self._log_in(self._wire)
        except (WireLost, TimeoutError, ConnectFailed) as error:
            await self._hang_up()
            raise ConnectFailed(repr(error)) from None
        except asyncio.CancelledError:
            await self._hang_up()
            raise
        self.is_open = True
        self.tracker = SocketTracker(self.socket, self.user)
        self.tracker.feed(self._opened())
        self._reading = asyncio.create_task(self._read(self._wire), name=f"client {self.user}")

    def _opened(self) -> Opened:
        return self.record.opened(self.socket, self.user, self.instance.number, self.instance.version)

    async def _log_in(self, wire: Wire) -> None:
        await wire.send(f"40{NAMESPACE},")
        while True:
            packet = await wire.receive()
            if packet == "2":
                await wire.send("3")
            elif packet.startswith("42"):
                event, *args = json.loads(packet.partition(",")[2])
                if event == "loginConfirmed":
                    self.socket = args[1]["id"]
                    return
                if event == "loginRejected":
                    raise ConnectFailed(f"{event} {args}")
                # What the user's other sockets do meanwhile may be told already; nobody may count on it.
            elif packet.startswith(("41", "44", "1")):
                raise ConnectFailed(packet)

    async def _hang_up(self) -> None:
        if self._wire is not None:
            await self._wire.abort()

    async def _read(self, wire: Wire) -> None:
        try:
            while True:
                async with asyncio.timeout(SILENCE):
                    packet = await wire.receive()
                if not await self._take(wire, packet):
                    return
        except (TimeoutError, WireLost):
            return
        finally:
            self._end()

    async def _take(self, wire: Wire, packet: str) -> bool:
        """False when it is the end of the connection."""
        if packet == "2":
            await wire.send("3")
        elif packet.startswith("42"):
            event, *args = json.loads(packet.partition(",")[2])
            self.tracker.feed(self.record.received(self.socket, event, *args))
            if event == "roomMessage":
                self.newest[args[0]] = args[1]["id"]
        elif packet.startswith("43"):
            digits, _, values = packet.partition(",")[2].partition("[")
            error, *results = json.loads("[" + values)
            self._answer(int(digits), error["code"] if error else None, results)
        return not packet.startswith(("41", "1"))

    def _answer(self, packet_id: int, error: str | None, results: list[Any]) -> None:
        call, waiting = self._waiting.pop(packet_id)
        result, *extra = results or [None]
        self._results[call] = result, extra
        self.tracker.feed(self.record.acked(self.socket, call, error, result, extra))
        if not waiting.done():
            waiting.set_result(error)

    def _end(self, *, by_client: bool = False) -> None:
        if not self.is_open:
            return
        self.is_open = False
        self.tracker.feed(self.record.closed(self.socket, by_client=by_client))
        for _, waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result("lost")

    async def call(self, command: str, *args: Any) -> tuple[str | None, Any]:
        """Send a command. Returns the error ("lost": no connection; None on success) and the result."""
        error, result, _ = await self.call_with_options(command, *args)
        return error, result

    async def call_with_options(self, command: str, *args: Any) -> tuple[str | None, Any, list[Any]]:
        """The same, and the values that options asked for."""
        if not self.is_open or self._wire is None:
            return "lost", None, []
        sent = self.record.sent(self.socket, command, *args)
        self.tracker.feed(sent)
        packet_id = next(self._ids)
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._waiting[packet_id] = (sent.call, answer)
        with contextlib.suppress(WireLost):
            await self._wire.send(f"42{NAMESPACE},{packet_id}{json.dumps([command, *args])}")
        error = await answer
        return error, *self._results.pop(sent.call, (None, []))

    async def close(self) -> None:
        """End the connection without a word."""
        self._end(by_client=True)
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        await self._hang_up()
