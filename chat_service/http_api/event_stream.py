"""The events of a room as Server-Sent Events that a reader can resume."""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from chat_service.contracts.bus import RoomEvent
from chat_service.contracts.records import SYSTEM, HistoryInfo
from chat_service.errors import ChatServiceError
from chat_service.http_api.api_call import ApiCall, bad_request, room_of
from chat_service.http_api.exchange import ApiStream, as_json
from chat_service.http_api.follower import Follower, Line, Waiting, as_line
from chat_service.http_api.reading import read_messages
from chat_service.types import RoomName

logger = logging.getLogger("chat_service")

#: Maximum number of messages read from the store at once.
PAGE: Final = 500

_LAST_EVENT_ID = re.compile(r"([^:\s]{1,128}):([0-9]{1,16})")
#: Event names and ids must not contain line breaks.
_LINE_ENDS = re.compile("[\r\n\0]")


async def room_events(call: ApiCall) -> ApiStream:
    """The handler of the route. Raises errors before the stream begins."""
    room = room_of(call)
    known = _known_place(call)
    await call.context.store.room_history_info(room, SYSTEM)

    def on_slow() -> None:
        logger.warning("ending a stream of room %r: its reader is too slow", room)

    stream = RoomStream(call, room, known)
    return ApiStream(chunks=stream.chunks(), timeout=call.options.stream_timeout, on_slow=on_slow)


def _known_place(call: ApiCall) -> tuple[str | None, int] | None:
    """Epoch and id of the last message that the reader has; None if there is none."""
    given = call.last_event_id
    if given:
        found = _LAST_EVENT_ID.fullmatch(given)
        if found is None:
            raise bad_request("Last-Event-ID: expected epoch:id, as the stream gave it")
        return found[1], int(found[2])
    after, epoch = call.query.get("after"), call.query.get("epoch")
    if after is None:
        if epoch is not None:
            raise bad_request("query.epoch: is for a request with after")
        return None
    if after > 0 and epoch is None:
        raise bad_request("query.epoch: an id means nothing without its epoch, which after needs")
    return epoch, int(after)


class RoomStream:
    """One reader of a room's events."""

    def __init__(self, call: ApiCall, room: RoomName, known: tuple[str | None, int] | None) -> None:
        self._call = call
        self._room = room
        self._known = known
        self._waiting = Waiting(call.options.stream_buffer)
        self._woken = asyncio.Event()
        self._waiting.wake = self._woken.set

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The stream in pieces. It ends with the room or the service, or if its reader is too slow."""
        taps, closing = self._call.context.delivery.taps, self._call.closing
        closing.add(self._woken)
        try:
            await taps.open(self._room, self._waiting)
            try:
                async for line in self._lines():
                    yield b": \n\n" if line is None else as_bytes(line)
            except ChatServiceError as error:
                yield as_bytes(Line("end", {"code": error.code, "message": str(error)}))
            finally:
                if self._call.context.is_open:
                    await taps.close(self._room, self._waiting)
        finally:
            closing.discard(self._woken)

    async def _lines(self) -> AsyncIterator[Line | None]:
        """Raises ``noRoom`` if the room has been deleted."""
        info = await self._info()
        follower, is_recovered = self._begin(info)
        yield follower.position(info.last_message_id, recovered=is_recovered)
        async for line in self._read(follower, info):
            yield line
        while not self._call.closing.is_closing:
            if self._waiting.is_over:
                logger.warning("ending a stream of room %r: its reader is too slow", self._room)
                yield Line("end", {"code": "tooSlow", "message": "The stream has more than its reader took"})
                return
            if self._waiting.is_empty and not await self._wait():
                yield None
                async for line in self._check(follower):
                    yield line
                continue
            if self._waiting.is_interrupted:
                self._waiting.is_interrupted = False
                async for line in self._check(follower):
                    yield line
            item = self._waiting.take()
            if item is None:
                continue
            if isinstance(item, RoomEvent):
                if follower.is_gap(item):
                    async for line in self._check(follower):
                        yield line
                for line in follower.take(item):
                    yield line
                if item.is_removal and not item.event:
                    # Sent when a user loses access, and for everyone when the room is deleted.
                    await self._info()
            else:
                yield as_line(item.event, item.args)
        yield Line("end", {"code": "closing", "message": "The server closes"})

    def _begin(self, info: HistoryInfo) -> tuple[Follower, bool]:
        """Where the reader begins, and whether all requested messages are available."""
        last, oldest = info.last_message_id, info.last_message_id - info.size
        if self._known is not None:
            epoch, after = self._known
            if epoch in (None, info.cursor.epoch) and oldest <= after <= last:
                return Follower(self._room, info.cursor, after), True
            if epoch is None:
                # From the oldest stored message.
                return Follower(self._room, info.cursor, oldest), False
        return Follower(self._room, info.cursor, last), False

    async def _wait(self) -> bool:
        """Wait for an item. Returns False if none arrived within the heartbeat interval."""
        self._woken.clear()
        if not self._waiting.is_empty or self._call.closing.is_closing:
            return True
        try:
            async with asyncio.timeout(self._call.options.stream_heartbeat):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True

    async def _info(self) -> HistoryInfo:
        return await self._call.context.store.room_history_info(self._room, SYSTEM)

    async def _check(self, follower: Follower) -> AsyncIterator[Line]:
        """Read the room and all messages that the reader has missed."""
        info = await self._info()
        if info.cursor.epoch != follower.epoch or info.last_message_id < follower.last_id:
            yield follower.start_over(info.cursor, info.last_message_id)
            return
        known = follower.last_id
        async for line in self._read(follower, info):
            yield line
        for line in follower.catch_up(info.cursor, info.last_message_id, known):
            yield line

    async def _read(self, follower: Follower, info: HistoryInfo) -> AsyncIterator[Line]:
        """The stored messages after the last one, up to the last id of ``info``."""
        last = info.last_message_id
        while follower.last_id < last:
            found = await read_messages(self._call, self._room, follower.last_id, PAGE)
            messages = [message for message in found if message["id"] <= last]
            reached = messages[-1]["id"] if messages else last
            for line in follower.resume(messages, reached):
                yield line


def as_bytes(line: Line) -> bytes:
    """The event in the format of Server-Sent Events."""
    head = f"event: {_LINE_ENDS.sub(' ', line.event)}\n"
    if line.id is not None:
        head = f"id: {line.id}\n{head}"
    return head.encode() + b"data: " + as_json(line.data) + b"\n\n"
