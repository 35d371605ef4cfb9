"""Options, key names, scripts and results, tested without a server."""

import re
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

import chat_service.stores.redis
from chat_service.contracts.bus import EVERYONE, Topic, TopicKind
from chat_service.errors import ChatServiceError, ConfigurationError, StoreError
from chat_service.stores.redis import RedisOptions, RedisStore, scripts
from chat_service.stores.redis.keys import Keys
from chat_service.stores.redis.scripts import checked, texts
from chat_service.stores.redis.topology import Connector
from chat_service.stores.redis.urls import Address

pytestmark = pytest.mark.redis

LUA = Path(chat_service.stores.redis.__file__).parent / "lua"
SCRIPTS = sorted(path.stem for path in LUA.glob("*.lua"))


# Options


def test_the_defaults() -> None:
    options = RedisOptions()
    assert (options.url, options.cluster, options.prefix) == ("redis://localhost:6379/0", False, "chat")
    assert (options.sentinels, options.bus_secret, options.secret) == ((), None, b"")
    assert options.bus_stamps == "require"
    assert (options.command_timeout, options.connect_timeout, options.probe_interval) == (5.0, 5.0, 2.0)


@pytest.mark.covers(
    "store_option:cluster", "store_option:sentinels", "store_option:sentinel_service",
    "store_option:sentinel_username", "store_option:sentinel_password", "store_option:sentinel_tls",
    "store_option:tls", "store_option:prefix",
    "store_option:command_timeout", "store_option:connect_timeout", "store_option:probe_interval",
    "store_option:bus_secret", "store_option:bus_stamps", "store_option:lock_ttl",
)  # fmt: skip
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("url", ["", "tcp://x", 5, None]),
        ("cluster", [1, "yes", None]),
        ("sentinels", ["host", [("host", "1")], [("host",)], [("", 1)], [("host", 0)], [5], 5, None]),
        ("sentinel_service", ["", 5, None]),
        ("sentinel_password", ["", 5]),
        ("tls", ["x", None, [("a", 1)]]),
        ("sentinel_username", ["", 5]),
        ("sentinel_tls", ["x", [("a", 1)], {"ca": "x"}]),
        ("prefix", ["", "a{b", "a}b", "ä", "a b", "a\n", "a@b", 5, None]),
        ("command_timeout", [0, -1, True, "1", None, float("inf"), float("nan")]),
        ("connect_timeout", [0, -1, True, "1", None, float("inf")]),
        ("probe_interval", [0, -1, True, "1", None]),
        ("bus_secret", ["", b"", 5, ["secret"]]),
        ("bus_stamps", ["", "all", True, None, ["send"]]),
        ("lock_ttl", [0, -1, True, "1", None]),
    ],
)
def test_invalid_options_are_refused(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ConfigurationError, match=f"^store_options {name}: "):
            RedisStore({name: value})


def test_error_texts_contain_no_secrets() -> None:
    for name in ("bus_secret", "sentinel_password"):
        with pytest.raises(ConfigurationError) as caught:
            RedisOptions.from_mapping({name: ["hidden"]})
        assert "hidden" not in str(caught.value)


def test_cluster_and_sentinels_exclude_each_other() -> None:
    with pytest.raises(ConfigurationError, match="cluster or sentinels, not both"):
        RedisOptions(cluster=True, sentinels=[("host", 1)])


@pytest.mark.parametrize(("secret", "raw"), [("ü", "ü".encode()), (b"\0", b"\0"), (None, b"")])
def test_secret_may_be_text_or_bytes(secret: str | bytes | None, raw: bytes) -> None:
    assert RedisOptions(bus_secret=secret).secret == raw


@pytest.mark.covers("store_option:url", "store_option:tls", "store_option:connect_timeout")
def test_connections_use_url_and_options() -> None:
    options = RedisOptions(
        url="rediss://user:word@host:1234/5", tls={"ssl_ca_certs": "/ca.pem"}, connect_timeout=1.5
    )
    connector = Connector(options)
    assert connector.address == Address("host", 1234)
    made: Any = connector.connection(Address("other", 99))
    assert (made.host, made.port, made.db, made.username, made.password) == ("other", 99, 5, "user", "word")
    assert made.socket_connect_timeout == 1.5
    assert made.ssl_context.ca_certs == "/ca.pem"


def test_a_unix_socket() -> None:
    connector = Connector(RedisOptions(url="unix:///run/redis.sock?db=2"))
    assert str(connector.address) == "/run/redis.sock"
    made: Any = connector.connection(connector.address)
    assert (made.path, made.db) == ("/run/redis.sock", 2)


# Keys


NAMES = ["room", "a", "ü", "日本語", "with space", "x" * 256, "a.b*c?[d]\\", "🙂"]


@pytest.mark.covers("store_option:prefix")
@pytest.mark.parametrize("name", NAMES)
def test_keys_of_a_script_are_in_one_slot(name: str) -> None:
    keys = Keys("chat")
    for group, kind in ((keys.room_keys(name), TopicKind.ROOM), (keys.user_keys(name), TopicKind.USER)):
        assert len({key_slot(key.encode()) for key in group}) == 1
        assert len(set(group)) == len(group)
        # The first key is also the channel, so a script may publish to it.
        assert group[0] == keys.topic(Topic(kind, name))
    assert key_slot(keys.instances.encode()) == key_slot(keys.claimed.encode())


def test_keys_never_collide() -> None:
    keys = Keys("chat")
    every = [keys.instances, keys.claimed, keys.topic(EVERYONE)]
    for name in ("a", "everyone", "instances", "all"):
        every += [*keys.room_keys(name), *keys.user_keys(name), keys.instance_sockets(name)]
        every.append(keys.topic(Topic(TopicKind.INSTANCE, name)))
    assert len(set(every)) == len(every)
    assert not set(every) & {key.replace("chat", "chat2", 1) for key in every}
    # Not with prefixes that resemble parts of other names, nor in another database.
    others = [Keys(f"chat:{kind}") for kind in ("room", "user", "instance", "instances", "everyone", "all")]
    for other in (*others, Keys("chat:"), Keys.of("chat", 1), Keys.of("chat", 2)):
        found = [other.instances, other.claimed, other.topic(EVERYONE)]
        for name in ("a", "everyone", "instances", "all"):
            found += [*other.room_keys(name), *other.user_keys(name), other.instance_sockets(name)]
            found.append(other.topic(Topic(TopicKind.INSTANCE, name)))
        assert not set(every) & set(found)
    assert all(key.startswith("chat:") for key in every)


def test_rooms_are_distributed_over_the_slots() -> None:
    keys = Keys("chat")
    assert len({key_slot(keys.room(f"room{number}").encode()) for number in range(1000)}) > 900


# Scripts


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_header_lists_keys_and_arguments(name: str) -> None:
    own = (LUA / f"{name}.lua").read_text("utf-8")
    whole = scripts.load(name).text
    header = "".join(line for line in own.splitlines(keepends=True) if line.startswith("--"))
    assert own.startswith("-- ") and header.partition("\n")[0].endswith(".")
    for kind, said_in in (("KEYS", whole), ("ARGV", header)):
        used = {int(number) for number in re.findall(kind + r"\[(\d+)\]", own)}
        if not used:
            continue
        comments = " ".join(line[3:] for line in said_in.splitlines() if line.startswith("--"))
        _, _, listed = comments.partition(kind)
        numbers = {int(number) for number in re.findall(r"(?<![\w.])(\d+) [a-z'_]", listed)}
        # The header describes what follows the last numbered argument in words.
        missing = {number for number in used if number not in numbers and number <= max(numbers)}
        assert numbers and not missing, f"{kind} {missing} of {name}"
    assert "Returns" in header or name == "instance_forget"


@pytest.mark.parametrize("path", sorted(LUA.rglob("*.lua")), ids=lambda path: path.stem)
def test_scripts_name_keys_and_arguments_before_use(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        if re.search(r"(ARGV|KEYS)\[(\d+|tonumber.*)\]", line):
            bound = line.strip().startswith("local ") and "call" not in line
            assert bound or "KEYS[tonumber(list)]" in line, line


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_complete(name: str) -> None:
    script = scripts.load(name)
    assert "include:" not in script.text
    assert script is scripts.load(name)
    assert re.fullmatch("[0-9a-f]{40}", script.digest)
    # No commands that access other keys or give varying results, except the clock (see below).
    assert not re.search(r"redis\.call\('(SCAN|KEYS|RANDOMKEY|SRANDMEMBER|SPOP)'", script.text)


def test_three_files_read_the_clock() -> None:
    """Redis replicates the writes of a script, not the script itself, so they may depend on the time."""
    readers = {path.name for path in LUA.rglob("*.lua") if "redis.call('TIME')" in path.read_text("utf-8")}
    assert readers == {"bus.lua", "clock.lua", "pace.lua"}


def test_every_script_is_used_and_packaged() -> None:
    code = "".join(path.read_text("utf-8") for path in LUA.parent.glob("*.py"))
    assert [name for name in SCRIPTS if f'"{name}"' not in code] == []


# Results


def test_results_become_values_or_errors() -> None:
    assert checked([0, 1, b"x"]) == [1, b"x"]
    with pytest.raises(ChatServiceError) as caught:
        checked([b"noRoom"], noRoom="room")
    assert (caught.value.code, caught.value.arguments) == ("noRoom", ("room",))
    with pytest.raises(ChatServiceError) as caught:
        checked([b"notAllowed"], noRoom="room")
    assert (caught.value.code, caught.value.arguments) == ("notAllowed", ())
    nonsense: Any
    for nonsense in (None, b"OK", [], 5):
        with pytest.raises(StoreError):
            checked(nonsense)
    with pytest.raises(StoreError, match="corrupt names"):
        texts([b"\xff"])
