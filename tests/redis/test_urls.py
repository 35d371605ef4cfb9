"""Redis URLs: every option of redis-py is applied, or refused by name."""

import inspect
import ssl
from typing import Any

import pytest
from redis.asyncio.connection import (
    URL_QUERY_ARGUMENT_PARSERS,
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)

from chat_service.errors import ConfigurationError
from chat_service.stores.redis import RedisOptions
from chat_service.stores.redis.urls import Address, parse_redis_url

pytestmark = [pytest.mark.redis, pytest.mark.covers("store_option:url")]


@pytest.mark.parametrize(
    ("url", "address", "tls", "db"),
    [
        ("redis://", Address("localhost", 6379), False, 0),
        ("redis://host", Address("host", 6379), False, 0),
        ("redis://host/", Address("host", 6379), False, 0),
        ("redis://host:1/3", Address("host", 1), False, 3),
        ("redis://host:1/3/", Address("host", 1), False, 3),
        ("redis://host?db=4", Address("host", 6379), False, 4),
        ("redis://host/4?db=4", Address("host", 6379), False, 4),
        ("redis:///2", Address("localhost", 6379), False, 2),
        ("redis://[::1]:7", Address("::1", 7), False, 0),
        ("REDIS://host", Address("host", 6379), False, 0),
        ("RedisS://host", Address("host", 6379), True, 0),
        ("valkey://host:1/1", Address("host", 1), False, 1),
        ("VALKEYS://host:1", Address("host", 1), True, 0),
        ("unix:///run/redis.sock", Address("/run/redis.sock", 0), False, 0),
        ("unix:///run/a%20b.sock?db=2", Address("/run/a b.sock", 0), False, 2),
        ("unix://user:word@/run/redis.sock", Address("/run/redis.sock", 0), False, 0),
    ],
)
def test_addresses(url: str, address: Address, tls: bool, db: int) -> None:
    parsed = parse_redis_url(url)
    assert (parsed.address, parsed.tls, parsed.db) == (address, tls, db)


@pytest.mark.parametrize(
    ("url", "login"),
    [
        ("redis://host", (None, None)),
        ("redis://:word@host", (None, "word")),
        ("redis://user@host", ("user", None)),
        ("redis://us%40er:w%2Fo%23r%3Ad@host", ("us@er", "w/o#r:d")),
        ("unix://user:word@/run/redis.sock", ("user", "word")),
        ("unix:///run/redis.sock?username=user&password=word", ("user", "word")),
    ],
)
def test_credentials(url: str, login: tuple[str | None, str | None]) -> None:
    parsed = parse_redis_url(url)
    assert (parsed.username, parsed.password) == login
    assert "word" not in repr(parsed)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (5, "expected a text"),
        ("", "starts with one of redis://, rediss://, valkey://, valkeys://, unix://"),
        ("host:6379", "starts with one of"),
        ("http://host", "starts with one of"),
        ("redis:/host", "starts with one of"),
        ("redis+sentinel://host", "set Sentinels by the store option sentinels"),
        (" redis://host", "space"),
        ("redis://host/0\n", "space or a line break"),
        ("redis://host/abc", "'/abc' is not a database"),
        ("redis://host/-1", "is not a database"),
        ("redis://host/1/2", "is not a database"),
        ("redis://host/²", "is not a database"),
        ("redis://host/1?db=2", "two databases, 1 and 2"),
        ("redis://host?db=one", "db: expected a whole number"),
        ("redis://host?db=", "db: expected a whole number"),
        ("redis://host?db=1&db=2", "db is given twice"),
        ("redis://host:0", "port is not a number from 1 to 65535"),
        ("redis://host:99999", "port is not a number"),
        ("redis://host:port", "port is not a number"),
        ("redis://:hid/den@host", "as %2F"),
        ("redis://:hid#den@host", "as %23"),
        ("unix://run/redis.sock", "absolute path"),
        ("unix://", "absolute path"),
        ("redis://host?ssl_ca_certs=/ca.pem", "ssl_ca_certs is for TLS: start the URL with rediss://"),
        ("unix:///a?ssl_ca_certs=/ca.pem", "ssl_ca_certs is for TLS"),
        ("rediss://host?ssl_cert_reqs=maybe", "ssl_cert_reqs: expected 'none', 'optional' or 'required'"),
        ("rediss://host?ssl_min_version=1.2", "ssl_min_version: expected a number: .*771 for TLSv1_2"),
        ("rediss://host?ssl_check_hostname=perhaps", "ssl_check_hostname: expected True or False"),
        ("redis://host?familly=4", "unknown option familly"),
        ("redis://host?client_nam=x", "did you mean client_name"),
        ("redis://host?client_name=a%20b", "client_name: expected a name without spaces"),
        ("redis://host?socket_timeout=0", "socket_timeout: expected seconds"),
        ("redis://host?socket_connect_timeout=nan", "socket_connect_timeout: expected seconds"),
        ("redis://host?protocol=3", "protocol=3 cannot be applied: the store uses RESP 2"),
        ("redis://host?decode_responses=True", "decode_responses=True cannot be applied"),
        ("redis://host?encoding=latin-1", "encoding=latin-1 cannot be applied"),
        ("redis://host?retry_on_timeout=yes", "retry_on_timeout=yes cannot be applied"),
        ("redis://host?max_connections=1", "max_connections=1 cannot be applied"),
        ("redis://host?timeout=5", "timeout is not accepted"),
    ],
)
def test_invalid_urls_are_refused(url: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^store_options url: .*{message}") as caught:
        RedisOptions(url=url)
    assert "hid" not in str(caught.value) and "den" not in str(caught.value).replace("hidden", "")


#: Options of redis-py in URLs, with plausible values.
HONOURED = {
    "db": "1",
    "username": "user",
    "password": "word",
    "client_name": "chat",
    "socket_keepalive": "no",
    "socket_timeout": "1.5",
    "socket_connect_timeout": "2.5",
    "protocol": "2",
    "encoding": "UTF-8",
    "encoding_errors": "strict",
    "decode_responses": "False",
    "retry_on_timeout": "False",
    "max_connections": "50",
    "health_check_interval": "30",
    "ssl_keyfile": "/key.pem",
    "ssl_certfile": "/cert.pem",
    "ssl_cert_reqs": "none",
    "ssl_ca_certs": "/ca.pem",
    "ssl_ca_path": "/ca",
    "ssl_ca_data": "x",
    "ssl_check_hostname": "false",
    "ssl_min_version": "771",
    "ssl_ciphers": "DEFAULT",
    "ssl_password": "word",
    "ssl_include_verify_flags": "[VERIFY_X509_STRICT]",
    "ssl_exclude_verify_flags": "VERIFY_X509_STRICT,VERIFY_X509_PARTIAL_CHAIN",
}


def taken_by_redis_py() -> set[str]:
    """All option names of URLs: those with parsers and all arguments of connections."""
    classes = (AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection)
    names = {name for kind in classes for name in inspect.signature(kind.__init__).parameters}
    return names - {"self", "kwargs"} | set(URL_QUERY_ARGUMENT_PARSERS)


@pytest.mark.parametrize("name", sorted(taken_by_redis_py() | set(HONOURED)))
def test_every_redis_py_option_is_applied_or_refused_by_name(name: str) -> None:
    if name in HONOURED:
        RedisOptions(url=f"rediss://host/?{name}={HONOURED[name]}")
    else:
        with pytest.raises(ConfigurationError, match=rf"\b{name}\b"):
            RedisOptions(url=f"rediss://host/?{name}=1")
    # As a store option, each is refused by name with advice where it belongs.
    with pytest.raises(ConfigurationError, match=f"^unknown store_options {name}"):
        RedisOptions.from_mapping({name: HONOURED.get(name, "1")})


def test_tls_options_are_parsed() -> None:
    parsed = parse_redis_url("rediss://host?ssl_min_version=771&ssl_include_verify_flags=VERIFY_X509_STRICT")
    assert parsed.tls_options == {
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
        "ssl_include_verify_flags": [ssl.VerifyFlags.VERIFY_X509_STRICT],
    }


@pytest.mark.covers("store_option:connect_timeout", "store_option:command_timeout")
def test_timeouts_in_the_url_set_the_store_options() -> None:
    url = "redis://host?socket_timeout=1.5&socket_connect_timeout=2.5"
    options = RedisOptions(url=url)
    assert (options.command_timeout, options.connect_timeout) == (1.5, 2.5)
    assert RedisOptions(url=url, command_timeout=1.5).command_timeout == 1.5
    with pytest.raises(ConfigurationError, match=r"command_timeout: the url has a different value, 1\.5"):
        RedisOptions(url=url, command_timeout=3.0)


@pytest.mark.covers("store_option:tls", "store_option:sentinel_tls", "store_option:sentinel_username")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tls": {"ssl_ca_certs": "/ca"}}, "tls: the url does not use TLS; start it with rediss://"),
        ({"url": "rediss://h", "tls": {"ca": "/ca"}}, "tls: unknown option ca$"),
        ({"url": "rediss://h", "tls": {"ssl_cert_reqs": "no"}}, "tls: ssl_cert_reqs: expected 'none'"),
        (
            {"url": "rediss://h?ssl_ca_path=/a", "tls": {"ssl_ca_path": "/b"}},
            "is already in the url",
        ),
        ({"sentinel_tls": {}}, "sentinel_tls: it requires sentinels"),
        ({"sentinel_username": "x"}, "sentinel_username: it requires sentinels"),
        ({"url": "unix:///a", "sentinels": [("h", 1)]}, "give a Unix socket or sentinels, not both"),
    ],
)
def test_contradicting_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^store_options.*{message}"):
        RedisOptions.from_mapping(options)


def test_error_texts_contain_no_password() -> None:
    for url in ("redis://:hidden@host:x", "redis://a:hidden@host/x", "redis://:hidden@host?password="):
        with pytest.raises(ConfigurationError) as caught:
            RedisOptions(url=url)
        assert "hidden" not in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        RedisOptions(url="rediss://host", tls={"ssl_password": ["hidden"]})
    assert "hidden" not in str(caught.value)
