"""Finds users who were banned while this instance could not hear of it."""

import logging
from collections.abc import Iterable
from itertools import islice
from typing import Final

from chat_service.concurrency.running import RunningWork
from chat_service.contracts.store import Store
from chat_service.contracts.transport import Transport
from chat_service.domain.sessions import Sessions
from chat_service.types import UserName

logger = logging.getLogger("chat_service")

#: Maximum number of users whose bans are looked up in one call of the store.
CHECKED_AT_ONCE: Final = 256


class BanWatch:
    """Disconnects banned users whose bans this instance has not heard of."""

    def __init__(self, store: Store, transport: Transport, sessions: Sessions, running: RunningWork) -> None:
        self._store = store
        self._transport = transport
        self._sessions = sessions
        self._running = running
        #: Users who still have to be looked up, in order; at most all connected users.
        self._due: dict[UserName, None] = {}
        self._is_checking = False

    def check_all(self) -> None:
        """Look up all connected users, in the background."""
        self._check(self._sessions.users())

    def check(self, user: UserName) -> None:
        """Look up a user in the background."""
        if self._sessions.of_user(user):
            self._check([user])

    def _check(self, users: Iterable[UserName]) -> None:
        self._due.update(dict.fromkeys(users))
        if self._due and not self._is_checking:
            self._is_checking = True
            self._running.spawn(self._run(), "check of bans")

    async def _run(self) -> None:
        try:
            while batch := list(islice(self._due, CHECKED_AT_ONCE)):
                for user in batch:
                    del self._due[user]
                for user in await self._store.banned_users(batch):
                    logger.info("user %s was banned meanwhile", user)
                    for session in self._sessions.of_user(user):
                        await self._transport.disconnect(session.socket_id)
        except Exception as error:
            # Retry after the next heartbeat.
            self._due.clear()
            logger.warning("bans could not be looked up: %r", error)
        finally:
            self._is_checking = False
