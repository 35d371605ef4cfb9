"""Publishing through the HTTP API of a service: its hooks and message checkers run."""

from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from chat_service.errors import ChatServiceError
from chat_service.publisher.publication import Posting, Published, TryAgainError

#: Statuses of answers after which the same request may succeed: too many requests, an internal error, a
#: service that is starting or closing, a proxy without one, a store that did not answer in time.
PASSING: Final = {429, 500, 502, 503, 504}
#: Maximum number of bytes of an answer that is read.
MAX_ANSWER: Final = 100_000


class RefusedError(ChatServiceError):
    """An error of the HTTP API, with its text."""

    def __init__(self, code: str, arguments: list[Any], text: str) -> None:
        super().__init__(code, *arguments)
        self._text = text

    def __str__(self) -> str:
        return self._text or super().__str__()


class HttpRoute:
    """``url``: the address of the API with its path, such as ``https://chat.example.com/api``."""

    def __init__(self, url: str, token: str, timeout: float) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, posting: Posting) -> Published:
        body: dict[str, Any] = {"message": posting.message}
        if posting.author is not None:
            body["author"] = posting.author
        try:
            data = orjson.dumps(body)
        except (TypeError, ValueError):
            # Binary values, for example, which JSON does not have.
            raise ChatServiceError("badArgument", 1, posting.message) from None
        url = URL(f"{self._url}/rooms/{quote(posting.room, safe='')}/messages", encoded=True)
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        try:
            async with self._session.post(
                url, data=data, headers={"Idempotency-Key": posting.key}, allow_redirects=False
            ) as response:
                return self._result(response, await response.content.read(MAX_ANSWER))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TryAgainError(f"{type(error).__name__}: {error}") from error

    def _result(self, response: aiohttp.ClientResponse, body: bytes) -> Published:
        if response.status in PASSING:
            raise TryAgainError(f"status {response.status}", _seconds(response.headers.get("Retry-After")))
        try:
            answer = orjson.loads(body)
            if response.status in (200, 201):
                return Published(int(answer["id"]), bool(answer["duplicate"]))
            raise RefusedError(str(answer["code"]), list(answer["args"]), str(answer["message"]))
        except (ValueError, KeyError, TypeError):
            # Not the API: a wrong address, or a proxy.
            text = f"{response.method} {response.url}: unexpected answer with status {response.status}"
            raise RefusedError("badAnswer", [response.status], text) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None
