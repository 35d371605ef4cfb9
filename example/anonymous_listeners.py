"""Anonymous listeners: messages of public rooms go to a second namespace, which needs no login.

A web page listens without an account:

    const socket = io("http://localhost:8000/public")
    socket.emit("listen", "news", (error, messages) => ...)   // the newest ones, oldest first
    socket.on("roomMessage", (room, message) => ...)           // and all that follow

Listeners cannot do anything else, because the namespace has no other event. The service's own namespace is
unchanged.
"""

import asyncio
import os
from collections import defaultdict
from typing import Any

from chat_service import ChatService, CommandCall

NAMESPACE = "/public"
PUBLIC_ROOMS = ("news",)
#: Number of messages that a new listener gets.
RECENT = 20
#: The event that notifies every instance of a new message.
NEWS = "public room has news"


class Listeners:
    """Forwards messages in the order of their ids, each once, on every instance.

    The after hook only reports that there is a new message, and every instance reads the messages that its
    listeners do not have yet. Forwarding the hook's message would be simpler, but the hooks of several
    senders and instances end in any order. This takes one read per message and instance, for all listeners.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._server: Any = None
        self._service: ChatService | None = None

    async def on_start(self, service: ChatService) -> None:
        self._service, self._server = service, service.transport.get_server()
        self._server.on("connect", self._accept, namespace=NAMESPACE)
        self._server.on("listen", self._listen, namespace=NAMESPACE)
        for room in PUBLIC_ROOMS:
            await service.add_room(room, exist_ok=True)
            self._last[room] = (await self._run("roomHistoryInfo", room))["lastMessageId"]
        service.cluster_bus.on(NEWS, self._on_news)

    def room_message_after(self, call: CommandCall) -> None:
        room = call.args[0]
        if call.error is None and room in PUBLIC_ROOMS:
            call.service.cluster_bus.emit(NEWS, room)

    async def _on_news(self, room: str) -> None:
        async with self._locks[room]:
            await self._forward(room)

    async def _forward(self, room: str) -> None:
        """Must be called with the lock held. If the notice of one message is lost, the next one delivers
        both.
        """
        for message in reversed(await self._run("roomHistoryGet", room, self._last[room], 1000)):
            await self._server.emit("roomMessage", (room, message), room=room, namespace=NAMESPACE)
            self._last[room] = message["id"]

    async def _accept(self, socket_id: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Anyone may listen."""

    async def _listen(self, socket_id: str, room: Any = None, *rest: Any) -> tuple[Any, Any]:
        if room not in PUBLIC_ROOMS:
            return f"there is no public room {room}", None
        # With the lock held nothing else is forwarded, so no message is missing between the answer and later
        # ones.
        async with self._locks[room]:
            await self._forward(room)
            await self._server.enter_room(socket_id, room, namespace=NAMESPACE)
            last = self._last[room]
            recent = await self._run("roomHistoryGet", room, max(0, last - RECENT), RECENT)
            # Newer messages are forwarded next, to this listener too.
            return None, [message for message in reversed(recent) if message["id"] <= last]

    async def _run(self, command: str, *args: Any) -> Any:
        assert self._service is not None  # not called before the start
        return (await self._service.exec_user_command(True, command, *args))[0]


async def on_connect(service: ChatService, socket_id: str) -> str | None:
    """Trust the name that the client gives. A real service checks a token here."""
    return service.transport.get_handshake_data(socket_id).query.get("userName")


def make_service(**options: Any) -> ChatService:
    """A service with public rooms."""
    listeners = Listeners()
    hooks = {
        "on_connect": on_connect,
        "on_start": listeners.on_start,
        "room_message_after": listeners.room_message_after,
    }
    return ChatService(hooks=hooks, **options)


if __name__ == "__main__":
    make_service(port=int(os.environ.get("PORT", "8000"))).run()
