"""Secrets do not appear in output, logs or debuggers: ``repr``, errors, listings."""

from typing import Any

import pytest

from chat_service import ConfigurationError, Options
from chat_service.redaction import without_passwords
from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.transports.socketio.socketio_options import SocketIOOptions

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://user@localhost", "redis://user@localhost"),
        ("redis://user:hunter2@localhost:6379/0", "redis://user:***@localhost:6379/0"),
        ("redis://:hunter2@localhost", "redis://:***@localhost"),
        ("redis://u:a@hunter2@localhost", "redis://u:***@localhost"),
        ("redis://u:a:hunter2@localhost", "redis://u:***@localhost"),
        ("redis://u:hunter2/x@localhost/1", "redis://u:***@localhost/1"),
        ("redis://u:x#hunter2@localhost/1", "redis://u:***@localhost/1"),
        ("redis://u:x?hunter2@localhost/1", "redis://***@localhost/1"),
        ("redis://localhost?password=hunter2&db=1", "redis://localhost?password=***&db=1"),
        ("rediss://localhost?db=1&ssl_password=hunter2", "rediss://localhost?db=1&ssl_password=***"),
        ("unix://user:hunter2@/run/redis.sock?db=2", "unix://user:***@/run/redis.sock?db=2"),
        ("", ""),
    ],
)
def test_passwords_of_an_address(url: str, shown: str) -> None:
    assert without_passwords(url) == shown


def test_the_repr_of_options_has_no_secrets() -> None:
    store: dict[str, Any] = {"url": f"redis://user:{SECRET}@localhost", "bus_secret": SECRET, "tls": {}}
    redis = RedisOptions.from_mapping(store)
    sentinel = RedisOptions(
        sentinels=[("localhost", 1)], sentinel_password=SECRET, sentinel_tls={"ssl_password": SECRET}
    )
    transport: dict[str, Any] = {"admin_ui": {"username": "admin", "password": SECRET}}
    options = Options(store="redis", store_options=store, transport_options=transport)
    for shown in (redis, sentinel, SocketIOOptions.from_mapping(transport), options):
        assert SECRET not in repr(shown) and "***" in repr(shown)
    assert repr(options).startswith("Options(host='127.0.0.1', port=8000, ")


@pytest.mark.parametrize(
    "store",
    [
        {"url": f"redis://user:{SECRET}/x@localhost"},
        {"url": f"redis://user:{SECRET}#x@localhost"},
        {"url": f"redis://user:x/{SECRET}@localhost"},
        {"url": f"redis://user:x#{SECRET}@localhost"},
        {"url": f"redis://user:x?{SECRET}@localhost"},
        {"url": f"redis://user:{SECRET}@localhost:port"},
        {"url": f"redis://user:{SECRET}@localhost/name"},
        {"url": f"redis://localhost?password={SECRET}&nonsense=1"},
        {"bus_secret": [SECRET]},
        {"sentinels": [("localhost", 1)], "sentinel_password": [SECRET]},
    ],
)
def test_errors_about_options_have_no_secrets(store: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        RedisOptions.from_mapping(store)
    assert SECRET not in str(raised.value)
