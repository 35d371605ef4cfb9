"""What is served besides Socket.IO on the transport's port or application."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from chat_service.errors import ConfigurationError
from chat_service.transports.network.aiohttp_carrier import add_door
from chat_service.transports.network.doors import Door

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
