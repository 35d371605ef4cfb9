"""The options of a service, one validated field each (server-api.md, Options)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from chat_service import option_checks as checks
from chat_service.errors import ConfigurationError
from chat_service.option_group import refuse_unknown
from chat_service.redaction import repr_of


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


def _option(default: Any, check: checks.Check, doc: str, *, is_secret: bool = False) -> Any:
    metadata = {"check": check, "doc": doc, "is_secret": is_secret}
    if default is _nothing:
        return field(default_factory=_nothing, metadata=metadata, repr=not is_secret)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Options:
    """The options of a service. An invalid value raises ``ConfigurationError``."""

    host: str | None = _option(
        "127.0.0.1",
        checks.optional_text,
        'Address to listen on. The default accepts local connections only; "0.0.0.0" listens on all IPv4 '
        "addresses, None on all addresses.",
    )
    port: int = _option(8000, checks.count(0, 65535), "TCP port to listen on; 0 picks a free port.")
    namespace: str = _option("/chat-service", checks.namespace, "Socket.IO namespace of the service.")
    store: Any = _option(
        "memory", checks.plugin("memory", "redis"), 'Where state is kept: "memory", "redis" or a `Store`.'
    )
    store_options: Mapping[str, Any] = _option(_nothing, checks.mapping, "Options of the store by name.")
    transport: Any = _option(
        "socket.io",
        checks.plugins("socket.io"),
        'How clients connect: "socket.io", a `Transport`, or a list of several.',
    )
    transport_options: Mapping[str, Any] = _option(
        _nothing, checks.mapping, "Options of the transport by name."
    )
    enable_rooms_management: bool = _option(
        False, checks.boolean, "Lets clients create rooms and delete those they own."
    )
    enable_direct_messages: bool = _option(False, checks.boolean, "Lets clients send direct messages.")
    enable_direct_conversations: bool = _option(
        False, checks.boolean, "Lets clients open conversations with one other user, which are stored."
    )
    enable_userlist_updates: bool = _option(
        False, checks.boolean, "Default for new rooms: notify the room when users join and leave."
    )
    enable_access_lists_updates: bool = _option(
        False, checks.boolean, "Default for new rooms: notify the room when its access lists or mode change."
    )
    history_max_size: int = _option(
        10000,
        checks.count(0),
        "Default for new rooms: number of messages kept; 0 keeps none but still counts ids.",
    )
    history_max_bytes: int = _option(
        16 * 1024 * 1024,
        checks.count(1),
        "Default for new rooms: bytes of the messages kept, as stored. The newest message is always kept.",
    )
    history_max_get_messages: int = _option(
        100,
        checks.count(0),
        "Maximum number of messages that a user's history command returns; 0 returns none.",
    )
    history_max_get_bytes: int = _option(
        1024 * 1024,
        checks.count(1),
        "Maximum size in bytes, as stored, of the messages that a user's history command returns; the "
        "rest comes with the next request. One message is always returned.",
    )
    idempotency_window: float = _option(
        300.0,
        checks.seconds(maximum=30 * 86400),
        "Time in seconds for which the idempotency key of a sent message is remembered.",
    )
    mentions_limit: int = _option(
        0,
        checks.count(0, 100),
        "How many `@name` in the text of a room message are looked up among the members, whom its field "
        "`mentions` then lists; 0: none. A message with an `@` then needs one more request to the store.",
    )
    reactions_limit: int = _option(
        50, checks.count(0), "Maximum number of different reactions to one message; then `limitExceeded`."
    )
    login_timeout: float = _option(
        10.0,
        checks.seconds(),
        "Maximum time in seconds for `on_connect`; then the login is rejected with `timeout`.",
    )
    hook_timeout: float | None = _option(
        30.0,
        checks.optional(checks.seconds()),
        "Maximum time in seconds for a hook or a handler of a custom event; then it is cancelled and the "
        "command fails with `timeout`. None: no limit. `on_connect` and `on_refresh` have `login_timeout`.",
    )
    command_rate: float | None = _option(
        100.0,
        checks.optional(checks.seconds()),
        "Commands and custom events a second that a user may send to this instance, before others get "
        "`rateLimited`. None: no limit.",
    )
    command_burst: int = _option(
        500, checks.count(1), "Number of commands that a user may send at once, beyond `command_rate`."
    )
    rate_limit_disconnect: int | None = _option(
        1000,
        checks.optional(checks.count(0)),
        "Number of commands refused in a row after which a socket is disconnected. None: never.",
    )
    room_message_rate: float | None = _option(
        None,
        checks.optional(checks.rate),
        "Messages a second that a user may send to one room, counted in the store for all instances; others "
        "get `rateLimited`. None: no limit, and no work in the store.",
    )
    room_message_burst: int = _option(
        20,
        checks.count(1),
        "Number of messages that a user may send to one room at once, beyond `room_message_rate`.",
    )
    room_event_rate: float | None = _option(
        20.0,
        checks.optional(checks.seconds()),
        "Ephemeral events (`roomEvent`) a second that a user may send to this instance, for all rooms "
        "together; others get `rateLimited`. None: no limit.",
    )
    room_event_burst: int = _option(
        40, checks.count(1), "Number of ephemeral events that a user may send at once, beyond their rate."
    )
    login_rate: float | None = _option(
        None,
        checks.optional(checks.rate),
        "Logins a second of a user on all instances; others are rejected with `rateLimited`. None: no limit.",
    )
    login_burst: int = _option(
        20, checks.count(1), "Number of logins of a user that may happen at once, beyond `login_rate`."
    )
    room_create_rate: float | None = _option(
        None,
        checks.optional(checks.rate),
        "Rooms a second that a user may try to create on all instances; others get `rateLimited`. None: no "
        "limit.",
    )
    room_create_burst: int = _option(
        10,
        checks.count(1),
        "Number of rooms that a user may try to create at once, beyond `room_create_rate`.",
    )
    rooms_owned_limit: int | None = _option(
        None,
        checks.optional(checks.count(1)),
        "Maximum number of rooms that a user may own by `roomCreate`, which then gets `limitExceeded`. Rooms "
        "that server code creates do not count. None: no limit.",
    )
    rooms_per_socket_limit: int = _option(
        1000, checks.count(1), "Maximum number of rooms that a socket may join; then `limitExceeded`."
    )
    own_rooms_limit: int = _option(
        0,
        checks.count(0),
        "Number of joined rooms that stay in a user's list (`listOwnRooms`) when connections end; further "
        "ones are not listed. Conversations do not count. 0: only conversations are listed.",
    )
    conversations_limit: int = _option(
        1000,
        checks.count(1),
        "Maximum number of conversations in a user's list; then `directOpen` gets `limitExceeded`.",
    )
    sockets_per_user_limit: int = _option(
        1000,
        checks.count(1),
        "Maximum number of sockets of a user on all instances; then logins get `limitExceeded`.",
    )
    own_sockets_answer_limit: int = _option(
        20_000,
        checks.count(1),
        "Maximum number of sockets and of the rooms of each, counted together, in an answer to "
        "`listOwnSockets`; then `limitExceeded`.",
    )
    login_expiry_notice: float = _option(
        60.0,
        checks.seconds(zero=True),
        "Time in seconds before the end of a login at which its client gets `loginExpiring`.",
    )
    login_expiry_grace: float = _option(
        25.0,
        checks.seconds(zero=True),
        "Time in seconds after the end of a login at which its socket is disconnected.",
    )
    seen_limit: int = _option(
        10_000,
        checks.count(0),
        "Number of users of whom a room remembers when they last joined or left; those who left long ago are "
        "forgotten first.",
    )
    read_marks_limit: int = _option(
        10_000,
        checks.count(1),
        "Number of users of whom a room remembers how far they have read; of users who are not in the room, "
        "low marks are forgotten first.",
    )
    user_ttl: float | None = _option(
        None,
        checks.optional(checks.seconds(maximum=checks.MAX_TTL)),
        "Time in seconds for which a user without sockets, names in lists and whitelist mode is remembered. "
        "None: forever.",
    )
    empty_ttl: float | None = _option(
        None,
        checks.optional(checks.seconds(maximum=checks.MAX_TTL)),
        "Default for new rooms: time in seconds after which a room without joined users is deleted. None: "
        "never.",
    )
    conversation_ttl: float | None = _option(
        None,
        checks.optional(checks.seconds(maximum=checks.MAX_TTL)),
        "Time in seconds after which a conversation that neither of the two has joined is deleted. None: "
        "never.",
    )
    history_ttl: float | None = _option(
        None,
        checks.optional(checks.seconds(maximum=checks.MAX_TTL)),
        "Default for new rooms: age in seconds at which messages are dropped. None: never.",
    )
    early_commands_limit: int = _option(
        100,
        checks.count(0),
        "Maximum number of commands and custom events of one socket that wait for its login; others get "
        "`noLogin`.",
    )
    direct_list_size_limit: int = _option(
        1000, checks.count(0), "Maximum number of names in a user's access list."
    )
    room_list_size_limit: int = _option(
        10000, checks.count(0), "Maximum number of names in a room's access list."
    )
    names_per_command_limit: int = _option(
        1000,
        checks.count(1),
        "Maximum number of names in one command that changes an access list or counts unread messages.",
    )
    members_per_page_limit: int = _option(
        100,
        checks.count(1),
        "Maximum number of members in one answer of a user's `roomGetStatus`; the rest comes with the next "
        "page.",
    )
    details_size_limit: int = _option(
        1024, checks.count(1), "Maximum size in bytes, as JSON, of the details of a socket in a room."
    )
    name_length_limit: int = _option(
        256, checks.count(1), "Maximum length of a user or room name, in characters."
    )
    message_size_limit: int = _option(
        1024 * 1024,
        checks.count(1),
        "Maximum size in bytes, as JSON, of one message or of system message data; larger ones get "
        "`messageTooLarge`.",
    )
    message_depth_limit: int = _option(
        32, checks.count(1, 128), "Maximum nesting depth of a message or of system message data."
    )
    room_event_size_limit: int = _option(
        16 * 1024,
        checks.count(1),
        "Maximum size in bytes, as JSON, of the data of an ephemeral event; larger ones get "
        "`messageTooLarge`.",
    )
    max_attachments: int = _option(
        10,
        checks.count(0, 256),
        "Maximum number of binary values in one message and in one outgoing packet. Current "
        "socket.io-client versions disconnect above 10.",
    )
    use_raw_error_objects: bool = _option(
        False,
        checks.boolean,
        "Sends errors to clients as objects with name, code and args instead of strings.",
    )
    expose_internal_errors: bool = _option(
        False, checks.boolean, "Sends the text of unexpected exceptions to clients. For debugging only."
    )
    receive_backlog_limit: int = _option(
        1024 * 1024,
        checks.count(1),
        "Maximum size in bytes of a socket's events that wait for the hook `on_message_receive`; beyond it "
        "the socket is disconnected as a slow consumer.",
    )
    close_timeout: float = _option(
        15.0, checks.seconds(zero=True), "Maximum time in seconds to wait for running commands on close."
    )
    heartbeat_rate: float = _option(
        10.0, checks.seconds(), "Time in seconds between two heartbeats of an instance."
    )
    heartbeat_timeout: float = _option(
        30.0, checks.seconds(), "Time in seconds without a heartbeat after which an instance counts as dead."
    )
    auto_recovery: bool = _option(
        True, checks.boolean, "Recovers other instances whose heartbeats have stopped."
    )
    bus_ack_timeout: float = _option(
        5.0, checks.seconds(), "Maximum time in seconds to wait for another instance's answer."
    )
    operations_port: int | None = _option(
        None,
        checks.optional(checks.count(0, 65535)),
        "TCP port of `/metrics`, `/healthz` and `/readyz`; 0 picks a free port, None turns them off.",
    )
    operations_host: str = _option(
        "127.0.0.1",
        checks.text,
        "Address of the operations port. Anyone who can reach it can read the metrics.",
    )
    api_options: Mapping[str, Any] = _option(
        _nothing,
        checks.mapping,
        "Options of the HTTP API by name. With a token in `tokens` or `tokens_file`, the operations port "
        "also serves the API, at `/api`.",
        is_secret=True,
    )
    webhook_options: Mapping[str, Any] = _option(
        _nothing,
        checks.mapping,
        "Options of webhooks by name: a back end that makes decisions and receives events over HTTP.",
        is_secret=True,
    )
    drain_delay: float = _option(
        0.0,
        checks.seconds(zero=True),
        "Time in seconds between becoming unready and disconnecting clients in a drain.",
    )
    drain_seconds: float = _option(
        5.0,
        checks.seconds(zero=True),
        "Time in seconds over which a drain spreads the disconnects of many clients.",
    )
    tracing: Any = _option(
        False,
        checks.tracing,
        "Creates an OpenTelemetry span per command: True for the global tracer provider, or a provider.",
    )

    def __repr__(self) -> str:
        return repr_of(self)

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if item.metadata["is_secret"] and value and not isinstance(value, Mapping):
                value = type(value)
            checks.check_option(item.name, value, item.metadata["check"])
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
