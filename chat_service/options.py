"""The options of a service, one validated field each (server-api.md, Options)."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from chat_service.errors import ConfigurationError
from chat_service.option_group import is_finite_number, refuse_unknown
from chat_service.redaction import repr_of


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


#: The longest time in seconds for which something can be kept before it is dropped: 31 years.
MAX_TTL = 1_000_000_000

#: Checks one value: returns what was expected if the value is invalid, else None.
Check = Callable[[Any], str | None]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "True or False"


def _count(minimum: int, maximum: int = 2**53 - 1) -> Check:
    def check(value: Any) -> str | None:
        if _is_int(value) and minimum <= value <= maximum:
            return None
        return f"a whole number from {minimum} to {maximum}"

    return check


def _seconds(*, zero: bool = False, maximum: float = math.inf) -> Check:
    def check(value: Any) -> str | None:
        if is_finite_number(value) and (value > 0 or (zero and value == 0)) and value <= maximum:
            return None
        limit = "" if maximum == math.inf else f", at most {maximum}"
        return "seconds, " + ("0 or more" if zero else "more than 0") + limit

    return check


#: The slowest and the fastest shared rate: once in 11 days, and once in a microsecond.
SLOWEST, FASTEST = 1e-6, 1e6


def _rate(value: Any) -> str | None:
    if (_is_int(value) or isinstance(value, float)) and SLOWEST <= value <= FASTEST:
        return None
    return f"a number a second, from {SLOWEST:f} to {FASTEST:.0f}"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "a non-empty string"


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _namespace(value: Any) -> str | None:
    if isinstance(value, str) and value.startswith("/") and "," not in value and "?" not in value:
        return None
    return 'a string that starts with "/" and has no "," or "?"'


def _mapping(value: Any) -> str | None:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return None
    return "a mapping of option names to values"


def _plugin(*names: str) -> Check:
    def check(value: Any) -> str | None:
        if isinstance(value, str):
            return None if value in names else " or ".join(map(repr, names)) + ", or an object"
        if value is None or isinstance(value, bool | int | float | bytes | type):
            return " or ".join(map(repr, names)) + ", or an object"
        return None

    return check


def _tracing(value: Any) -> str | None:
    if isinstance(value, bool) or callable(getattr(value, "get_tracer", None)):
        return None
    return "True, False or an OpenTelemetry TracerProvider"


def _option(default: Any, check: Check, doc: str, *, is_secret: bool = False) -> Any:
    metadata = {"check": check, "doc": doc, "is_secret": is_secret}
    if default is _nothing:
        return field(default_factory=_nothing, metadata=metadata, repr=not is_secret)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Options:
    """The options of a service. An invalid value raises ``ConfigurationError``."""

    host: str | None = _option(
        "127.0.0.1",
        _optional_text,
        'Address to listen on. The default accepts local connections only; "0.0.0.0" listens on all IPv4 '
        "addresses, None on all addresses.",
    )
    port: int = _option(8000, _count(0, 65535), "TCP port to listen on; 0 picks a free port.")
    namespace: str = _option("/chat-service", _namespace, "Socket.IO namespace of the service.")
    store: Any = _option(
        "memory", _plugin("memory", "redis"), 'Where state is kept: "memory", "redis" or a `Store`.'
    )
    store_options: Mapping[str, Any] = _option(_nothing, _mapping, "Options of the store by name.")
    transport: Any = _option(
        "socket.io", _plugin("socket.io"), 'How clients connect: "socket.io" or a `Transport`.'
    )
    transport_options: Mapping[str, Any] = _option(_nothing, _mapping, "Options of the transport by name.")
    enable_rooms_management: bool = _option(
        False, _boolean, "Lets clients create rooms and delete those they own."
    )
    enable_direct_messages: bool = _option(False, _boolean, "Lets clients send direct messages.")
    enable_userlist_updates: bool = _option(
        False, _boolean, "Default for new rooms: notify the room when users join and leave."
    )
    enable_access_lists_updates: bool = _option(
        False, _boolean, "Default for new rooms: notify the room when its access lists or mode change."
    )
    history_max_size: int = _option(
        10000, _count(0), "Default for new rooms: number of messages kept; 0 keeps none but still counts ids."
    )
    history_max_bytes: int = _option(
        16 * 1024 * 1024,
        _count(1),
        "Default for new rooms: bytes of the messages kept, as stored. The newest message is always kept.",
    )
    history_max_get_messages: int = _option(
        100, _count(0), "Maximum number of messages that a user's history command returns; 0 returns none."
    )
    history_max_get_bytes: int = _option(
        1024 * 1024,
        _count(1),
        "Maximum size in bytes, as stored, of the messages that a user's history command returns; the "
        "rest comes with the next request. One message is always returned.",
    )
    idempotency_window: float = _option(
        300.0,
        _seconds(maximum=30 * 86400),
        "Time in seconds for which the idempotency key of a sent message is remembered.",
    )
    login_timeout: float = _option(
        10.0,
        _seconds(),
        "Maximum time in seconds for `on_connect`; then the login is rejected with `timeout`.",
    )
    hook_timeout: float | None = _option(
        30.0,
        _optional(_seconds()),
        "Maximum time in seconds for a hook or a handler of a custom event; then it is cancelled and the "
        "command fails with `timeout`. None: no limit. `on_connect` and `on_refresh` have `login_timeout`.",
    )
    command_rate: float | None = _option(
        100.0,
        _optional(_seconds()),
        "Commands and custom events a second that a user may send to this instance, before others get "
        "`rateLimited`. None: no limit.",
    )
    command_burst: int = _option(
        500, _count(1), "Number of commands that a user may send at once, beyond `command_rate`."
    )
    rate_limit_disconnect: int | None = _option(
        1000,
        _optional(_count(0)),
        "Number of commands refused in a row after which a socket is disconnected. None: never.",
    )
    room_message_rate: float | None = _option(
        None,
        _optional(_rate),
        "Messages a second that a user may send to one room, counted in the store for all instances; others "
        "get `rateLimited`. None: no limit, and no work in the store.",
    )
    room_message_burst: int = _option(
        20,
        _count(1),
        "Number of messages that a user may send to one room at once, beyond `room_message_rate`.",
    )
    login_rate: float | None = _option(
        None,
        _optional(_rate),
        "Logins a second of a user on all instances; others are rejected with `rateLimited`. None: no limit.",
    )
    login_burst: int = _option(
        20, _count(1), "Number of logins of a user that may happen at once, beyond `login_rate`."
    )
    room_create_rate: float | None = _option(
        None,
        _optional(_rate),
        "Rooms a second that a user may try to create on all instances; others get `rateLimited`. None: no "
        "limit.",
    )
    room_create_burst: int = _option(
        10, _count(1), "Number of rooms that a user may try to create at once, beyond `room_create_rate`."
    )
    rooms_owned_limit: int | None = _option(
        None,
        _optional(_count(1)),
        "Maximum number of rooms that a user may own by `roomCreate`, which then gets `limitExceeded`. Rooms "
        "that server code creates do not count. None: no limit.",
    )
    rooms_per_socket_limit: int = _option(
        1000, _count(1), "Maximum number of rooms that a socket may join; then `limitExceeded`."
    )
    sockets_per_user_limit: int = _option(
        1000,
        _count(1),
        "Maximum number of sockets of a user on all instances; then logins get `limitExceeded`.",
    )
    login_expiry_notice: float = _option(
        60.0,
        _seconds(zero=True),
        "Time in seconds before the end of a login at which its client gets `loginExpiring`.",
    )
    login_expiry_grace: float = _option(
        25.0,
        _seconds(zero=True),
        "Time in seconds after the end of a login at which its socket is disconnected.",
    )
    seen_limit: int = _option(
        10_000,
        _count(0),
        "Number of users of whom a room remembers when they last joined or left; those who left long ago are "
        "forgotten first.",
    )
    user_ttl: float | None = _option(
        None,
        _optional(_seconds(maximum=MAX_TTL)),
        "Time in seconds for which a user without sockets, names in lists and whitelist mode is remembered. "
        "None: forever.",
    )
    empty_ttl: float | None = _option(
        None,
        _optional(_seconds(maximum=MAX_TTL)),
        "Default for new rooms: time in seconds after which a room without joined users is deleted. None: "
        "never.",
    )
    history_ttl: float | None = _option(
        None,
        _optional(_seconds(maximum=MAX_TTL)),
        "Default for new rooms: age in seconds at which messages are dropped. None: never.",
    )
    early_commands_limit: int = _option(
        100,
        _count(0),
        "Maximum number of commands and custom events of one socket that wait for its login; others get "
        "`noLogin`.",
    )
    direct_list_size_limit: int = _option(1000, _count(0), "Maximum number of names in a user's access list.")
    room_list_size_limit: int = _option(10000, _count(0), "Maximum number of names in a room's access list.")
    names_per_command_limit: int = _option(
        1000, _count(1), "Maximum number of names in one command that changes an access list."
    )
    name_length_limit: int = _option(256, _count(1), "Maximum length of a user or room name, in characters.")
    message_size_limit: int = _option(
        1024 * 1024,
        _count(1),
        "Maximum size in bytes, as JSON, of one message or of system message data; larger ones get "
        "`messageTooLarge`.",
    )
    message_depth_limit: int = _option(
        32, _count(1, 128), "Maximum nesting depth of a message or of system message data."
    )
    max_attachments: int = _option(
        10,
        _count(0, 256),
        "Maximum number of binary values in one message and in one outgoing packet. Current "
        "socket.io-client versions disconnect above 10.",
    )
    use_raw_error_objects: bool = _option(
        False, _boolean, "Sends errors to clients as objects with name, code and args instead of strings."
    )
    expose_internal_errors: bool = _option(
        False, _boolean, "Sends the text of unexpected exceptions to clients. For debugging only."
    )
    close_timeout: float = _option(
        15.0, _seconds(zero=True), "Maximum time in seconds to wait for running commands on close."
    )
    heartbeat_rate: float = _option(
        10.0, _seconds(), "Time in seconds between two heartbeats of an instance."
    )
    heartbeat_timeout: float = _option(
        30.0, _seconds(), "Time in seconds without a heartbeat after which an instance counts as dead."
    )
    auto_recovery: bool = _option(True, _boolean, "Recovers other instances whose heartbeats have stopped.")
    bus_ack_timeout: float = _option(
        5.0, _seconds(), "Maximum time in seconds to wait for another instance's answer."
    )
    operations_port: int | None = _option(
        None,
        _optional(_count(0, 65535)),
        "TCP port of `/metrics`, `/healthz` and `/readyz`; 0 picks a free port, None turns them off.",
    )
    operations_host: str = _option(
        "127.0.0.1", _text, "Address of the operations port. Anyone who can reach it can read the metrics."
    )
    api_options: Mapping[str, Any] = _option(
        _nothing,
        _mapping,
        "Options of the HTTP API by name. With a token in `tokens` or `tokens_file`, the operations port "
        "also serves the API, at `/api`.",
        is_secret=True,
    )
    webhook_options: Mapping[str, Any] = _option(
        _nothing,
        _mapping,
        "Options of webhooks by name: a back end that makes decisions and receives events over HTTP.",
        is_secret=True,
    )
    drain_delay: float = _option(
        0.0,
        _seconds(zero=True),
        "Time in seconds between becoming unready and disconnecting clients in a drain.",
    )
    drain_seconds: float = _option(
        5.0,
        _seconds(zero=True),
        "Time in seconds over which a drain spreads the disconnects of many clients.",
    )
    tracing: Any = _option(
        False,
        _tracing,
        "Creates an OpenTelemetry span per command: True for the global tracer provider, or a provider.",
    )

    def __repr__(self) -> str:
        return repr_of(self)

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.metadata["is_secret"] and value and not isinstance(value, Mapping):
                value = type(value)
            check_option(item.name, value, item.metadata["check"])
        if self.heartbeat_timeout <= self.heartbeat_rate:
            raise ConfigurationError(
                f"option heartbeat_timeout ({self.heartbeat_timeout} s) must be longer than "
                f"heartbeat_rate ({self.heartbeat_rate} s)"
            )

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> "Options":
        """Create options from keyword arguments. An unknown name raises ``ConfigurationError``."""
        refuse_unknown("option", keywords, [item.name for item in fields(cls)])
        return cls(**keywords)


def check_option(name: str, value: Any, check: Check) -> None:
    """Raise ``ConfigurationError`` with the option's name, what was expected and what was given."""
    expected = check(value)
    if expected is not None:
        raise ConfigurationError(f"option {name}: expected {expected}, got {value!r}")
