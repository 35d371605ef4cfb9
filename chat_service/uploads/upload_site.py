"""Requests for uploads and downloads, independent of the server that takes them."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import orjson

from chat_service.uploads.serving import Downloads
from chat_service.uploads.upload_errors import UploadError
from chat_service.uploads.upload_exchange import CORS, PLAIN, PREFLIGHT, SiteRequest, SiteResponse

logger = logging.getLogger("chat_service")

#: Takes an upload: the ticket's text, the announced length if any, and the body.
Take = Callable[[str, int | None, AsyncIterator[bytes]], Awaitable[Mapping[str, Any]]]


class UploadSite:
    """Answers requests. ``take``: see ``Take``."""

    def __init__(self, take: Take, downloads: Downloads) -> None:
        self._take = take
        self._downloads = downloads
        #: Answers by method and status.
        self.answers: dict[tuple[str, int], int] = {}

    async def handle(self, request: SiteRequest) -> SiteResponse:
        """Answer a request. Raises only ``CancelledError``."""
        try:
            answer = await self._answer(request)
        except UploadError as error:
            answer = error_response(error)
        except FileNotFoundError:
            answer = error_response(UploadError("uploadNotFound"))
        except Exception as error:
            logger.error("a request for an upload failed: %r", error, exc_info=error)
            answer = json_response(500, {"code": "internalError", "args": [], "message": "Internal error"})
        method = request.method if request.method in ("POST", "GET", "HEAD", "OPTIONS") else "other"
        key = (method, answer.status)
        self.answers[key] = self.answers.get(key, 0) + 1
        return answer

    async def _answer(self, request: SiteRequest) -> SiteResponse:
        if request.method == "OPTIONS":
            return SiteResponse(status=204, headers={**PLAIN, **PREFLIGHT})
        is_root = request.path in ("", "/")
        if request.method == "POST" and is_root:
            kind, _, ticket = request.headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer":
                raise UploadError("uploadBadTicket")
            length = request.headers.get("content-length")
            known = int(length) if length is not None and length.isascii() and length.isdigit() else None
            return json_response(201, await self._take(ticket.strip(), known, request.chunks))
        if request.method in ("GET", "HEAD") and not is_root:
            return await self._downloads.answer(request)
        if is_root:
            raise (
                UploadError("uploadMethod")
                if request.method not in ("GET", "HEAD")
                else UploadError("uploadNotFound")
            )
        raise UploadError("uploadMethod")


def json_response(status: int, content: Any) -> SiteResponse:
    """An answer in JSON."""
    body = orjson.dumps(content)
    return SiteResponse(
        status=status,
        headers={**PLAIN, **CORS, "Content-Type": "application/json"},
        body=body,
        length=len(body),
    )


def error_response(error: UploadError) -> SiteResponse:
    """The answer for an error: ``{code, args, message}``, as in the HTTP API."""
    answer = json_response(
        error.status, {"code": error.code, "args": list(error.arguments), "message": error.text}
    )
    more: dict[str, str] = {}
    if error.status == 429:
        more["Retry-After"] = "1"
    if error.status == 405:
        more["Allow"] = "GET, HEAD, POST, OPTIONS"
    if error.status == 401:
        more["WWW-Authenticate"] = "Bearer"
    return SiteResponse(
        status=answer.status, headers={**answer.headers, **more}, body=answer.body, length=answer.length
    )
