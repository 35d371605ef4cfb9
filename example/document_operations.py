"""Editing a text together: operations are room messages, and a before hook rejects those that conflict.

An operation replaces a part of the text, and names the version that it was made for: the id of the last
operation that counted, 0 for an empty document.

    socket.emit("roomJoin", "notes", (error, njoined, { text, version, last }) => ...)
    const operation = { base: version, at: 12, remove: 5, insert: "you" }
    socket.emit("roomMessage", "notes", operation, (error, id) => ...)

After its join a client applies the messages with ids past `last`, as `Document` below does. On the error
`conflict` it has missed something: it applies that first, adapts its operation and sends it again. Sending
again is always safe, after a lost ack too, since of the operations for one version only one counts.

Two clients can send at the same time, on two instances. Then both before hooks find no conflict, and both
messages are stored. The order of ids decides: the first counts, and everybody ignores the second one. The
after hook tells its author.
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
    """A text, made of the operations of a room in the order of their ids."""

    text: str = ""
    #: The last operation that counted, and the last one of all.
    version: int = 0
    last: int = 0
    counted: set[int] = field(default_factory=set)

    def apply(self, operation: dict[str, Any]) -> None:
        """Take the next operation. One that was taken before changes nothing."""
        if operation["id"] <= self.last:
            return
        self.last = operation["id"]
        if operation["base"] == self.version:
            at, remove = operation["at"], operation["remove"]
            self.text = self.text[:at] + operation["insert"] + self.text[at + remove :]
            self.version = self.last
            self.counted.add(self.last)


class Documents:
    """The hooks, and the documents as far as this instance has read them."""

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
            return None  # an error stays as it is
        document = await self._newest(call.service, call.args[0])
        return [
            *call.results,
            {"text": document.text, "version": document.version, "last": document.last},
        ]

    async def _newest(self, service: ChatService, room: str) -> Document:
        """The document with everything that is stored by now."""
        document = self._documents.get(room)
        if document is None:
            # A client may name any room; only those that there are get a document.
            if not await service.has_room(room):
                raise ChatServiceError("noRoom", room)
            document = self._documents.setdefault(room, Document())
        while True:
            # Several may do this at once: operations that another one has applied meanwhile change nothing.
            [page] = await service.exec_user_command(True, "roomHistoryGet", room, document.last, 1000)
            if not page:
                return document
            for operation in reversed(page):
                document.apply(operation)


async def on_connect(service: ChatService, socket_id: str) -> str | None:
    """Trust the name that the client gives. A real service checks a token here."""
    return service.transport.get_handshake_data(socket_id).query.get("userName")


async def on_start(service: ChatService) -> None:
    """Make the document. All of its operations have to stay, since it is made of them."""
    await service.add_room("notes", history_max_size=1_000_000, exist_ok=True)


def make_service(**options: Any) -> ChatService:
    """A service with a document."""
    service = ChatService(hooks=Documents(), **options)
    service.on("on_connect", on_connect)
    service.on("on_start", on_start)
    return service


if __name__ == "__main__":
    make_service(port=int(os.environ.get("PORT", "8000"))).run()
