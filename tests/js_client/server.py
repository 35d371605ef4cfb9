"""The server for the JavaScript client's tests, which control it over HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory
from typing import Any

import socketio
from aiohttp import web

from chat_service import (
    ChatService,
    ChatServiceError,
    CommandCall,
    Login,
    MemoryBackend,
    MemoryStore,
    user_channel,
)
from chat_service.uploads import Uploads


class ServerUnderTest:
    """A service that can be restarted, and an HTTP endpoint that calls its API."""

    def __init__(self) -> None:
        self._backend = MemoryBackend()
        self._folder = TemporaryDirectory()
        self.service = self._make(0)
        self._runner: web.AppRunner | None = None
        #: Rooms where a message was thrown away, with the connection that it came on.
        self._cut_rooms: set[str] = set()
        #: Rooms whose history answers are cut to this number of messages.
        self._cut_answers: dict[str, int] = {}
        #: Rooms where the server behaves as one that knows neither keys nor cursors.
        self._old_rooms: set[str] = set()
        #: Rooms where a message has failed, which does not happen again.
        self._failed_rooms: set[str] = set()
        #: The credentials that each user has sent to renew the login.
        self._refreshes: dict[str, list[Any]] = {}
        self._ended = asyncio.Event()

    def _make(self, port: int) -> ChatService:
        service = self._made(port)
        service.command("repeatWord", {"word": "text", "times": "integer"})(
            lambda call, word, times: word * times
        )
        Uploads(service, {"folder": self._folder.name, "max_file_bytes": 3_000_000, "min_free_bytes": 0})
        return service

    def _made(self, port: int) -> ChatService:
        return ChatService(
            host="127.0.0.1",
            port=port,
            store=MemoryStore(self._backend),
            hooks={
                "on_connect": self._on_connect,
                "on_refresh": self._on_refresh,
                "room_join_before": self._before_join,
                "room_message_before": self._before_message,
                "room_message_after": self._after_message,
                "room_messages_checker": self._check_message,
                "room_history_get_after": self._after_history,
                "room_join_after": self._after_join,
                "room_history_info_after": self._after_info,
            },
            enable_rooms_management=True,
            enable_direct_messages=True,
            enable_direct_conversations=True,
            own_rooms_limit=10,
            # Several answers are needed for a catch-up.
            history_max_get_messages=5,
        )

    async def start(self) -> str:
        """Start, and return the address of the control endpoint."""
        await self.service.start()
        self._mute()
        app = web.Application()
        app.router.add_post("/", self._control)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/"

    async def close(self) -> None:
        self._ended.set()
        if self._runner is not None:
            await self._runner.cleanup()
        await self.service.close()

    def _mute(self) -> None:
        """A namespace where nobody confirms a login."""
        self.service.transport.get_server().register_namespace(socketio.AsyncNamespace("/mute"))

    # Steered by the tests

    async def _control(self, request: web.Request) -> web.Response:
        asked = await request.json()
        method, args, keywords = asked["method"], asked["args"], asked["keywords"]
        own = getattr(self, f"do_{method}", None)
        result = await (own or getattr(self.service, method))(*args, **keywords)
        return web.json_response(result)

    async def do_restart(self) -> None:
        port = self.service.port
        assert port is not None
        self._ended.set()
        await self.service.close()
        self.service = self._make(port)
        await self.service.start()

    def cleanup(self) -> None:
        """Delete the uploaded files."""
        self._folder.cleanup()

    async def do_post(self, room: str, text: str) -> None:
        message = {"textMessage": text, "author": "server"}
        await self.service.exec_user_command(True, "roomMessage", room, message)

    async def do_post_binary(self, room: str, values: int) -> None:
        message = {"parts": [bytes([number]) for number in range(values)], "author": "server"}
        await self.service.exec_user_command(True, "roomMessage", room, message)

    async def do_cut_answers(self, room: str, limit: int) -> None:
        self._cut_answers[room] = limit

    async def do_know_no_options(self, room: str) -> None:
        self._old_rooms.add(room)

    async def do_hide(self) -> None:
        """Hide messages whose text says so. Set once, for all tests that follow."""

        def hide(service: ChatService, user: str, socket_id: str, room: str, message: Any) -> Any:
            return None if str(message.get("textMessage")).startswith("hidden") else message

        self.service.on("on_message_receive", hide)

    async def do_tell(self, user: str, event: str, *data: Any) -> None:
        await self.service.transport.emit_to_channel(user_channel(user), event, *data)

    async def do_refreshes(self, user: str) -> list[Any]:
        return self._refreshes.get(user, [])

    # Hooks

    def _on_connect(self, service: ChatService, socket_id: str) -> str | Login | None:
        service.transport.bind_handler(socket_id, "echo", lambda *args: [list(args)])
        service.transport.bind_handler(socket_id, "never", self._never)
        handshake = service.transport.get_handshake_data(socket_id)
        auth = handshake.auth or {}
        name = auth.get("userName") or handshake.query.get("userName")
        if "expiresIn" not in auth:
            return name
        return Login(auth["userName"], expires_at=time.time() + auth["expiresIn"])

    def _on_refresh(self, service: ChatService, socket_id: str, credentials: Any) -> float | Login:
        name = credentials["userName"]
        self._refreshes.setdefault(name, []).append(credentials)
        if credentials.get("isBad"):
            raise ChatServiceError("badToken")
        return time.time() + credentials["expiresIn"] if "expiresIn" in credentials else Login(name)

    def _check_message(self, message: Any) -> None:
        if "textMessage" not in message and "parts" not in message:
            raise ChatServiceError("badArgument", 1, message)

    def _after_history(self, call: CommandCall) -> Any:
        limit = self._cut_answers.get(call.args[0])
        if limit is None or call.results is None:
            return None
        messages = call.results[0]
        return [messages[len(messages) - min(limit, len(messages)) :]]

    def _before_join(self, call: CommandCall) -> None:
        if call.args[0] in self._old_rooms:
            call.options = {}

    def _after_join(self, call: CommandCall) -> Any:
        limit = self._cut_answers.get(call.args[0])
        if limit is None or call.results is None or len(call.results) < 2:
            return None
        njoined, history = call.results
        messages = history["messages"][:limit] if history["recovered"] else []
        return [njoined, {**history, "messages": messages, "more": history["recovered"]}]

    def _after_info(self, call: CommandCall) -> Any:
        if self._cut_answers.get(call.args[0]) != 0 or call.results is None:
            return None
        return [{**call.results[0], "historyMaxGetMessages": 0}]

    async def _never(self, *_: Any) -> None:
        """Answers in the end only."""
        await self._ended.wait()

    async def _before_message(self, call: CommandCall) -> Any:
        room, message = call.args
        text = message.get("textMessage")
        if room in self._old_rooms:
            call.options = {}
        if text == "fail always" or (text == "fail before" and room not in self._failed_rooms):
            self._failed_rooms.add(room)
            raise RuntimeError("this message fails")
        if text != "cut before" or room in self._cut_rooms:
            return None
        self._cut_rooms.add(room)
        await self._lose(call)
        return [None]

    async def _after_message(self, call: CommandCall) -> None:
        if call.duplicate:
            return
        text = call.args[1].get("textMessage", "")
        if text == "fail after":
            raise RuntimeError("this message is stored, and fails")
        if text.startswith("cut after"):
            await self._lose(call)
        if text.endswith("then more"):
            await self.do_post(call.args[0], "more")
            await self.do_post(call.args[0], "and more")

    async def _lose(self, call: CommandCall) -> None:
        """Lose the connection of the socket that sent a command."""
        session = call.service.transport.get_socket(call.id)
        await session.close(wait=False)


@asynccontextmanager
async def server_under_test() -> AsyncIterator[dict[str, str]]:
    """A server, as the environment variables that the tests want."""
    server = ServerUnderTest()
    control = await server.start()
    try:
        yield {"CHAT_URL": f"http://127.0.0.1:{server.service.port}", "CHAT_CONTROL_URL": control}
    finally:
        await server.close()
        server.cleanup()
