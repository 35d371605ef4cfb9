"""A room of a client: a stream of messages, in order and each once, that reports missing messages."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

from chat_service.client.client_commands import Commands
from chat_service.client.client_errors import NotConnectedError
from chat_service.client.client_folding import FoldedMessages
from chat_service.client.client_stream import Gap, Stream
from chat_service.client.client_types import EphemeralEvent, JoinHistory, ReadState
from chat_service.client.client_uploads import Attachment, Progress, Source, attachment_message
from chat_service.errors import ChatServiceError
from chat_service.types import Message

logger = logging.getLogger("chat_service.client")

#: Maximum number of messages per request.
PAGE = 100
#: Delay in seconds between two attempts to read a history.
RETRY = 0.2


class RoomHost(Protocol):
    """The interface of the client for its rooms."""

    @property
    def commands(self) -> Commands: ...
    @property
    def user_name(self) -> str | None: ...
    async def deliver(
        self, room: str, message: Mapping[str, Any], key: str | None, options: Mapping[str, Any]
    ) -> int: ...
    @property
    def url(self) -> str: ...
    async def upload(
        self,
        room: str,
        source: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
        on_progress: Progress | None = None,
    ) -> Attachment: ...


class ClientRoom:
    """A room. ``async for message in room`` yields its messages. Only one reader at a time."""

    def __init__(self, host: RoomHost, name: str, stream_limit: int) -> None:
        self._host = host
        self.name = name
        self._stream = Stream(stream_limit)
        self._changed = asyncio.Event()
        # Live messages that wait until earlier ones have been read.
        self._live: deque[Message] | None = None
        self._limit = stream_limit
        #: Whether this client should be in the room, and whether it is.
        self.is_wanted = False
        self.joined = asyncio.Event()
        #: Cleared while the room should be joined but is not, because a join is pending or running.
        self.decided = asyncio.Event()
        self.decided.set()
        self._on_gap: list[Callable[[Gap], None]] = []
        self._on_event: list[Callable[[EphemeralEvent], None]] = []

    def __repr__(self) -> str:
        state = "joined" if self.joined.is_set() else "wanted" if self.is_wanted else "left"
        return f"<ClientRoom {self.name} {state} last_id={self.last_id}>"

    @property
    def last_id(self) -> int:
        """The id of the last message received."""
        return self._stream.last_id

    @property
    def has_unread(self) -> bool:
        """Whether messages or gaps were received that the reader of the stream has not got yet."""
        return self._stream.has_items or self._stream.is_behind

    @property
    def epoch(self) -> str | None:
        """The epoch of the message ids. Ids are comparable only within one epoch."""
        return self._stream.epoch

    def on_gap(self, handler: Callable[[Gap], None]) -> Callable[[Gap], None]:
        """Call ``handler(gap)`` when the reader reaches missing messages. Usable as a decorator."""
        self._on_gap.append(handler)
        return handler

    def on_event(self, handler: Callable[[EphemeralEvent], None]) -> Callable[[EphemeralEvent], None]:
        """Call ``handler(event)`` for events of others in the room, such as a user typing. They may be lost.

        Usable as a decorator.
        """
        self._on_event.append(handler)
        return handler

    async def send_event(self, name: str, data: Any = None) -> None:
        """Send an event to the others in the room. It is not stored, and not sent again.

        Raises the ``ChatServiceError`` of a refusal, such as ``rateLimited``, or ``NotConnectedError``.
        """
        await self._host.commands.room_event(self.name, name, data)

    async def mark_read(self, message_id: int | None = None) -> int:
        """Note on the server that the user has read the room up to a message; None: the last one received.

        Returns the id up to which it is read now, which never goes back. Raises ``ChatServiceError``, or
        ``NotConnectedError``.
        """
        read = self.last_id if message_id is None else message_id
        return await self._host.commands.room_mark_read(self.name, read)

    async def unread(self) -> ReadState:
        """How far the user has read the room, on any device.

        Raises ``ChatServiceError``, ``notJoined`` without access, or ``NotConnectedError``.
        """
        state = (await self._host.commands.room_get_unread([self.name])).get(self.name)
        if state is None:
            raise ChatServiceError("notJoined", self.name)
        return state

    async def send(self, message: Mapping[str, Any], *, key: str | None = None) -> int:
        """Send a message, and return its id when it is stored, exactly once.

        The message survives reconnects and, with an outbox file, a restart of the program. ``key``: its
        idempotency key; a new one if None. Messages to one room are stored in the order of the calls.
        Raises the ``ChatServiceError`` of a refusal, ``OutcomeUnknownError``, or ``OutboxError``.
        """
        return await self._host.deliver(self.name, message, key, {})

    async def upload(
        self,
        source: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
        on_progress: Progress | None = None,
    ) -> Attachment:
        """Upload a file to the room, for a message with ``send_files``. See ``ChatClient.upload``."""
        return await self._host.upload(
            self.name, source, name=name, content_type=content_type, on_progress=on_progress
        )

    async def send_files(
        self, files: Sequence[Attachment | Source], text: str = "", *, key: str | None = None
    ) -> int:
        """``send`` a message with files. Sources are uploaded first, one after another."""
        ready = [each if isinstance(each, dict) else await self.upload(each) for each in files]
        return await self.send(attachment_message(text, ready, self._host.url), key=key)

    async def reply(self, message_id: int, message: Mapping[str, Any], *, key: str | None = None) -> int:
        """``send`` a reply to a message."""
        return await self._say({"reply_to": message_id}, message, key)

    async def edit(self, message_id: int, message: Mapping[str, Any], *, key: str | None = None) -> int:
        """``send`` the new content of a message; for its author and admins."""
        return await self._say({"edits": message_id}, message, key)

    async def delete(self, message_id: int, message: Mapping[str, Any] | None = None) -> int:
        """Delete a message; for its author and admins.

        ``message``: what clients see that do not know deletions, in the format of the service; an empty text
        if None.
        """
        return await self._say({"deletes": message_id}, message or {"textMessage": ""})

    async def react(self, message_id: int, reaction: str, message: Mapping[str, Any] | None = None) -> int:
        """Add a reaction to a message. ``message``: as for ``delete``; the reaction as text if None."""
        options = {"reacts_to": message_id, "reaction": reaction}
        return await self._say(options, message or {"textMessage": reaction})

    async def unreact(self, message_id: int, reaction: str, message: Mapping[str, Any] | None = None) -> int:
        """Take a reaction back. Returns 0 if there was none. ``message``: as for ``delete``."""
        options = {"unreacts_to": message_id, "reaction": reaction}
        return await self._say(options, message or {"textMessage": ""})

    async def _say(
        self, options: Mapping[str, Any], message: Mapping[str, Any], key: str | None = None
    ) -> int:
        # The id stands for another message in another epoch.
        epoch = {} if self.epoch is None else {"target_epoch": self.epoch}
        return await self._host.deliver(self.name, message, key, {**options, **epoch})

    def folded(self, limit: int = 1000) -> FoldedMessages:
        """A view of the room's messages in their current form, to be fed from the stream and the history."""
        return FoldedMessages(self, self._host.user_name, limit)

    async def history(self, after: int = 0, limit: int = PAGE, *, fold: bool = False) -> list[Message]:
        """The stored messages after an id, oldest first, without those that the service hides.

        ``fold``: each in its current form.
        """
        while page := await self._page(after, limit, fold=fold):
            shown = [message for message in page if not message.get("hidden")]
            if shown:
                return shown
            # An empty list means that nothing follows.
            after = page[-1]["id"]
        return []

    async def _page(self, after: int, limit: int = PAGE, *, fold: bool = False) -> list[Message]:
        """Hidden messages are there, because their ids count."""
        page, _ = await self._host.commands.room_history_get(self.name, after, limit, fold=fold or None)
        return page[::-1]

    async def leave(self) -> None:
        """Leave the room. The stream ends after the messages received so far."""
        self.is_wanted = False
        self.decided.set()
        await self._host.commands.room_leave(self.name)
        self.end()

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Yield the messages from the join on. Ends when the room is left, or when access to it is lost."""
        while True:
            self._changed.clear()
            item = self._stream.pop()
            if isinstance(item, Gap):
                for handler in self._on_gap:
                    handler(item)
            elif item is not None:
                if not item.get("hidden"):
                    yield item
            elif not self.is_wanted:
                return
            elif self._stream.is_behind and self.joined.is_set():
                await self._read_on()
            else:
                await self._changed.wait()

    async def _read_on(self) -> None:
        try:
            self._stream.refill(await self._page(self._stream.queued_id))
        except NotConnectedError:
            # Wait until the connection is back, or the room is left.
            await asyncio.sleep(RETRY)

    # Called by the client

    async def enter(self, recent: int | None) -> None:
        """Join for the first time or again, and catch up on missed messages. Raises what the join raises."""
        self.is_wanted = True
        self.decided.clear()
        self._live = deque(maxlen=self._limit)
        try:
            commands, stream = self._host.commands, self._stream
            if stream.epoch is None:
                _, told = await commands.room_join(self.name, recent=max(recent or 0, 1))
                history = told or await self._without_cursor()
                messages = history["messages"] if recent else []
                stream.begin(history["epoch"], _id_before(messages, history["lastMessageId"]))
                history = {**history, "messages": messages, "recovered": True}
            else:
                _, told = await commands.room_join(self.name, after=stream.last_id, epoch=stream.epoch)
                history = told or await self._without_cursor()
            await self._catch_up(history)
        except BaseException:
            self.is_wanted = stream.epoch is not None
            if not self.is_wanted:
                self.decided.set()
            raise
        finally:
            live, self._live = self._live, None
        for message in live or ():
            stream.take(message)
        self.joined.set()
        self.decided.set()
        self._changed.set()

    async def _catch_up(self, history: JoinHistory) -> None:
        stream, last = self._stream, history["lastMessageId"]
        if history["epoch"] != stream.epoch:
            stream.begin(history["epoch"], _id_before(history["messages"], last))
        elif not history["recovered"]:
            stream.miss(_id_before(history["messages"], last))
        for message in history["messages"]:
            stream.take(message)
        while history["more"] and stream.last_id < last:
            page = await self._page(stream.last_id)
            if not page:
                break
            for message in page:
                if message["id"] <= last:
                    stream.take(message)
        stream.miss(last)

    async def _without_cursor(self) -> JoinHistory:
        """Read after the join what a server without support for cursors does not include in its answer."""
        info = await self._host.commands.room_history_info(self.name)
        last, epoch = info["lastMessageId"], info.get("epoch", "")
        known = self._stream.last_id if epoch == self._stream.epoch else max(0, last - PAGE)
        messages = [message for message in await self._page(known) if message["id"] <= last]
        recovered = not messages or messages[0]["id"] == known + 1
        more = bool(messages) and messages[-1]["id"] < last
        return JoinHistory(
            epoch=epoch, lastMessageId=last, recovered=recovered or more, messages=messages, more=more
        )

    def take(self, message: Message) -> None:
        """A live message was received."""
        if self._live is not None:
            self._live.append(message)
            return
        self._stream.take(message)
        self._changed.set()

    def hear(self, event: EphemeralEvent) -> None:
        """An event of somebody else in the room was received."""
        for handler in self._on_event:
            try:
                handler(event)
            except Exception:
                logger.exception("a handler of events of room %s failed", self.name)

    def miss(self, gap: Mapping[str, Any]) -> None:
        """The server reports which messages this socket has missed permanently."""
        if gap.get("epoch") == self._stream.epoch and self._live is None:
            self._stream.miss(gap["to"])
            self._changed.set()

    def lose(self) -> None:
        """The connection was lost. ``enter`` is called again after a reconnect."""
        self.joined.clear()
        if self.is_wanted:
            self.decided.clear()

    def end(self) -> None:
        """The room was left, or access to it was lost: end the stream."""
        self.is_wanted = False
        self.joined.clear()
        self.decided.set()
        self._changed.set()


def _id_before(messages: list[Message], last: int) -> int:
    """The id before the first message, or the last id if there are none. Messages in between may be
    missing.
    """
    return messages[0]["id"] - 1 if messages else last
