"""A bot: a user of the server itself that answers in every room.

    ann: !roll 20
    robot: ann rolls 17 of 20

The bot has no connection. It sends messages with `exec_user_command` under its own user name and without
permission checks, so it does not have to join. It answers on the instance that received the question: once,
however many instances there are.
"""

import asyncio
import logging
import os
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from chat_service import ChatService, ChatServiceError, CommandCall

logger = logging.getLogger(__name__)

BOT = "robot"
#: Maximum number of characters of an answer.
ANSWER_LIMIT = 1000


async def roll(author: str, words: list[str]) -> str:
    """!roll [N]: a number from 1 to N, or to 6"""
    sides = int(words[0]) if words and words[0].isdecimal() and len(words[0]) < 10 else 6
    return f"{author} rolls {secrets.randbelow(max(sides, 1)) + 1} of {sides}"


async def show_help(author: str, words: list[str]) -> str:
    """!help: this list"""
    return "\n".join(str(ability.__doc__) for ability in ABILITIES.values())


Ability = Callable[[str, list[str]], Awaitable[str]]
ABILITIES: dict[str, Ability] = {"!roll": roll, "!help": show_help}


class Bot:
    """The hooks."""

    def __init__(self) -> None:
        # The event loop only keeps weak references to tasks.
        self._tasks: set[asyncio.Task[None]] = set()

    async def on_start(self, service: ChatService) -> None:
        await service.add_user(BOT, exist_ok=True)

    async def on_connect(self, service: ChatService, socket_id: str) -> str | None:
        """Trust any name from the client except the bot's. A real service checks a token here."""
        name = service.transport.get_handshake_data(socket_id).query.get("userName")
        if name == BOT:
            raise ChatServiceError("notAllowed")
        return name

    def room_message_after(self, call: CommandCall) -> None:
        # The hook also runs for the bot's own messages. It must not answer itself.
        if call.message is None or call.user_name in (None, BOT):
            return
        word, *words = call.message["textMessage"].split() or [""]
        ability = ABILITIES.get(word)
        if ability is not None:
            # In a separate task, so that the ack does not wait for the bot.
            answer = self._answer(call.service, call.args[0], ability, call.message["author"], words)
            task = asyncio.create_task(answer)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(
        self, service: ChatService, room: str, ability: Ability, author: str, words: list[str]
    ) -> None:
        try:
            text = (await ability(author, words))[:ANSWER_LIMIT]
            as_bot = {"user_name": BOT, "bypass_permissions": True}
            await service.exec_user_command(as_bot, "roomMessage", room, {"textMessage": text})
        except Exception:
            # The room may have been deleted. On any error, only the bot's answer is lost.
            logger.exception("the bot could not answer %s in %s", author, room)

    async def on_close(self, service: ChatService, error: Exception | None) -> None:
        """The store is still open: finish the answers in progress."""
        await asyncio.gather(*self._tasks)


def make_service(**options: Any) -> ChatService:
    """A service with a bot."""
    return ChatService(hooks=Bot(), **options)


if __name__ == "__main__":
    make_service(port=int(os.environ.get("PORT", "8000")), enable_rooms_management=True).run()
