"""Requests and answers of uploads and downloads, and the headers they share."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

#: No cookies are used, so any page may show a ticket, and read what its address names.
CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Length, Content-Range, Accept-Ranges, ETag",
}
PREFLIGHT: Final = {
    **CORS,
    "Access-Control-Allow-Methods": "POST, GET, HEAD",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Range",
    "Access-Control-Max-Age": "86400",
}
#: Of answers that are not files.
PLAIN: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRequest:
    """A request. ``path``: below the site, percent-encoded. ``headers``: with names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    peer: str
    #: The body as it comes. Raises ``uploadBroken`` if it does not come to its end.
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteResponse:
    """An answer. ``chunks``: the body in pieces, instead of ``body``.

    Each piece must be taken within ``patience`` seconds.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None
    chunks: AsyncIterator[bytes] | None = None
    patience: float = 60.0
    #: Maximum time in seconds for all of them.
    time_limit: float = 3600.0
    #: Called when the answer is over, whatever the reason.
    on_end: Callable[[], None] = lambda: None
