"""Downloads: who may have a file, and the headers that make it harmless."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from chat_service.clock import Clock
from chat_service.hooks import Hook, call_hook
from chat_service.uploads.content import SAFE_IMAGES, TEXT, UNKNOWN
from chat_service.uploads.storage import ServesItself, UploadedFile, UploadStorage
from chat_service.uploads.upload_errors import UploadError
from chat_service.uploads.upload_exchange import CORS, SiteRequest, SiteResponse
from chat_service.uploads.upload_options import UploadOptions
from chat_service.uploads.upload_records import UploadRecords

_is_id = re.compile("[A-Za-z0-9_-]{20,64}").fullmatch
_is_range = re.compile(r"bytes=(\d{0,15})-(\d{0,15})").fullmatch
#: Types that a browser plays inside a page. It never runs them.
_MEDIA: Final = ("audio/", "video/")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRequest:
    """The argument of an ``access`` hook. ``headers``: of the request, with names in lower case."""

    file: UploadedFile
    headers: Mapping[str, str]
    peer: str


class Downloads:
    """Answers requests for files."""

    def __init__(
        self,
        options: UploadOptions,
        storage: UploadStorage,
        records: UploadRecords,
        clock: Clock,
        access: Hook | None,
        hook_timeout: float | None,
    ) -> None:
        """``access``: called with a ``DownloadRequest``, says whether it may have the file. None: whoever
        knows the address.
        """
        self._options = options
        self._storage = storage
        self._records = records
        self._clock = clock
        self._access = access
        self._hook_timeout = hook_timeout
        self.running = 0
        self.bytes_sent = 0

    async def answer(self, request: SiteRequest) -> SiteResponse:
        """The answer. Raises ``UploadError``, ``FileNotFoundError``."""
        parts = request.path.strip("/").split("/")
        if len(parts) > 2 or not _is_id(parts[0]):
            raise UploadError("uploadNotFound")
        file = await self._records.get(parts[0])
        if file is None or (file.expires is not None and file.expires <= self._now()):
            raise UploadError("uploadNotFound")
        if self._access is not None:
            asking = DownloadRequest(file=file, headers=request.headers, peer=request.peer)
            if await call_hook(self._access, asking, limit=self._hook_timeout) is not True:
                raise UploadError("uploadForbidden")
        if isinstance(self._storage, ServesItself):
            url = await self._storage.url_of(file)
            if url is not None:
                return SiteResponse(
                    status=302, headers={**CORS, "Location": url, "Cache-Control": "no-store"}, length=0
                )
        return self._respond(request, file)

    def _respond(self, request: SiteRequest, file: UploadedFile) -> SiteResponse:
        headers = self._headers(file)
        if headers["ETag"] in _tags(request.headers.get("if-none-match", "")):
            return SiteResponse(status=304, headers=headers)
        start, stop, status = 0, file.bytes, 200
        asked = request.headers.get("range")
        if asked is not None and request.headers.get("if-range", headers["ETag"]) == headers["ETag"]:
            found = byte_range(asked, file.bytes)
            if found is not None:
                start, stop = found
                if start >= stop:
                    headers["Content-Range"] = f"bytes */{file.bytes}"
                    return SiteResponse(status=416, headers=headers, length=0)
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.bytes}"
                status = 206
        if request.method == "HEAD" or start == stop:
            return SiteResponse(status=status, headers=headers, length=stop - start)
        if self.running >= self._options.concurrent_downloads:
            raise UploadError("uploadTooMany")
        self.running += 1
        return SiteResponse(
            status=status,
            headers=headers,
            length=stop - start,
            chunks=self._counted(self._storage.read(file, start, stop)),
            patience=self._options.idle_timeout,
            time_limit=self._options.download_timeout,
            on_end=self._ended,
        )

    async def _counted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in chunks:
                self.bytes_sent += len(chunk)
                yield chunk
        finally:
            closing: Any = getattr(chunks, "aclose", None)
            if closing is not None:
                await closing()

    def _ended(self) -> None:
        self.running -= 1

    def _now(self) -> float:
        return self._clock.now_ms() / 1000

    def _headers(self, file: UploadedFile) -> dict[str, str]:
        is_shown = file.type in SAFE_IMAGES or file.type.startswith(_MEDIA)
        kind = "inline" if is_shown else "attachment"
        # Types that a browser could run are never accepted as such, and are not named in any case.
        safe = is_shown or file.type in (TEXT, "application/pdf", "application/zip")
        content_type = file.type if safe else UNKNOWN
        return {
            **CORS,
            "Accept-Ranges": "bytes",
            "Cache-Control": self._caching(file),
            "Content-Disposition": f"{kind}; {filename(file.name)}",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
            "Content-Type": f"{content_type}; charset=utf-8" if content_type == TEXT else content_type,
            "Cross-Origin-Resource-Policy": "cross-origin",
            "ETag": f'"{file.id}"',
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    def _caching(self, file: UploadedFile) -> str:
        seconds = self._options.cache_seconds
        if file.expires is not None:
            seconds = min(seconds, file.expires - self._now())
        return f"private, max-age={max(0, int(seconds))}"


def filename(name: str) -> str:
    """The parameters of ``Content-Disposition`` for a name (RFC 6266)."""
    plain = "".join(
        each if each.isascii() and each.isprintable() and each not in '"\\%' else "_" for each in name
    )
    return f"filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")[:20]}


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """The first byte of a range, and the one after its last. None: the whole file is the answer.

    Of a range that is not in the file, the second one is not after the first.
    """
    match = _is_range(header.strip())
    if match is None or match.group(1) == match.group(2) == "":
        # Several ranges, or another unit: RFC 9110 lets a server ignore them.
        return None
    first, last = match.groups()
    if not first:
        length = int(last)
        return (max(0, size - length), size) if length else (size, size)
    start = int(first)
    if last and int(last) < start:
        return None
    stop = min(size, int(last) + 1) if last else size
    return start, stop
