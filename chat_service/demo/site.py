"""The files of the page, kept in memory, and their HTTP headers."""

import hashlib
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

#: Built from clients/web by tools/setup.sh; included in the wheel.
STATIC: Final = Path(__file__).with_name("static")
INDEX: Final = "index.html"

#: Everything comes from this server, without inline scripts, and the page cannot be framed.
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob:; "
        "media-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_NOT_BUILT: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>chat_service</title>
<h1>The web chat was not built</h1>
<p>Its page is made by Node.js, which was not there. Install it, version 18 or newer
(Debian, Ubuntu: <code>sudo apt-get install nodejs npm</code>), and start again with <code>make run</code>.
<p>The service itself runs: every Socket.IO client can connect.
</html>
"""

_MEDIA_TYPES: Final = {
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
    ".js": "text/javascript",
}


class Pages:
    """Serves the files of a directory: ``index.html`` at ``/``, others by name."""

    def __init__(self, directory: Path = STATIC) -> None:
        files = sorted(directory.iterdir()) if (directory / INDEX).is_file() else []
        self._files = {path.name: (path.read_bytes(), _media_type(path)) for path in files if path.is_file()}
        self._files.setdefault(INDEX, (_NOT_BUILT.encode(), "text/html"))

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/", self._index)
        app.router.add_get("/{name:[^/]+}", self._file)

    async def _index(self, request: web.Request) -> web.Response:
        return self._respond(request, INDEX)

    async def _file(self, request: web.Request) -> web.Response:
        return self._respond(request, request.match_info["name"])

    def _respond(self, request: web.Request, name: str) -> web.Response:
        """Files with a hash in their name never change; others must be revalidated each time."""
        if name not in self._files:
            raise web.HTTPNotFound
        body, media_type = self._files[name]
        tag = hashlib.sha256(body).hexdigest()[:20]
        is_lasting = "-" in name and name != INDEX
        headers = {hdrs.ETAG: f'"{tag}"'}
        headers[hdrs.CACHE_CONTROL] = "public, max-age=31536000, immutable" if is_lasting else "no-cache"
        if request.headers.get(hdrs.IF_NONE_MATCH) == headers[hdrs.ETAG]:
            return web.Response(status=304, headers=headers)
        is_text = media_type.startswith("text/")
        response = web.Response(
            body=body, content_type=media_type, charset="utf-8" if is_text else None, headers=headers
        )
        response.enable_compression()
        return response


def _media_type(path: Path) -> str:
    guessed = _MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return guessed or "application/octet-stream"


@web.middleware
async def security_headers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Set the headers of all responses, including errors, except those of Socket.IO."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(SECURITY_HEADERS)
        raise
    if not response.prepared:
        response.headers.update(SECURITY_HEADERS)
    return response
