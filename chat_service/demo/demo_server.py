"""The web chat's server: the service mounted on an application that serves the page."""

import asyncio
import logging
import sys
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Literal, Self

from aiohttp import web

from chat_service.demo import lobby as rules
from chat_service.demo.lobby import Lobby, Moderation
from chat_service.demo.site import Pages, security_headers
from chat_service.http_ports import PortRunner
from chat_service.service import ChatService
from chat_service.service.runner import NAMES_ONLY, StopRequest, http_url, is_loopback, refuse_nesting, say
from chat_service.uploads import Uploads, has_libraries
from chat_service.version import __version__

#: Rooms created at the start, without owners.
ROOMS: Final = ("default", "random")
#: Number of messages that a room keeps.
HISTORY: Final = 2000
#: Number of members that a message can mention.
MENTIONS: Final = 20
#: Number of joined rooms that the page shows on every device of a user.
MAX_OWN_ROOMS: Final = 500
#: Time in seconds for running requests to finish when the server closes.
SHUTDOWN_GRACE: Final = 2.0


class Demo:
    """The web chat on a port. ``async with Demo(port=0) as demo:`` serves while the block runs."""

    def __init__(
        self,
        host: str | None = "127.0.0.1",
        port: int = 8000,
        *,
        store: Any = "memory",
        store_options: Mapping[str, Any] | None = None,
        uploads: Mapping[str, Any] | Literal[False] | None = None,
        **options: Any,
    ) -> None:
        """``host``: None for all addresses. ``port``: 0 for a free one. Others: options of ``ChatService``.

        ``uploads``: options of uploads; without a ``folder``, files are deleted when the demo is closed.
        False: there are no uploads, as without the extra ``uploads`` unless they are given.

        Raises ``ConfigurationError``.
        """
        self._host, self._asked_port = host, port
        self._app = web.Application(middlewares=[security_headers])
        self._app.router.add_get("/login/state", _login_state)
        Pages().add_routes(self._app)
        transport_options = {**options.pop("transport_options", {}), "app": self._app}
        #: The service, for inspection.
        self.service = ChatService(
            store=store,
            store_options=dict(store_options or {}),
            transport_options=transport_options,
            hooks={
                "on_connect": self._on_connect,
                "on_start": self._on_start,
                "room_create_before": rules.before_room_create,
                "room_message_before": rules.before_message,
                "direct_message_before": rules.before_message,
            },
            **{
                "enable_rooms_management": True,
                "enable_direct_messages": True,
                "enable_direct_conversations": True,
                "own_rooms_limit": MAX_OWN_ROOMS,
                "enable_userlist_updates": True,
                "enable_access_lists_updates": True,
                "history_max_size": HISTORY,
                "mentions_limit": MENTIONS,
                **options,
            },
        )
        #: The folder of the files, if it is not to last.
        self._folder: TemporaryDirectory[str] | None = None
        #: None if the packages of the extra ``uploads`` are missing.
        self.uploads: Uploads | None = None
        if uploads is not False and (uploads is not None or has_libraries()):
            self.uploads = Uploads(self.service, self._upload_options(uploads or {}))
        self._lobby = Lobby(self.service)
        self._moderation = Moderation(self.service)
        self._runner: web.AppRunner | None = None

    def _upload_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if given.get("folder") is not None:
            return dict(given)
        self._folder = TemporaryDirectory(prefix="chat-uploads-", ignore_cleanup_errors=True)
        # A folder that is deleted soon needs no reserve on the disk.
        return {"min_free_bytes": 0, **given, "folder": self._folder.name}

    @property
    def address(self) -> tuple[str, int] | None:
        """The address and port while it listens."""
        if self._runner is None or not self._runner.addresses:
            return None
        host, port, *_ = self._runner.addresses[0]
        return str(host), int(port)

    @property
    def port(self) -> int | None:
        """The TCP port while it listens."""
        return None if self.address is None else self.address[1]

    async def start(self) -> None:
        """Start, and return once the page is available. Raises ``OSError`` for a port in use."""
        runner = PortRunner(self._app, shutdown_timeout=SHUTDOWN_GRACE)
        self._runner = runner
        try:
            await runner.setup()
            await web.TCPSite(runner, self._host, self._asked_port, reuse_address=True).start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect all clients and close. Idempotent."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        if self._folder is not None:
            self._folder.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # Hooks

    def _on_connect(self, service: ChatService, socket_id: str) -> str | None:
        handshake = service.transport.get_handshake_data(socket_id)
        name = rules.user_name(handshake.auth, handshake.query)
        if name is not None:
            self._lobby.bind(socket_id, name)
            self._moderation.bind(socket_id, name)
        return name

    async def _on_start(self, service: ChatService) -> None:
        for name in ROOMS:
            await service.add_room(name, exist_ok=True)  # another instance may have created it


async def _login_state(_: web.Request) -> web.Response:
    """A name is enough here. Under ``serve``, the page learns how people log in."""
    state = {"kinds": ["name"], "user": None, "label": "", "loginUrl": None}
    return web.json_response(state, headers={"Cache-Control": "no-store"})


def main(
    host: str | None = "127.0.0.1",
    port: int = 8000,
    *,
    store: Any = "memory",
    store_options: Mapping[str, Any] | None = None,
    uploads: Mapping[str, Any] | None = None,
    **options: Any,
) -> None:
    """Run the web chat until SIGINT or SIGTERM, and print its address. Takes the arguments of ``Demo``.

    Raises ``ConfigurationError``. If it cannot start, prints one line to stderr and raises ``SystemExit``
    (1).
    """
    refuse_nesting()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    demo = Demo(host, port, store=store, store_options=store_options, uploads=uploads, **options)
    request = StopRequest()
    with request.by_signals():
        asyncio.run(_serve(demo, request))


async def _serve(demo: Demo, request: StopRequest) -> None:
    demo.service.on("closed", lambda _: request.ask())
    try:
        await demo.start()
    except Exception as error:
        sys.exit(f"chat_service cannot start: {error or type(error).__name__}")
    announce_page(demo)
    await request.wait()
    await demo.close()


def announce_page(demo: Demo) -> None:
    """Print the page's address, and a warning if others can reach it."""
    host, port = demo.address or ("", 0)
    say(f"{__version__}: the web chat is at {http_url(host, port)}; Ctrl+C stops it")
    if not is_loopback(host):
        print(f"warning: {NAMES_ONLY.format(where=f'{host} port {port}')}", file=sys.stderr, flush=True)
