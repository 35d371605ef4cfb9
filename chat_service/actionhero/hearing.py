"""Waiting until what was sent to a room has arrived on this instance."""

import asyncio
import sys
from contextlib import suppress

from chat_service.contracts.bus import Notify, RoomEvent
from chat_service.domain.context import Context
from chat_service.types import RoomName


class Hearing:
    """Waits for messages of one room to arrive on this instance. A ``Tap``."""

    def __init__(self, context: Context, room: RoomName) -> None:
        self._context = context
        self.room = room
        self._is_open = False
        self._last = 0
        self._changed = asyncio.Event()

    async def listen(self) -> None:
        """Hear whatever is sent from now on."""
        if not self._is_open:
            self._is_open = True
            await self._context.delivery.taps.open(self.room, self)

    async def wait_for(self, message_id: int) -> None:
        """Return when the message has arrived, or after ``bus_ack_timeout``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._context.options.bus_ack_timeout):
                while self._last < message_id:
                    await self._changed.wait()
                    self._changed.clear()

    async def close(self) -> None:
        """Stop listening."""
        if self._is_open:
            await self._context.delivery.taps.close(self.room, self)

    def hear(self, event: RoomEvent | Notify) -> None:
        """Part of ``Tap``."""
        if isinstance(event, RoomEvent):
            self._last = max(self._last, event.last_message_id)
            self._changed.set()

    def interrupt(self) -> None:
        """Part of ``Tap``."""
        self._last = sys.maxsize
        self._changed.set()
