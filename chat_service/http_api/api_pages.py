"""The pages that the HTTP API serves to everybody: a form for each route, and the operators' console.

None of them shows anything without a token, which they send with each request that they make.
"""

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chat_service.http_api.exchange import ApiResponse

_HERE: Final = Path(__file__).parent
#: Built from clients/console by tools/setup.sh; included in the wheel.
CONSOLE: Final = _HERE / "console"
#: Where the console is, below the API's own path.
CONSOLE_PLACE: Final = "/console"

#: The page to try the API, and its parts.
_TRY: Final[Mapping[str, tuple[str, str]]] = {
    "/": ("try.html", "text/html; charset=utf-8"),
    "/try.js": ("try.js", "text/javascript; charset=utf-8"),
    "/try.css": ("try.css", "text/css; charset=utf-8"),
}
_TRY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}
#: Everything comes from this server, nothing is inline, no text becomes markup, and no page can frame it.
CONSOLE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_NOT_BUILT: Final = b"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>chat_service</title>
<h1>The console was not built</h1>
<p>Its page is made by Node.js, version 18 or newer. In a checkout, <code>make setup</code> builds it.
<p>The HTTP API itself works.
</html>
"""


def redirect(place: str) -> ApiResponse:
    """The answer for a page without the slash that its relative links need. ``place``: its last part."""
    return ApiResponse(status=308, headers={"Location": place.rpartition("/")[2] + "/"})


class ApiPages:
    """Finds the files by their paths. Files are read when they are asked for, and kept."""

    def __init__(self, *, has_console: bool, console: Path = CONSOLE) -> None:
        self._has_console = has_console
        self._directory = console
        self._console: dict[str, ApiResponse] = {}

    def find(self, path: str, mount: str) -> ApiResponse | None:
        """The answer to a GET of a path below the API's own, ``mount``; None if there is no page."""
        if path == "":
            return redirect(mount)
        if path in _TRY:
            name, content_type = _TRY[path]
            body = (_HERE / "static" / name).read_bytes()
            return ApiResponse(status=200, body=body, content_type=content_type, headers=_TRY_HEADERS)
        if not self._has_console:
            return None
        if path == CONSOLE_PLACE:
            return redirect(path)
        if path.startswith(CONSOLE_PLACE + "/"):
            return self._console_file(path[len(CONSOLE_PLACE) + 1 :])
        return None

    def _console_file(self, name: str) -> ApiResponse | None:
        if not self._console:
            self._console = _read_console(self._directory)
        return self._console.get(name)


def _read_console(directory: Path) -> dict[str, ApiResponse]:
    """The files by their names, the page itself by the empty one."""
    if not (directory / "index.html").is_file():
        return {"": _file(_NOT_BUILT, ".html", status=503)}
    found = {}
    for path in directory.iterdir():
        # A name with the hash of its content never means anything else.
        caching = "public, max-age=31536000, immutable" if "-" in path.name else "no-cache"
        name = "" if path.name == "index.html" else path.name
        found[name] = _file(path.read_bytes(), path.suffix, caching=caching)
    return found


def _file(body: bytes, suffix: str, *, status: int = 200, caching: str = "no-store") -> ApiResponse:
    content_type = _MEDIA_TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    headers = {**CONSOLE_HEADERS, "Cache-Control": caching}
    return ApiResponse(status=status, body=body, content_type=content_type, headers=headers)
