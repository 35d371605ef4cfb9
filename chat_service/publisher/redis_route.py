"""Publishing through Redis, which delivers to all instances: without a service, hooks and checkers."""

import time
from collections.abc import Mapping
from typing import Any

from chat_service.commands.table import COMMANDS
from chat_service.contracts.bus import Deaf
from chat_service.contracts.records import SYSTEM, Actor, SendConditions
from chat_service.errors import ChatServiceError, StoreError, StoreTimeoutError
from chat_service.options import Options
from chat_service.protocol.arguments import Limits, check_types
from chat_service.protocol.encoded import digest
from chat_service.publisher.publication import Posting, Published, TryAgainError
from chat_service.stores.redis import RedisStore
from chat_service.types import RoomName, UserName


class RedisRoute:
    """``options``: the store options of the services. Raises ``ConfigurationError`` for invalid ones.

    ``window``: the services' option ``idempotency_window``.
    """

    def __init__(self, options: Mapping[str, Any], window: float) -> None:
        self._options = dict(options)
        self._window = window
        defaults = Options()
        self._limits = Limits(
            name_length=defaults.name_length_limit,
            message_depth=defaults.message_depth_limit,
            attachments=defaults.max_attachments,
        )
        self._store = self._new_store()
        self._is_open = False

    def _new_store(self) -> RedisStore:
        # The user of a worker may lack rights that a service needs.
        return RedisStore(self._options, needs_all_rights=False)

    async def send(self, posting: Posting) -> Published:
        check_types(
            COMMANDS["roomMessage"].arguments, [posting.room, posting.message], self._limits, custom=True
        )
        message = dict(posting.message)
        for name in ("id", "relatesTo", "timestamp"):
            message.pop(name, None)
        message["timestamp"] = round(time.time() * 1000)
        # Stores look for the author at the end.
        author = message.pop("author", None) if posting.author is None else posting.author
        if author is not None:
            message["author"] = author
        conditions = SendConditions(key=posting.key, digest=digest(posting.message), window=self._window)
        try:
            await self._open()
            actor = SYSTEM
            if posting.author is not None:
                if not await self._store.user_exists(UserName(posting.author)):
                    raise ChatServiceError("noUser", posting.author)
                actor = Actor(name=UserName(posting.author), bypass=True)
            sent = await self._store.room_send(RoomName(posting.room), actor, message, conditions)
        except StoreTimeoutError as error:
            raise TryAgainError(str(error)) from error
        return Published(sent.id, sent.is_duplicate)

    async def _open(self) -> None:
        if self._is_open:
            return
        try:
            await self._store.open(Deaf())
        except StoreError as error:
            # It has closed itself.
            self._store = self._new_store()
            raise TryAgainError(str(error)) from error
        except BaseException:
            self._store = self._new_store()
            raise
        self._is_open = True

    async def close(self) -> None:
        if self._is_open:
            self._is_open = False
            await self._store.close()
            self._store = self._new_store()
