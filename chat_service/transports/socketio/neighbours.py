"""Everything besides Socket.IO on the transport's port or application, including the browser client."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from chat_service.errors import ConfigurationError
from chat_service.transports.network.aiohttp_carrier import add_door
from chat_service.transports.network.doors import Door
from chat_service.transports.network.gate import Answer, Gate, Refusal
from chat_service.transports.network.opening import Opening

#: Where `npm run build` puts the files.
BUILT: Final = Path(__file__).parent / "browser"
#: The files that are served, with their types.
TYPES: Final = {
    "client.js": "text/javascript; charset=utf-8",
    "client.js.map": "application/json",
    "client.d.ts": "text/plain; charset=utf-8",
}
NOT_BUILT: Final = "the browser client was not built: run `npm run build` in a checkout, or install the wheel"


class ClientFiles:
    """Answers requests for the files."""

    def __init__(self, path: str, directory: Path = BUILT) -> None:
        """``path``: of the script; the other files lie beside it."""
        self._directory = directory
        path = f"/{path.strip('/')}"
        folder = path.rpartition("/")[0]
        #: The names of the files by their paths.
        self.names = {f"{folder}/{name}": name for name in TYPES} | {path: "client.js"}
        self._contents: dict[str, tuple[bytes, str]] = {}

    def answer(self, gate: Gate, opening: Opening, path: str) -> Answer:
        """The answer to a request. ``path``: a key of ``names``. ``gate``: checks hosts and origins."""
        try:
            gate.check_head(opening)
            gate.check_host(opening)
            found = self._file(opening, self.names[path])
        except Refusal as refusal:
            return Answer(refusal.status, str(refusal).encode(), ends_connection=refusal.ends_connection)
        found.headers += [("X-Content-Type-Options", "nosniff"), *gate.cors_headers(opening)]
        return found

    def _file(self, opening: Opening, name: str) -> Answer:
        if opening.method not in ("GET", "HEAD"):
            raise Refusal(405, "only GET and HEAD are supported here")
        content, tag = self._read(name)
        if opening.headers.get("if-none-match") == tag:
            found = Answer(304, b"")
        else:
            found = Answer(200, content if opening.method == "GET" else b"", TYPES[name])
        # Browsers ask each time whether it has changed.
        found.headers += [("ETag", tag), ("Cache-Control", "no-cache")]
        return found

    def _read(self, name: str) -> tuple[bytes, str]:
        """The content of a file, and its tag."""
        known = self._contents.get(name)
        if known is None:
            try:
                content = (self._directory / name).read_bytes()
            except OSError:
                raise Refusal(404, NOT_BUILT) from None
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            known = self._contents[name] = content, tag
        return known


#: Adds the routes of a site to an application of aiohttp.
AddRoutes = Callable[[web.Application], None]
#: Serves a site in ASGI.
Serve = Callable[[Any, Any, Any], Awaitable[Any]]


class Neighbours:
    """The other WebSockets and the other HTTP paths on the same port or application."""

    def __init__(self, path: str, app: object, *, is_given: bool) -> None:
        """``path``: of the transport. ``app``: the application on which it is mounted. ``is_given``: whether
        its server is the caller's own, on which nothing else can be served.
        """
        self._path = f"/{path.strip('/')}"
        self._app = app
        self._is_given = is_given
        self.doors: list[Door] = []
        self.sites: dict[str, AddRoutes] = {}
        self.asgi_sites: dict[str, Serve] = {}

    def add_door(self, door: Door) -> None:
        """Serve the WebSockets of a door. Raises ``ConfigurationError``."""
        if self._is_given:
            raise ConfigurationError(
                f"the path {door.path} cannot be served on your own server: give it a port, or use app"
            )
        self._check(door.path)
        self.doors.append(door)
        if isinstance(self._app, web.Application):
            add_door(self._app, door)

    def add_site(self, path: str, add_routes: AddRoutes, serve: Serve) -> None:
        """Serve an HTTP path and all below it. Raises ``ConfigurationError``."""
        if self._is_given:
            raise ConfigurationError(
                f"the path {path} cannot be served on your own server: add its routes yourself"
            )
        self._check(path)
        self.sites[path], self.asgi_sites[path] = add_routes, serve
        if isinstance(self._app, web.Application):
            add_routes(self._app)

    def _check(self, path: str) -> None:
        if path in (self._path, *(door.path for door in self.doors), *self.sites):
            raise ConfigurationError(f"the path {path} is used twice")
