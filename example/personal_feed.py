"""A personal feed: one room per user that collects interesting messages of other rooms.

    socket.emit("follow", "news", ["python", "redis"], (error) => ...)   // only messages with such a word
    socket.emit("follow", "team", [], (error) => ...)                    // everything
    socket.emit("unfollow", "team", (error) => ...)
    socket.emit("roomJoin", "feed.alice", ...)

The feed is an ordinary room, with ids and a history to catch up from, and it is available on all devices of
the user. Each message is stored again for each follower, which works for hundreds of followers, not for
millions.
"""

import logging
import os
from collections import defaultdict
from typing import Any

from chat_service import ChatService, ChatServiceError, CommandCall

logger = logging.getLogger(__name__)

#: Prefix of the names of feeds.
FEED = "feed."


def feed_of(user: str) -> str:
    """The name of a user's feed."""
    return FEED + user


class Feeds:
    """The hooks, and the rooms that users follow.

    Every instance has a copy in memory, which is lost on exit. A real service keeps it in a database.
    """

    def __init__(self) -> None:
        self._followers: defaultdict[str, dict[str, frozenset[str]]] = defaultdict(dict)

    async def on_start(self, service: ChatService) -> None:
        service.cluster_bus.on("follow", self._follow)
        service.cluster_bus.on("unfollow", self._unfollow)

    async def on_connect(self, service: ChatService, socket_id: str) -> str | None:
        """Trust the name that the client gives. A real service checks a token here."""
        user = service.transport.get_handshake_data(socket_id).query.get("userName")
        if not user:
            return None
        # At the first login. Two devices may log in at once.
        await service.add_room(feed_of(user), owner=user, whitelist_only=True, exist_ok=True)

        async def follow(room: Any, words: Any) -> None:
            # Clients can send anything. A command with the same argument types checks them for us.
            await service.check_arguments("roomAddToList", room, "whitelist", words)
            if not await service.has_room_access(room, user):
                raise ChatServiceError("notAllowed")
            self._follow(user, room, words)  # here at once, elsewhere a moment later
            service.cluster_bus.emit("follow", user, room, words)

        async def unfollow(room: Any) -> None:
            await service.check_arguments("roomLeave", room)
            self._unfollow(user, room)
            service.cluster_bus.emit("unfollow", user, room)

        service.transport.bind_handler(socket_id, "follow", follow)
        service.transport.bind_handler(socket_id, "unfollow", unfollow)
        return user

    def _follow(self, user: str, room: str, words: list[str]) -> None:
        self._followers[room][user] = frozenset(word.lower() for word in words)

    def _unfollow(self, user: str, room: str) -> None:
        self._followers[room].pop(user, None)

    def room_messages_checker(self, message: dict[str, Any]) -> None:
        """Accept the fields of feeds. The before hook, which knows the sender, decides who may use them."""
        if set(message) - {"textMessage", "source", "author"} or not isinstance(
            message.get("textMessage"), str
        ):
            raise ChatServiceError("badArgument", 1, message)

    def room_message_before(self, call: CommandCall) -> None:
        room, message = call.args
        if not call.is_local_call and (room.startswith(FEED) or set(message) != {"textMessage"}):
            raise ChatServiceError("notAllowed")

    async def room_message_after(self, call: CommandCall) -> None:
        if call.message is None or call.is_local_call:
            # The message was not sent, or belongs to a feed.
            return
        room, words = call.args[0], set(call.message["textMessage"].lower().split())
        item = {
            "textMessage": call.message["textMessage"],
            "author": call.message["author"],
            "source": {"room": room, "id": call.message["id"]},
        }
        for user, wanted in list(self._followers[room].items()):
            if not wanted or wanted & words:
                await self._forward(call.service, room, user, item)

    async def _forward(self, service: ChatService, room: str, user: str, item: dict[str, Any]) -> None:
        try:
            # The user may have lost access in the meantime.
            if await service.has_room_access(room, user):
                await service.exec_user_command(True, "roomMessage", feed_of(user), item)
        except ChatServiceError as error:
            # The message is stored and sent: its author must not get an error because of another user's feed.
            logger.warning("the feed of %s misses %s: %s", user, item["source"], error)


def make_service(**options: Any) -> ChatService:
    """A service with personal feeds."""
    return ChatService(hooks=Feeds(), **options)


if __name__ == "__main__":
    make_service(port=int(os.environ.get("PORT", "8000"))).run()
