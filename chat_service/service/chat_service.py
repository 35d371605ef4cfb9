"""``ChatService``: runs a server from options and hooks, and provides its API (server-api.md)."""

import socket
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar, Unpack, overload

from chat_service.clock import Clock, SystemClock
from chat_service.commands import own_commands
from chat_service.commands.spec import Command
from chat_service.concurrency.running import RunningWork
from chat_service.contracts.capabilities import HasAddress, HasAddresses, ListensAnywhere, MountsOnAsgi
from chat_service.domain import screening
from chat_service.domain.emitter import EventEmitter
from chat_service.errors import ConfigurationError
from chat_service.hooks import EVENTS, PRIORITY, Hook
from chat_service.operations import Operations
from chat_service.options import Options
from chat_service.protocol.arguments import ArgumentType
from chat_service.service.audience_api import AudienceAPI
from chat_service.service.composition import make_context, make_hooks
from chat_service.service.lifecycle import LifeCycle
from chat_service.service.runner import StopRequest, announce, http_url, run, say
from chat_service.service.transport_api import ClusterBus, Publisher, TransportAPI
from chat_service.webhooks.webhooks import Webhooks

HookT = TypeVar("HookT", bound=Hook)


class OptionKeywords(TypedDict, total=False):
    """The options as keyword arguments, for type checkers. ``Options`` documents each."""

    host: str | None
    port: int
    namespace: str
    store: Any
    store_options: dict[str, Any]
    transport: Any
    transport_options: dict[str, Any]
    enable_rooms_management: bool
    enable_direct_messages: bool
    enable_direct_conversations: bool
    enable_userlist_updates: bool
    enable_access_lists_updates: bool
    history_max_size: int
    history_max_bytes: int
    history_max_get_messages: int
    history_max_get_bytes: int
    idempotency_window: float
    mentions_limit: int
    reactions_limit: int
    login_timeout: float
    hook_timeout: float | None
    command_rate: float | None
    command_burst: int
    rate_limit_disconnect: int | None
    room_message_rate: float | None
    room_message_burst: int
    room_event_rate: float | None
    room_event_burst: int
    login_rate: float | None
    login_burst: int
    room_create_rate: float | None
    room_create_burst: int
    rooms_owned_limit: int | None
    rooms_per_socket_limit: int
    own_rooms_limit: int
    conversations_limit: int
    sockets_per_user_limit: int
    own_sockets_answer_limit: int
    login_expiry_notice: float
    login_expiry_grace: float
    seen_limit: int
    read_marks_limit: int
    user_ttl: float | None
    empty_ttl: float | None
    conversation_ttl: float | None
    history_ttl: float | None
    early_commands_limit: int
    direct_list_size_limit: int
    room_list_size_limit: int
    names_per_command_limit: int
    members_per_page_limit: int
    details_size_limit: int
    name_length_limit: int
    message_size_limit: int
    message_depth_limit: int
    room_event_size_limit: int
    max_attachments: int
    use_raw_error_objects: bool
    expose_internal_errors: bool
    receive_backlog_limit: int
    close_timeout: float
    heartbeat_rate: float
    heartbeat_timeout: float
    auto_recovery: bool
    bus_ack_timeout: float
    operations_port: int | None
    operations_host: str
    api_options: dict[str, Any]
    webhook_options: dict[str, Any]
    drain_delay: float
    drain_seconds: float
    tracing: Any


class ChatService(AudienceAPI):
    """A room messaging server.

    Use ``run()`` to run it until a signal. In a running event loop use ``async with ChatService(...) as
    service:``, or ``await service.start()`` and ``await service.close()``.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        hooks: Any = None,
        clock: Clock | None = None,
        **keywords: Unpack[OptionKeywords],
    ) -> None:
        """Pass options as an ``Options`` object or as keywords, and hooks as a mapping or any object.

        Raises ``ConfigurationError`` for unknown or invalid options and hooks.
        """
        if options is not None and keywords:
            raise ConfigurationError("give options as one Options object or as keywords, not both")
        if options is not None and not isinstance(options, Options):
            raise ConfigurationError(f"options: expected an Options object, got {options!r}")
        self.options = options or Options.from_keywords(keywords)
        running = RunningWork()
        cluster_events = EventEmitter(running)
        context = make_context(
            self, self.options, make_hooks(hooks), clock or SystemClock(), cluster_events, running
        )
        screening.install(context)
        publisher = Publisher(context)
        super().__init__(context, publisher)
        #: Handshakes, custom events and notifications.
        self.transport = TransportAPI(context, publisher)
        #: Application events to every instance.
        self.cluster_bus = ClusterBus(cluster_events, publisher)
        #: Metrics and health.
        self.operations = Operations(context, lambda: self._life.phase.value)
        self._life = LifeCycle(context, self.operations, Webhooks(context))
        self._stop_request = StopRequest()
        context.transport.attach(self.start, self.close)

    def __repr__(self) -> str:
        sockets = len(self._context.sessions)
        uid = f"{self.instance_uid[:8]} " if self.instance_uid else ""
        return f"<ChatService {uid}{self._life.phase.value} sockets={sockets}>"

    @property
    def instance_uid(self) -> str:
        """The id of this instance, created by the start (empty before it).

        It changes if the instance loses its lease and starts over.
        """
        return self._context.instance_id()

    @property
    def port(self) -> int | None:
        """The TCP port for clients while the service listens; None if it is mounted."""
        return self._context.transport.port

    def listen_at(
        self, *, host: str | None = None, port: int | None = None, sockets: Sequence[socket.socket] = ()
    ) -> None:
        """Override the address to listen on. Must be called before the start.

        ``host``, ``port``: override the options of these names unless None. ``sockets``: already bound
        sockets, for example from a service manager or parent process. Raises ``ConfigurationError`` if the
        transport does not listen itself.
        """
        transport = self._context.transport
        if not isinstance(transport, ListensAnywhere):
            raise ConfigurationError(f"{transport!r} does not listen on an address")
        transport.listen_at(host=host, port=port, sockets=sockets)

    # Lifecycle

    async def start(self) -> None:
        """Start the service. On return clients can connect. Does nothing if it is running.

        A failed start is undone and raises its cause, such as ``OSError`` for a port in use, ``StoreError``
        or an exception of ``on_start``. Raises ``ServiceClosedError`` if the service was closed before.
        """
        await self._life.start()

    async def drain(self) -> None:
        """Become unready, wait ``drain_delay``, then disconnect the clients over ``drain_seconds``.

        Clients reconnect automatically to another instance, since this one accepts no new ones. Their running
        commands are answered first. Returns once all are disconnected. Does nothing unless the service is
        running. Close it afterwards; a close may also interrupt a drain.
        """
        await self._life.drain()

    async def close(self) -> None:
        """Stop accepting, disconnect all clients, wait for commands, call ``on_close`` and close the store.

        Idempotent. Failures are raised once everything is closed: ``CloseTimeoutError`` if commands took
        longer than ``close_timeout``. Must not be awaited inside a hook.
        """
        await self._life.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def run(self, *, announce: bool = True) -> None:
        """Run until SIGINT, SIGTERM, ``stop()`` or ``close()``, then close; on SIGTERM drain first.

        ``announce``: whether to print a line with the address, the store and how to stop. A second signal
        ends the process immediately. Signals work only in the main thread; in other threads use ``stop()``.
        If the start or close fails, it prints one line to stderr and raises ``SystemExit`` (1). Raises
        ``RuntimeError`` if an event loop is already running.
        """
        run(self, self._stop_request, self.announce if announce else lambda: None)

    def stop(self, *, drain: bool = False) -> None:
        """Make ``run()`` return soon. May be called from any thread. ``drain``: drain first, as on SIGTERM.

        If called before ``run()``, that ends as soon as it has started. Only the first call counts.
        """
        self._stop_request.ask(drain=drain)

    def announce(self, addresses: Sequence[tuple[str, int]] = (), *, workers: int = 1) -> None:
        """Print where the service is, its store and version, and how to stop it, as ``run()`` does.

        ``addresses``: those of the parent process, which listens for ``workers`` others; by default its own.
        """
        context = self._context
        own = context.transport.address if isinstance(context.transport, HasAddress) else None
        given = addresses or ([own] if own else [])
        announce(given, store=context.store, namespace=self.options.namespace, workers=workers)
        if isinstance(context.transport, HasAddresses):
            for name, host, port in context.transport.addresses():
                if (host, port) not in given:
                    say(f"{name}: {host} port {port}")
        if self.operations.port is not None:
            url = http_url(self.options.operations_host, self.operations.port)
            say(f"metrics and health: {url}metrics, {url}healthz and {url}readyz")
            if self.operations.has_api:
                say(f"HTTP API: {url}api/")

    def asgi_app(self, other: Any = None) -> Any:
        """An ASGI application that serves Socket.IO and passes everything else to ``other``.

        ``other``: an ASGI application; None uses ``transport_options["app"]``. The application's lifespan
        starts and closes the service.
        """
        transport = self._context.transport
        if not isinstance(transport, MountsOnAsgi):
            raise ConfigurationError(f"{transport!r} does not support ASGI")
        return transport.asgi_app(other)

    # Hooks and events

    def before(self, command: str, priority: int = PRIORITY) -> Callable[[HookT], HookT]:
        """A decorator: run a hook before a command. A result other than None replaces the command.

        Of several hooks, the one with the lowest ``priority`` runs first; equal ones run in the order of
        their registration, and hooks given otherwise have the default. Raises ``ConfigurationError`` for an
        unknown command or a priority that is not a whole number.
        """

        def register(hook: HookT) -> HookT:
            self._context.hooks.add_before(command, hook, priority)
            return hook

        return register

    def after(self, command: str, priority: int = PRIORITY) -> Callable[[HookT], HookT]:
        """A decorator: run a hook after a command. Its result, unless None, or exception is the outcome.

        ``priority``: as for ``before``. The next hook sees the outcome of the one before it.
        """

        def register(hook: HookT) -> HookT:
            self._context.hooks.add_after(command, hook, priority)
            return hook

        return register

    def command(
        self,
        name: str,
        arguments: Mapping[str, str | ArgumentType] | None = None,
        *,
        result: str | ArgumentType = "data",
        doc: str | None = None,
        errors: Sequence[str] = (),
    ) -> Callable[[HookT], HookT]:
        """A decorator: add a command of your own, which clients call as they call the built-in ones.

        ``name``: in camel case. ``arguments``: the type of each argument by its name: ``"boolean"``,
        ``"data"``, ``"integer"``, ``"number"``, ``"object"``, ``"room"``, ``"text"``, ``"user"``, ``"users"``
        or an ``ArgumentType``. The function, plain or a coroutine function, gets the ``CommandCall`` and the
        arguments, and returns the result. What it raises is the error. If the first argument is a room,
        commands of a socket for this room run in order. ``result``, ``doc`` (default: the function's
        docstring) and ``errors`` (codes) only describe the command, for ``chat-service typings``. Raises
        ``ConfigurationError`` for a name that is taken or not allowed, and for unknown types.
        """

        def register(function: HookT) -> HookT:
            row = own_commands.make_row(
                name, function, arguments or {}, result=result, doc=doc, errors=errors
            )
            own_commands.add(self._context, row)
            return function

        return register

    def own_commands(self) -> tuple[Command, ...]:
        """The commands added with ``command``, in the order of their names."""
        return own_commands.own_rows(self._context)

    @overload
    def on(self, event: str, listener: Hook) -> Hook: ...
    @overload
    def on(self, event: str) -> Callable[[HookT], HookT]: ...
    def on(self, event: str, listener: Hook | None = None) -> Any:
        """Call a listener on each event of the service. Also works as a decorator.

        Events are ``ready``, ``closed``, ``store_consistency_failure``, ``transport_consistency_failure`` and
        ``lock_time_exceeded``. As a decorator it also sets service hooks, such as ``on_join``.
        """

        def register(function: HookT) -> HookT:
            if event in EVENTS:
                self._context.events.add(event, function)
            else:
                self._context.hooks.set(event, function)
                screening.install(self._context)
            return function

        return register if listener is None else register(listener)
