"""The context that all parts of a service share."""

from dataclasses import dataclass
from typing import Any, Protocol

from chat_service.clock import Clock
from chat_service.concurrency.running import Background, RunningWork
from chat_service.concurrency.serial import SerialQueue
from chat_service.contracts.capabilities import HistoryDeliveries, SendsTogether
from chat_service.contracts.store import Store
from chat_service.contracts.transport import Transport
from chat_service.domain.ban_watch import BanWatch
from chat_service.domain.delivery import Delivery
from chat_service.domain.emitter import EventEmitter, FailureReports
from chat_service.domain.login_expiry import LoginExpiry
from chat_service.domain.pace import RateLimit, SharedRates
from chat_service.domain.remote import PulseWatch, RemoteCalls
from chat_service.domain.sessions import Sessions
from chat_service.errors import ServiceClosedError
from chat_service.hooks import Hooks
from chat_service.options import Options
from chat_service.protocol.arguments import Limits
from chat_service.protocol.wire import ErrorEncoder
from chat_service.telemetry import Counters
from chat_service.types import InstanceId


class Identity:
    """The id of this instance: empty until it starts, and replaced when it starts over.

    It is created at the start, because a process may be forked after making the service.
    """

    def __init__(self) -> None:
        self.value = InstanceId("")

    def __call__(self) -> InstanceId:
        return self.value


class Standing(Protocol):
    """Whether other instances may consider this one dead (see ``Lease``)."""

    def is_valid(self) -> bool:
        """Whether no other instance can consider this one dead."""
        ...


@dataclass(slots=True, eq=False, kw_only=True)
class Context:
    """The parts of one service, for the functions that work with them."""

    #: The ``ChatService``, for hooks.
    service: Any
    options: Options
    limits: Limits
    #: Those of server code: hooks, and calls with ``bypass_permissions``.
    trusted_limits: Limits
    rates: SharedRates
    #: How fast a user may send ephemeral events on this instance.
    event_rate: RateLimit
    hooks: Hooks
    store: Store
    transport: Transport
    history_delivery: HistoryDeliveries
    clock: Clock
    errors: ErrorEncoder
    events: EventEmitter
    failures: FailureReports
    running: RunningWork
    #: Tasks that run as long as the service.
    background: Background
    sessions: Sessions
    bans: BanWatch
    #: Keys are (socket, room), and (socket, None) for the life of a socket.
    serial: SerialQueue
    delivery: Delivery
    remote: RemoteCalls
    login_expiry: LoginExpiry
    instance_id: Identity
    counters: Counters
    #: The rows of the command table by name, with the application's own commands.
    commands: dict[str, Any]
    #: This instance's observations of the others.
    watch: PulseWatch
    #: Application events from the cluster bus.
    application_events: EventEmitter
    #: None before the start.
    lease: Standing | None = None
    #: ``operations.tracing.Tracing`` when spans are on.
    tracing: Any = None
    #: Maximum time in seconds for a command's work in the store; None: the store does not limit it.
    store_timeout: float | None = None
    #: The store, if it takes several messages at once.
    sends_together: SendsTogether | None = None
    #: Between start and close.
    is_open: bool = False
    #: Clients are being disconnected before a close.
    is_draining: bool = False

    def check_open(self) -> None:
        """Raise ``ServiceClosedError`` unless the service is running."""
        if not self.is_open:
            raise ServiceClosedError("the service is not running: start it first")
