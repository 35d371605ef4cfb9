"""Creates the parts of a service from its options."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from chat_service.clock import Clock
from chat_service.commands import sockets
from chat_service.commands.table import COMMANDS
from chat_service.concurrency.running import Background, RunningWork
from chat_service.concurrency.serial import SerialQueue
from chat_service.contracts.capabilities import (
    BoundsCommands,
    SendsTogether,
    TakesCommands,
    history_deliveries,
)
from chat_service.contracts.store import Store
from chat_service.contracts.transport import Transport
from chat_service.domain import access_loss, recovery
from chat_service.domain.ban_watch import BanWatch
from chat_service.domain.context import Context, Identity
from chat_service.domain.delivery import Delivery
from chat_service.domain.emitter import EventEmitter, FailureReports
from chat_service.domain.login_expiry import LoginExpiry
from chat_service.domain.pace import RateLimit, SharedRates
from chat_service.domain.remote import PulseWatch, RemoteCalls
from chat_service.domain.sessions import Sessions
from chat_service.errors import ConfigurationError
from chat_service.hooks import EVENTS, Hooks
from chat_service.option_group import is_seconds, refuse_unknown
from chat_service.options import Options
from chat_service.protocol.arguments import Limits
from chat_service.protocol.wire import ErrorEncoder
from chat_service.stores.memory import MemoryStore
from chat_service.stores.redis import RedisStore
from chat_service.telemetry import Counters
from chat_service.transports.socketio import SocketIOTransport
from chat_service.transports.transport_group import TransportGroup, share_port
from chat_service.version import __version__

#: Default of the store option ``lock_ttl``, in seconds.
DEFAULT_LOCK_TTL = 10.0

#: The options that all stores have, with their docs.
STORE_OPTIONS: Final = {
    "lock_ttl": "Time in seconds after which `lock_time_exceeded` reports a running join or leave.",
}


def make_store(options: Options) -> Store:
    """The store named by the options, or the given one."""
    if options.store == "memory":
        refuse_unknown("store_options", options.store_options, list(STORE_OPTIONS))
        return MemoryStore()
    if options.store == "redis":
        return RedisStore(options.store_options)
    _check_methods("store", options.store, Store)
    # A store created elsewhere already has its options.
    refuse_unknown("store_options", options.store_options, list(STORE_OPTIONS))
    store: Store = options.store
    return store


def make_transport(options: Options) -> Transport:
    """The transport named by the options, or the given one, or a group of several."""
    given = options.transport
    is_list = isinstance(given, list | tuple)
    members = [_make_transport(options, each) for each in (given if is_list else [given])]
    share_port(members, options.host, options.port)
    return members[0] if len(members) == 1 else TransportGroup(members)


def _make_transport(options: Options, given: Any) -> Transport:
    if given == "socket.io":
        return SocketIOTransport(
            host=options.host,
            port=options.port,
            namespace=options.namespace,
            options=options.transport_options,
            expose_internal_errors=options.expose_internal_errors,
            max_attachments=options.max_attachments,
            use_raw_error_objects=options.use_raw_error_objects,
            login_timeout=options.login_timeout,
        )
    _check_methods("transport", given, Transport)
    is_list = isinstance(options.transport, list | tuple)
    if options.transport_options and not (is_list and "socket.io" in options.transport):
        names = ", ".join(options.transport_options)
        raise ConfigurationError(f"transport_options {names}: not possible for a transport created elsewhere")
    transport: Transport = given
    return transport


def _check_methods(option: str, plugin: Any, protocol: type) -> None:
    names = [name for name in vars(protocol) if not name.startswith("_")]
    missing = [name for name in names if not hasattr(type(plugin), name)]
    if missing:
        raise ConfigurationError(
            f"option {option}: {type(plugin).__name__} lacks {', '.join(missing)} of {protocol.__name__}"
        )


def lock_ttl(store_options: Mapping[str, Any]) -> float:
    """The store option ``lock_ttl``, in seconds."""
    value = store_options.get("lock_ttl", DEFAULT_LOCK_TTL)
    if not is_seconds(value):
        raise ConfigurationError(f"store_options lock_ttl: expected seconds, more than 0, got {value!r}")
    return float(value)


def make_tracing(provider: Any, commands: Mapping[str, Any]) -> Any:
    """Creates the tracing. ``provider``: True for the global one. ``commands``: their rows by name."""
    try:
        from chat_service.operations.tracing import Tracing
    except ImportError as error:
        raise ConfigurationError(f"option tracing requires the package opentelemetry-api: {error}") from None
    return Tracing(None if provider is True else provider, __version__, commands)


def make_context(
    service: Any,
    options: Options,
    hooks: Hooks,
    clock: Clock,
    cluster_events: EventEmitter,
    running: RunningWork,
) -> Context:
    """Wire the parts of a service."""
    store, transport = make_store(options), make_transport(options)
    errors = ErrorEncoder(raw=options.use_raw_error_objects, expose_internal=options.expose_internal_errors)
    events = EventEmitter(running, EVENTS)
    identity = Identity()
    sessions = Sessions()
    hooks.timeout = options.hook_timeout
    remote = RemoteCalls(lambda: store.bus, identity, errors, options.bus_ack_timeout)
    limits = Limits(
        name_length=options.name_length_limit,
        message_depth=options.message_depth_limit,
        attachments=options.max_attachments,
        names=options.names_per_command_limit,
        message_size=options.message_size_limit,
        event_size=options.room_event_size_limit,
        details_size=options.details_size_limit,
    )
    context = Context(
        service=service,
        options=options,
        limits=limits,
        trusted_limits=replace(limits, names=None, message_size=None, event_size=None),
        rates=SharedRates.of(options),
        event_rate=RateLimit(options.room_event_rate, options.room_event_burst),
        hooks=hooks,
        store=store,
        transport=transport,
        history_delivery=history_deliveries(transport),
        clock=clock,
        errors=errors,
        events=events,
        failures=FailureReports(events, lock_ttl(options.store_options)),
        running=running,
        background=Background(),
        sessions=sessions,
        bans=BanWatch(store, transport, sessions, running),
        serial=SerialQueue(),
        delivery=Delivery(transport, lambda: store.bus),
        remote=remote,
        login_expiry=LoginExpiry(
            transport, clock, notice=options.login_expiry_notice, grace=options.login_expiry_grace
        ),
        instance_id=identity,
        counters=Counters(COMMANDS),
        commands=dict(COMMANDS),
        store_timeout=store.command_timeout if isinstance(store, BoundsCommands) else None,
        sends_together=store if isinstance(store, SendsTogether) else None,
        watch=PulseWatch(options.heartbeat_rate, options.heartbeat_timeout),
        application_events=cluster_events,
    )
    if isinstance(transport, TakesCommands):
        transport.take_commands(lambda: context.commands)
    if options.tracing is not False:
        context.tracing = make_tracing(options.tracing, context.commands)
    for module in (sockets, access_loss, recovery):
        module.register_remote(context)
    return context


def make_hooks(source: Any) -> Hooks:
    """The hooks of a service."""
    return Hooks(source, COMMANDS)
