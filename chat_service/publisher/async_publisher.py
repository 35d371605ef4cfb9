"""The publisher for asyncio programs."""

import asyncio
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from chat_service.errors import ConfigurationError
from chat_service.option_group import is_seconds
from chat_service.protocol.arguments import MAX_KEY_LENGTH
from chat_service.publisher.http_route import HttpRoute
from chat_service.publisher.publication import Posting, Published, PublishTimeoutError, Route, TryAgainError
from chat_service.publisher.redis_route import RedisRoute

#: Seconds before the second attempt; later ones wait twice as long each time, up to the maximum.
FIRST_DELAY: Final = 0.1
MAX_DELAY: Final = 2.0


class AsyncPublisher:
    """Publishes messages to rooms. Opens its connections at the first message and keeps them until ``close``.

    ``url``: ``redis://``, ``rediss://`` or ``unix://`` for the Redis of the services, or ``http(s)://`` for
    their HTTP API with its path. None for a Redis that ``store_options`` describe. ``token``: for the HTTP
    API, with the scope ``write``. ``store_options``: those of the services, such as ``cluster``, ``prefix``
    and ``secret``. ``timeout``: maximum time in seconds for a message with all attempts.
    ``idempotency_window``: the services' option of this name, in seconds; for Redis only.

    Raises ``ConfigurationError`` for arguments that do not fit.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        store_options: Mapping[str, Any] | None = None,
        timeout: float = 10.0,
        idempotency_window: float = 300.0,
    ) -> None:
        for name, seconds in (("timeout", timeout), ("idempotency_window", idempotency_window)):
            if not is_seconds(seconds) or seconds <= 0:
                raise ConfigurationError(f"{name}: expected a positive number of seconds, got {seconds!r}")
        self._timeout = timeout
        self._route = _route(url, token, store_options, timeout, idempotency_window)
        self._gate = asyncio.Lock()
        self._is_ready = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def publish(
        self, room: str, message: dict[str, Any], *, key: str | None = None, author: str | None = None
    ) -> Published:
        """Publish a message to a room. Returns when it is stored.

        ``key``: an idempotency key of 1 to 128 characters that names the message, such as the id of a task.
        A message with a known key is not stored again. Without one, a new key makes the attempts of this
        call safe. ``author``: an existing user, who need not have joined the room; None for the server.

        Raises ``ChatServiceError`` for a message that is refused, such as ``noRoom``, ``noUser`` and
        ``idempotencyConflict``, and ``PublishTimeoutError`` if it is unknown whether it is stored.
        """
        if key is not None and not 1 <= len(key) <= MAX_KEY_LENGTH:
            raise ValueError(f"key: expected 1 to {MAX_KEY_LENGTH} characters, got {len(key)}")
        posting = Posting(room=room, message=message, key=key or uuid.uuid4().hex, author=author)
        reason = "no answer"
        try:
            async with asyncio.timeout(self._timeout):
                delay = FIRST_DELAY
                while True:
                    try:
                        return await self._send(posting)
                    except TryAgainError as error:
                        reason = str(error)
                        await asyncio.sleep(delay if error.delay is None else error.delay)
                    delay = min(MAX_DELAY, 2 * delay)
        except TimeoutError:
            raise PublishTimeoutError(posting.key, reason) from None

    async def _send(self, posting: Posting) -> Published:
        if self._is_ready:
            return await self._route.send(posting)
        # The first message opens the connections, alone.
        async with self._gate:
            published = await self._route.send(posting)
            self._is_ready = True
            return published

    async def close(self) -> None:
        """Close all connections. A later message opens them again."""
        async with self._gate:
            self._is_ready = False
            await self._route.close()


def _route(
    url: str | None,
    token: str | None,
    store_options: Mapping[str, Any] | None,
    timeout: float,
    window: float,
) -> Route:
    if url is not None and url.partition(":")[0] in ("http", "https"):
        if store_options is not None:
            raise ConfigurationError("store_options belong to Redis, not to the HTTP API")
        if not token:
            raise ConfigurationError("the HTTP API needs a token")
        return HttpRoute(url, token, timeout)
    if token is not None:
        raise ConfigurationError("a token belongs to the HTTP API: give its address, https://…/api")
    options = dict(store_options or {})
    if url is not None:
        options["url"] = url
    if not options:
        raise ConfigurationError("give the url of the services' Redis or of their HTTP API")
    return RedisRoute(options, window)
