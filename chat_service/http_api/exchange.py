"""Requests and answers of the HTTP API, independent of the server."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

JSON: Final = "application/json"

#: Sent with every answer, because answers are for programs and may be secret.
COMMON_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


class BodyTooLargeError(Exception):
    """A body is larger than allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """A request. ``path``: relative to the API, percent-encoded; ``mount``: the API's path.

    ``headers``: with names in lower case. ``peer``: the client's address. ``read_body(limit)`` reads the
    body, and raises ``BodyTooLargeError`` beyond ``limit`` bytes.
    """

    method: str
    mount: str
    path: str
    query: str
    headers: Mapping[str, str]
    peer: str
    read_body: Callable[[int], Awaitable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """An answer with a complete body."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    def all_headers(self) -> dict[str, str]:
        """The headers to send, including those that all answers have."""
        given = {"Content-Type": self.content_type} if self.body else {}
        return {**COMMON_HEADERS, **given, **self.headers}


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiStream:
    """A streaming answer: its pieces are sent immediately, each within ``timeout`` seconds.

    Call ``end`` when it is over, whatever the reason.
    """

    chunks: AsyncGenerator[bytes, None]
    timeout: float
    #: Called if the reader was too slow.
    on_slow: Callable[[], None]
    on_end: Callable[[], None] = lambda: None

    async def end(self) -> None:
        """Release the resources of the stream."""
        try:
            await self.chunks.aclose()
        finally:
            self.on_end()

    def all_headers(self) -> dict[str, str]:
        """The headers to send. The last one stops nginx from buffering."""
        return {**COMMON_HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}


def as_json(value: Any) -> bytes:
    """JSON in UTF-8. Binary values are encoded as base64 text."""
    return orjson.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        import base64

        return base64.b64encode(value).decode()
    if hasattr(value, "items"):
        return dict(value.items())
    if hasattr(value, "__iter__"):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
