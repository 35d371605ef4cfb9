"""Collaborative editing: operations are room messages, and a before hook rejects conflicting ones.

An operation replaces a part of the text, and names the version on which it is based: the id of the last
valid operation, or 0 for an empty document.

    socket.emit("roomJoin", "notes", (error, njoined, { text, version, last }) => ...)
    const operation = { base: version, at: 12, remove: 5, insert: "you" }
    socket.emit("roomMessage", "notes", operation, (error, id) => ...)

After its join, a client applies the messages with ids after `last`, as `Document` below does. The error
`conflict` means that it has missed an operation: it applies that first, adapts its own and sends it again.
Retrying is always safe, even after a lost ack, because only one operation per version is valid.

If two clients send at the same time on two instances, both before hooks find no conflict, and both messages
are stored. The order of ids decides: the first one is valid, and all clients ignore the second one. The after
hook tells its author.
"""

import os
from dataclasses import dataclass, field
from typing import Any

from chat_service import ChatService, ChatServiceError, CommandCall

FORMAT = {"base": int, "at": int, "remove": int, "insert": str}


class DocumentError(ChatServiceError):
    """Errors about operations."""

    texts = {"conflict": "Version %d is not the newest one"}


@dataclass(slots=True)
class Document:
    """A text, built from a room's operations in the order of their ids."""

    text: str = ""
    #: The ids of the last valid operation, and of the last one of all.
    version: int = 0
    last: int = 0
    counted: set[int] = field(default_factory=set)

    def apply(self, operation: dict[str, Any]) -> None:
        """Apply the next operation. Applying it again changes nothing."""
        if operation["id"] <= self.last:
            return
        self.last = operation["id"]
        if operation["base"] == self.version:
            at, remove = operation["at"], operation["remove"]
            self.text = self.text[:at] + operation["insert"] + self.text[at + remove :]
            self.version = self.last
            self.counted.add(self.last)


class Documents:
    """The hooks, and the documents up to the operations that this instance has read."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}

    def room_messages_checker(self, message: dict[str, Any]) -> None:
        # type() and not isinstance(): True is an int, too.
        if {name: type(value) for name, value in message.items()} != FORMAT or min(
            message["base"], message["at"], message["remove"]
        ) < 0:
            raise ChatServiceError("badArgument", 1, message)

    async def room_message_before(self, call: CommandCall) -> None:
        room, operation = call.args
        if operation["base"] != (await self._newest(call.service, room)).version:
            raise DocumentError("conflict", operation["base"])

    async def room_message_after(self, call: CommandCall) -> None:
        if call.message is not None:
            document = await self._newest(call.service, call.args[0])
            if call.message["id"] not in document.counted:
                raise DocumentError("conflict", call.message["base"])

    async def room_join_after(self, call: CommandCall) -> list[Any] | None:
        if call.results is None:
            return None  # pass an error on unchanged
        document = await self._newest(call.service, call.args[0])
        return [
            *call.results,
            {"text": document.text, "version": document.version, "last": document.last},
        ]

    async def _newest(self, service: ChatService, room: str) -> Document:
        """The document with all operations stored so far."""
        document = self._documents.get(room)
        if document is None:
            # A client may name any room; only existing rooms get a document.
            if not await service.has_room(room):
                raise ChatServiceError("noRoom", room)
            document = self._documents.setdefault(room, Document())
        while True:
            # Several calls may run at once: applying the same operation twice changes nothing.
            [page] = await service.exec_user_command(True, "roomHistoryGet", room, document.last, 1000)
            if not page:
                return document
            for operation in reversed(page):
                document.apply(operation)


async def on_connect(service: ChatService, socket_id: str) -> str | None:
    """Trust the name that the client gives. A real service checks a token here."""
    return service.transport.get_handshake_data(socket_id).query.get("userName")


async def on_start(service: ChatService) -> None:
    """Create the document. Its room must keep all operations, because the text is built from them."""
    await service.add_room("notes", history_max_size=1_000_000, exist_ok=True)


def make_service(**options: Any) -> ChatService:
    """A service with a document."""
    service = ChatService(hooks=Documents(), **options)
    service.on("on_connect", on_connect)
    service.on("on_start", on_start)
    return service


if __name__ == "__main__":
    make_service(port=int(os.environ.get("PORT", "8000"))).run()
