"""Options: the values that each refuses, and the error texts. Other tests cover their effects."""

import dataclasses
from typing import Any

import pytest

from chat_service import ChatService, ConfigurationError, MemoryStore, Options
from chat_service.testing import InProcessTransport
from tests.support.world import World

BOOLEAN = "expected True or False"
NAN = float("nan")
A_SECOND = "expected a number a second, from 0.000001 to 1000000"
BIG = 2**53 - 1
#: Valid and invalid values of expiry times.
TTLS = ([None, 0.05, 3600, 1_000_000_000], [0, -1, 1_000_000_001, True, "5", float("nan"), float("inf")])

#: Valid values of each option, invalid ones, and the error texts.
VALUES: dict[str, tuple[list[Any], list[Any], str]] = {
    "host": ([None, "127.0.0.1", "::1"], ["", 5, b"x"], "expected a non-empty string"),
    "port": ([0, 1, 65535], [-1, 65536, "80", 80.0, None, True], "expected a whole number from 0 to 65535"),
    "namespace": (
        ["/", "/chat", "/a/b"],
        ["", "chat", "/a,b", "/a?b", None, 5],
        'expected a string that starts with "/"',
    ),
    "store": (
        ["memory", MemoryStore()],
        ["disk", "", None, 5, True, MemoryStore],
        "expected 'memory' or 'redis', or an object",
    ),
    "store_options": (
        [{}, {"lock_ttl": 1}],
        [None, 5, [], "x", {1: 2}],
        "expected a mapping of option names to values",
    ),
    "transport": (
        ["socket.io", InProcessTransport(), ["socket.io"], ("socket.io", InProcessTransport())],
        ["smoke", None, 5, InProcessTransport, [], ["smoke"], [None], ["socket.io"] * 2, [["socket.io"]]],
        "expected 'socket.io', or an object",
    ),
    "transport_options": (
        [{}, {"ping_interval": 1}],
        [None, [], {1: 2}],
        "expected a mapping of option names to values",
    ),
    "enable_rooms_management": ([True, False], [1, 0, None, "yes"], BOOLEAN),
    "enable_direct_messages": ([True, False], [1, None, "true"], BOOLEAN),
    "enable_direct_conversations": ([True, False], [1, None, "on"], BOOLEAN),
    "enable_userlist_updates": ([True, False], [1, None], BOOLEAN),
    "enable_access_lists_updates": ([True, False], [1, None], BOOLEAN),
    "history_max_size": (
        [0, 1, BIG],
        [-1, BIG + 1, 1.5, "1", None, True],
        f"expected a whole number from 0 to {BIG}",
    ),
    "history_max_get_messages": (
        [0, 1, BIG],
        [-1, 1.0, None, True],
        f"expected a whole number from 0 to {BIG}",
    ),
    "names_per_command_limit": (
        [1, 1000, BIG],
        [0, -1, 1.0, None, True],
        f"expected a whole number from 1 to {BIG}",
    ),
    "members_per_page_limit": (
        [1, 1000, BIG],
        [0, -1, 1.0, None, True],
        f"expected a whole number from 1 to {BIG}",
    ),
    "details_size_limit": (
        [1, 1024, BIG],
        [0, -1, 1.0, None, True],
        f"expected a whole number from 1 to {BIG}",
    ),
    "message_size_limit": (
        [1, 2**20, BIG],
        [0, -1, 1.0, None, True],
        f"expected a whole number from 1 to {BIG}",
    ),
    "history_max_bytes": (
        [1, 2**24, BIG],
        [0, -1, 1.0, None, True],
        f"expected a whole number from 1 to {BIG}",
    ),
    "history_max_get_bytes": (
        [1, 2**20, BIG],
        [0, -1, 1.0, None, True],
        f"expected a whole number from 1 to {BIG}",
    ),
    "idempotency_window": (
        [0.001, 300, 30 * 86400],
        [0, -1, 30 * 86400 + 1, None, True, "5", float("nan"), float("inf")],
        "expected seconds, more than 0, at most 2592000",
    ),
    "mentions_limit": ([0, 100], [-1, 101, 1.5, None, True], "expected a whole number from 0 to 100"),
    "reactions_limit": ([0, 50], [-1, 1.5, None, True], f"expected a whole number from 0 to {BIG}"),
    "login_timeout": ([0.1, 10], [0, -1, None, True, "5"], "expected seconds, more than 0"),
    "hook_timeout": ([0.1, 10, None], [0, -1, True, "5"], "expected seconds, more than 0"),
    "command_rate": ([0.1, 100, None], [0, -1, True, "5"], "expected seconds, more than 0"),
    "command_burst": ([1, 5], [0, 1.5, None, False], f"expected a whole number from 1 to {BIG}"),
    "rate_limit_disconnect": ([0, 5, None], [-1, 1.5, False], f"expected a whole number from 0 to {BIG}"),
    "room_message_rate": ([1e-6, 0.5, 5, 10**6, None], [0, -1, 1e-7, 10**6 + 1, True, "5", NAN], A_SECOND),
    "room_message_burst": ([1, 5], [0, 1.5, None, False], f"expected a whole number from 1 to {BIG}"),
    "login_rate": ([1e-6, 0.5, 5, None], [0, -1, True, "5", NAN], A_SECOND),
    "login_burst": ([1, 5], [0, 1.5, None, False], f"expected a whole number from 1 to {BIG}"),
    "room_create_rate": ([1e-6, 0.5, 5, None], [0, -1, True, "5", NAN], A_SECOND),
    "room_create_burst": ([1, 5], [0, 1.5, None, False], f"expected a whole number from 1 to {BIG}"),
    "rooms_owned_limit": ([1, 5, None], [0, 1.5, False], f"expected a whole number from 1 to {BIG}"),
    "rooms_per_socket_limit": ([1, 5], [0, 1.5, None], f"expected a whole number from 1 to {BIG}"),
    "own_rooms_limit": ([0, 5], [-1, 1.5, None, False], f"expected a whole number from 0 to {BIG}"),
    "conversations_limit": ([1, 5], [0, 1.5, None, True], f"expected a whole number from 1 to {BIG}"),
    "own_sockets_answer_limit": ([1, 5], [0, 1.5, None], f"expected a whole number from 1 to {BIG}"),
    "sockets_per_user_limit": ([1, 5], [0, 1.5, None], f"expected a whole number from 1 to {BIG}"),
    "login_expiry_notice": ([0, 60.5], [-1, None, True], "expected seconds, 0 or more"),
    "login_expiry_grace": ([0, 60.5], [-1, None, True], "expected seconds, 0 or more"),
    "seen_limit": ([0, 5], [-1, 1.5, None, False], f"expected a whole number from 0 to {BIG}"),
    "read_marks_limit": ([1, 5], [0, -1, 1.5, None, False], f"expected a whole number from 1 to {BIG}"),
    "room_event_rate": ([0.1, 100, None], [0, -1, True, "5", NAN], "expected seconds, more than 0"),
    "room_event_burst": ([1, 5], [0, 1.5, None, False], f"expected a whole number from 1 to {BIG}"),
    "room_event_size_limit": (
        [1, 2**14, BIG],
        [0, -1, 1.0, None],
        f"expected a whole number from 1 to {BIG}",
    ),
    "user_ttl": (*TTLS, "expected seconds, more than 0, at most 1000000000"),
    "empty_ttl": (*TTLS, "expected seconds, more than 0, at most 1000000000"),
    "conversation_ttl": (*TTLS, "expected seconds, more than 0, at most 1000000000"),
    "history_ttl": (*TTLS, "expected seconds, more than 0, at most 1000000000"),
    "early_commands_limit": ([0, 5], [-1, 1.5, None, False], f"expected a whole number from 0 to {BIG}"),
    "direct_list_size_limit": ([0, 5], [-1, 1.5, None, False], f"expected a whole number from 0 to {BIG}"),
    "room_list_size_limit": ([0, 5], [-1, "5", None, True], f"expected a whole number from 0 to {BIG}"),
    "name_length_limit": ([1, 5], [0, -1, None], f"expected a whole number from 1 to {BIG}"),
    "max_attachments": ([0, 256], [-1, 257, None, "10"], "expected a whole number from 0 to 256"),
    "message_depth_limit": ([1, 128], [0, 129, None], "expected a whole number from 1 to 128"),
    "use_raw_error_objects": ([True, False], [1, None], BOOLEAN),
    "expose_internal_errors": ([True, False], [1, None], BOOLEAN),
    "receive_backlog_limit": ([1, 5000], [0, -1, None, 1.5], f"expected a whole number from 1 to {BIG}"),
    "close_timeout": (
        [0, 0.5, 5],
        [-1, -0.1, "5", None, True, float("nan"), float("inf")],
        "expected seconds, 0 or more",
    ),
    "heartbeat_rate": (
        [0.5, 5],
        [0, -1, "5", None, True, float("nan"), float("inf")],
        "expected seconds, more than 0",
    ),
    "heartbeat_timeout": (
        [10.5, 50],
        [0, -1, "5", None, True, float("inf")],
        "expected seconds, more than 0",
    ),
    "auto_recovery": ([True, False], [1, None], BOOLEAN),
    "bus_ack_timeout": ([0.5, 5], [0, -1, "5", None, True, float("nan")], "expected seconds, more than 0"),
    "operations_port": ([None, 0, 65535], [-1, 65536, "1", True], "expected a whole number from 0 to 65535"),
    "operations_host": (["0.0.0.0", "::1"], ["", None, 5], "expected a non-empty string"),
    "api_options": ([{}, {"max_page_size": 5}], [[], None], "expected a mapping"),
    "webhook_options": ([{}, {"retries": 5}], [[], None], "expected a mapping"),
    "drain_delay": ([0, 2.5], [-1, "5", None, True], "expected seconds, 0 or more"),
    "drain_seconds": ([0, 2.5], [-1, "5", None, True], "expected seconds, 0 or more"),
    "tracing": ([True, False], [None, 1, "yes"], "expected True, False or an OpenTelemetry TracerProvider"),
}


def test_every_option_has_its_values_here() -> None:
    assert set(VALUES) == {item.name for item in dataclasses.fields(Options)}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.covers(*(f"option:{name}" for name in VALUES))
def test_good_and_bad_values(name: str) -> None:
    good, bad, text = VALUES[name]
    for value in good:
        assert getattr(Options(**{name: value}), name) == value
        assert getattr(ChatService(**{name: value}).options, name) == value
    for value in bad:
        for make in (Options, ChatService):
            with pytest.raises(ConfigurationError) as caught:
                make(**{name: value})
            assert str(caught.value).startswith(f"option {name}: {text}"), value
            assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prot", "unknown option prot; did you mean port?"),
        (
            "enableRoomsManagement",
            "unknown option enableRoomsManagement; did you mean enable_rooms_management?",
        ),
        ("zzz", "unknown option zzz; known are api_options, auto_recovery, "),
    ],
)
def test_unknown_options(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ChatService(**{name: 5})  # type: ignore[arg-type]
    assert str(caught.value).startswith(text)


def test_the_lease_is_longer_than_the_heartbeat() -> None:
    text = r"option heartbeat_timeout \(5 s\) must be longer than heartbeat_rate \(5 s\)"
    with pytest.raises(ConfigurationError, match=text):
        Options(heartbeat_rate=5, heartbeat_timeout=5)


def test_an_options_object_or_keywords() -> None:
    options = Options(port=5000, history_max_size=0)
    assert ChatService(options).options is options
    with pytest.raises(ConfigurationError, match="as one Options object or as keywords, not both"):
        ChatService(options, port=5)
    with pytest.raises(ConfigurationError, match="options: expected an Options object, got "):
        ChatService({"port": 5})  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.port = 5  # type: ignore[misc]


def test_defaults_are_those_of_the_contract() -> None:
    options = Options()
    assert options.port == 8000
    assert options.namespace == "/chat-service"
    assert (options.store, options.transport) == ("memory", "socket.io")
    assert not any(
        (
            options.enable_rooms_management,
            options.enable_direct_messages,
            options.enable_userlist_updates,
            options.enable_access_lists_updates,
            options.use_raw_error_objects,
            options.expose_internal_errors,
        )
    )
    assert (options.history_max_size, options.history_max_get_messages) == (10000, 100)
    assert options.idempotency_window == 300
    assert options.user_ttl is options.empty_ttl is options.history_ttl is None
    assert (options.history_max_bytes, options.history_max_get_bytes) == (2**24, 2**20)
    assert (options.names_per_command_limit, options.message_size_limit) == (1000, 2**20)
    assert (options.members_per_page_limit, options.details_size_limit) == (100, 1024)
    assert (options.login_timeout, options.early_commands_limit) == (10.0, 100)
    assert (options.direct_list_size_limit, options.room_list_size_limit) == (1000, 10000)
    assert (options.close_timeout, options.bus_ack_timeout) == (15.0, 5.0)
    assert (options.heartbeat_rate, options.heartbeat_timeout) == (10.0, 30.0)


@pytest.mark.covers("store_option:lock_ttl")
@pytest.mark.parametrize("value", [0, -1, "5", None, True, float("nan"), float("inf")])
def test_lock_ttl(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="store_options lock_ttl: expected seconds, more than 0"):
        ChatService(store_options={"lock_ttl": value})


@pytest.mark.parametrize("store", ["memory", MemoryStore()], ids=["memory", "object"])
def test_unknown_store_options(store: Any) -> None:
    with pytest.raises(ConfigurationError, match="unknown store_options lockttl; did you mean lock_ttl"):
        ChatService(store=store, store_options={"lockttl": 1})


def test_unknown_transport_options() -> None:
    with pytest.raises(
        ConfigurationError, match="unknown transport_options pingInterval; did you mean ping_interval"
    ):
        ChatService(transport_options={"pingInterval": 1})
    with pytest.raises(
        ConfigurationError, match=r"transport_options ping_interval: .* a transport created elsewhere"
    ):
        ChatService(transport=InProcessTransport(), transport_options={"ping_interval": 1})


TRANSPORT_VALUES: list[tuple[str, list[Any], list[Any]]] = [
    ("middleware", [print, [print, print], ()], [5, "x", [5], None]),
    ("cors_allowed_origins", [None, "*", ["http://a"]], [5, [5]]),
    ("ping_interval", [1, 0.5], [0, -1, "5", None, True, float("nan")]),
    ("ping_timeout", [1, 0.5], [0, -1, "5", None, True, float("inf")]),
    ("max_message_size", [1, 10**9], [0, -1, 1.5, None, True]),
    ("max_message_values", [1, 10**9], [0, -1, 1.5, None, True]),
    ("serializer", ["json", "msgpack"], ["pickle", None, 5]),
    ("compression", [True, False], [1, None]),
    ("transports", [["polling"], ("websocket",), ["polling", "websocket"]], [[], ["smoke"], "polling", None]),
    ("path", ["/socket.io", "chat"], ["", "/"]),
    ("client_path", [None, "/chat.js", "a/b.js"], ["", "/", 5, "/socket.io"]),
    ("fingerprint_cookie", [None, "visitor"], ["", 5]),
    ("app", [None], [5, "x"]),
    ("server", [None], [5, "x", object()]),
]


@pytest.mark.covers(*(f"transport_option:{name}" for name, _, _ in TRANSPORT_VALUES))
@pytest.mark.parametrize(("name", "good", "bad"), TRANSPORT_VALUES, ids=[row[0] for row in TRANSPORT_VALUES])
def test_good_and_bad_transport_options(name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        ChatService(transport_options={name: value})
    for value in bad:
        with pytest.raises(ConfigurationError, match=f"transport_options {name}: expected "):
            ChatService(transport_options={name: value})


class Half:
    """Something that is neither a store nor a transport."""

    async def open(self, listener: Any) -> None: ...


@pytest.mark.covers("option:store", "option:transport")
@pytest.mark.parametrize("option", ["store", "transport"])
def test_incomplete_plugins_are_refused(option: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"option {option}: Half lacks .*close.* of {option.capitalize()}"
    ):
        ChatService(**{option: Half()})  # type: ignore[arg-type]


@pytest.mark.covers("option:use_raw_error_objects")
async def test_raw_errors(world: World) -> None:
    alice = await (await world.start(use_raw_error_objects=True)).login("alice")
    assert await alice.error("roomJoin", "attic") == {
        "name": "ChatServiceError",
        "code": "noRoom",
        "args": ["attic"],
    }
    rejected = await world.instances[0].transport.connect()
    [error] = await rejected.wait_for("loginRejected")
    assert error == {"name": "ChatServiceError", "code": "noLogin", "args": []}


@pytest.mark.covers("option:expose_internal_errors")
@pytest.mark.parametrize("exposed", [True, False])
async def test_internal_errors(world: World, exposed: bool) -> None:
    def broken(call: Any) -> None:
        raise RuntimeError("the details")

    instance = await world.start(expose_internal_errors=exposed, hooks={"list_own_sockets_before": broken})
    alice = await instance.login("alice")
    error = await alice.error("listOwnSockets")
    assert (error == "ChatServiceError: the details") is exposed
    assert ("the details" in error) is exposed


@pytest.mark.covers("option:message_depth_limit")
async def test_the_depth_limit(world: World) -> None:
    alice = await (await world.start(message_depth_limit=2)).login("alice")
    assert await alice.call("systemMessage", [[1]]) is None
    assert (await alice.error("systemMessage", [[[1]]])).startswith(
        "ChatServiceError: Bad argument at position 0"
    )
