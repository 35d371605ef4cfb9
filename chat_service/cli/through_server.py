"""Commands that use a running server over the network, as a user, with ``chat_service.client``."""

import asyncio
import contextlib
import functools
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from chat_service.cli import parameters
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.happenings import Happening
from chat_service.cli.parameters import TARGET_NAMES, FunctionT, target_options
from chat_service.cli.target import Target
from chat_service.errors import ChatServiceError

if TYPE_CHECKING:
    from chat_service.client import ChatClient, ClientRoom, Gap

T = TypeVar("T")

MISSING = "--server needs the client library: pip install 'python-socketio[asyncio_client]>=5.14,<6'"
#: Notifications of a room that ``tail --events`` shows.
EVENTS = (
    "roomUserJoined",
    "roomUserLeft",
    "roomMemberUpdated",
    "roomAccessListAdded",
    "roomAccessListRemoved",
    "roomModeChanged",
)
#: Seconds between two attempts to read a history.
AGAIN = 0.5
#: Maximum number of messages per request for the history.
CHUNK = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server, and the login there. ``auth``: the handshake's auth object."""

    url: str
    query: Mapping[str, str] = field(default_factory=dict)
    auth: Mapping[str, Any] = field(default_factory=dict)

    @asynccontextmanager
    async def connect(self) -> "AsyncIterator[ChatClient]":
        """A client that is logged in. Raises ``CliError``."""
        try:
            from chat_service.client import ChatClient, ConnectFailedError
        except ImportError:
            raise CliError(ExitCode.CONFIGURATION, MISSING) from None
        client = ChatClient(self.url, query=self.query, auth=self.auth)
        try:
            await client.connect()
        except ConnectFailedError as error:
            raise CliError(ExitCode.STORE, str(error)) from error
        except ChatServiceError as error:
            raise CliError(ExitCode.STORE, f"{self.url} rejects the login: {error}") from error
        try:
            yield client
        finally:
            await client.close()

    async def send(
        self,
        room: str,
        messages: Iterable[Mapping[str, Any]],
        *,
        key: str | None,
        sent: Callable[[int], None],
    ) -> None:
        """Join a room, and send messages one after another; ``sent`` is called with the id of each.

        ``key``: the idempotency key of a single message; otherwise each gets a new one.
        """
        async with self.connect() as client:
            joined = await client.join(room)
            async for message in _from_thread(messages):
                sent(await joined.send(message, key=key))

    async def tail(self, room: str, count: int, *, follow: bool, show: Callable[[Happening], None]) -> None:
        """Show the newest ``count`` messages of a room, then new ones, until the user is removed from the
        room.
        """
        async with self.connect() as client:
            joined = await client.join(room)
            first = max(0, joined.last_id - count)
            async for message in _history(client, joined, first, joined.last_id):
                show(Happening(kind="message", message=message))
            if follow:
                await _Following(client, joined, show).run()


async def _from_thread(items: Iterable[T]) -> AsyncIterator[T]:
    """Items from a blocking iterable, while the connection stays alive. Closing does not wait for the next
    item.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Queue[T | Exception | None] = asyncio.Queue(maxsize=1)

    def read() -> None:
        def give(item: T | Exception | None) -> None:
            asyncio.run_coroutine_threadsafe(found.put(item), loop).result()

        # Errors after the end of the loop do not matter.
        with contextlib.suppress(RuntimeError, CancelledError):
            try:
                for item in items:
                    give(item)
            except OSError as error:
                give(error)
            give(None)

    threading.Thread(target=read, daemon=True).start()
    while (item := await found.get()) is not None:
        if isinstance(item, Exception):
            raise item
        yield item


async def _history(
    client: "ChatClient", room: "ClientRoom", after: int, last: int
) -> AsyncIterator[dict[str, Any]]:
    """The messages between two ids, without the first, that can still be read."""
    from chat_service.client import NotConnectedError

    while after < last:
        try:
            page = await room.history(after, min(CHUNK, last - after))
        except NotConnectedError:
            if client.error is not None:
                raise
            # The client is reconnecting.
            await asyncio.sleep(AGAIN)
            continue
        for message in page:
            after = message["id"]
            if after <= last:
                yield message
        if not page:
            return


class _Following:
    """Shows the events of a room, and each notification after the messages that came before it."""

    def __init__(self, client: "ChatClient", room: "ClientRoom", show: Callable[[Happening], None]) -> None:
        self._client = client
        self._room = room
        self._show = show
        # Notifications that wait for earlier messages, with the id of the last one.
        self._waiting: deque[tuple[int, Happening]] = deque(maxlen=1000)

    async def run(self) -> None:
        """Return when the room is deleted. Raises when the connection or the access is lost."""
        for name in EVENTS:
            self._client.on(name, functools.partial(self._on_event, name))
        self._room.on_gap(self._on_gap)
        while True:
            async for message in self._room:
                self._show(Happening(kind="message", message=message))
                self._catch_up(message["id"])
            if self._client.error is not None:
                raise self._client.error
            try:
                # Also sent to a user who may join again.
                await self._client.join(self._room.name)
            except ChatServiceError as error:
                if error.code != "noRoom":
                    raise
                self._show(Happening(kind="deleted"))
                return

    def _on_event(self, name: str, room: str, *args: Any) -> None:
        if room != self._room.name:
            return
        happening = Happening(kind="event", event=name, args=(room, *args))
        if self._room.has_unread:
            self._waiting.append((self._room.last_id, happening))
        else:
            self._show(happening)

    def _on_gap(self, gap: "Gap") -> None:
        if gap.epoch_changed:
            self._show(Happening(kind="epoch"))
        else:
            self._show(Happening(kind="gap", first=gap.first, last=gap.last))
        self._catch_up(gap.last)

    def _catch_up(self, message_id: int) -> None:
        while self._waiting and (self._waiting[0][0] <= message_id or not self._room.has_unread):
            self._show(self._waiting.popleft()[1])


# Options

_SERVER_OPTIONS = (
    click.option(
        "--server", metavar="URL", help="Connect to this server as a user, instead of to the services' store."
    ),
    click.option("--user", type=parameters.text, metavar="NAME", help="With --server: the user who logs in."),
    click.option(
        "--token",
        envvar="CHAT_TOKEN",
        show_envvar=True,
        help="With --server: the token, sent in the handshake's auth object.",
    ),
    click.option(
        "--auth", metavar="JSON", help="With --server: the handshake's auth object, for other logins."
    ),
)


def takes_target_or_server(function: FunctionT) -> FunctionT:
    """A decorator: options that specify the services, or a server and its login.

    The function gets ``target`` and ``server``, one of which is None.
    """

    @functools.wraps(function)
    def wrapper(**given: Any) -> Any:
        url, user, token, auth = (given.pop(name) for name in ("server", "user", "token", "auth"))
        target = {name: given.pop(name) for name in TARGET_NAMES}
        if url is None:
            if user is not None or auth is not None or _is_typed("token"):
                raise CliError(ExitCode.USAGE, "--user, --token and --auth require --server URL")
            return function(target=Target.from_options(**target), server=None, **given)
        if any(map(_is_typed, TARGET_NAMES)):
            raise CliError(ExitCode.USAGE, "give either --server, or the options of a store")
        return function(target=None, server=_server(url, user, token, auth), **given)

    for option in reversed(_SERVER_OPTIONS):
        wrapper = option(wrapper)
    return target_options(wrapper)  # type: ignore[return-value]


def _is_typed(name: str) -> bool:
    """Whether a parameter was given on the command line."""
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def _server(url: str, user: str | None, token: str | None, auth: str | None) -> Server:
    if not url.startswith(("http://", "https://")):
        raise CliError(ExitCode.USAGE, f"--server: expected http://… or https://…, got {url}")
    fields: dict[str, Any] = {}
    if auth is not None:
        try:
            fields = json.loads(auth)
        except ValueError as error:
            raise CliError(ExitCode.USAGE, f"--auth is not valid JSON: {error}") from None
        if not isinstance(fields, dict):
            raise CliError(ExitCode.USAGE, "--auth: expected a JSON object")
    named = {} if user is None else {"userName": user}
    given = {} if token is None else {"token": token}
    return Server(url=url, query=named, auth={**named, **given, **fields})
