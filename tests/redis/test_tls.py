"""TLS to Redis and Sentinels, and the errors when it fails."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from chat_service import ChatService
from chat_service.errors import ConfigurationError, StoreError, StoreTimeoutError
from chat_service.testing import InProcessTransport
from tests.redis.certificates import Certificates
from tests.redis.conftest import At
from tests.redis.sentinels import SentinelSetup
from tests.support.redis_servers import RedisServer, free_port
from tests.support.world import World

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    with Certificates() as made:
        yield made


class TlsServer:
    """A server with a TLS port and a plain one."""

    def __init__(self, certificates: Certificates, *, clients: bool = False) -> None:
        self.tls_port = free_port()
        self.server = RedisServer(*certificates.options(self.tls_port, clients=clients))
        self.trust = {"ssl_ca_certs": certificates.certificate}

    def url(self, scheme: str = "rediss") -> str:
        return f"{scheme}://127.0.0.1:{self.tls_port}/0"


@pytest.fixture(scope="module")
def tls(certificates: Certificates) -> Iterator[TlsServer]:
    made = TlsServer(certificates)
    with made.server:
        yield made


@pytest.fixture
async def worlds() -> AsyncIterator[list[World]]:
    made: list[World] = []
    yield made
    for world in made:
        await world.close()


async def talks(worlds: list[World], **options: Any) -> None:
    """Check that two instances with these store options exchange a message."""
    world = World(At(**options))
    worlds.append(world)
    first, second = await world.start(), await world.start()
    await first.service.add_room("room")
    alice, bob = await first.joined("alice", "room"), await second.joined("bob", "room")
    await alice.call("roomMessage", "room", {"textMessage": "hello"})
    assert (await bob.wait_for("roomMessage"))[1]["textMessage"] == "hello"


async def refusal(options: dict[str, Any]) -> Exception:
    """The exception raised by the start."""
    service = ChatService(store="redis", store_options=options, transport=InProcessTransport())
    with pytest.raises((StoreError, ConfigurationError)) as caught:
        await service.start()
    await service.close()
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.covers("store_option:tls", "store_option:url")
@pytest.mark.parametrize("scheme", ["rediss", "valkeys", "REDISS"])
async def test_tls(tls: TlsServer, worlds: list[World], scheme: str) -> None:
    await talks(worlds, url=tls.url(scheme), tls=tls.trust)


async def test_tls_by_the_url_only(tls: TlsServer, worlds: list[World]) -> None:
    await talks(worlds, url=f"{tls.url()}?ssl_ca_certs={tls.trust['ssl_ca_certs']}&ssl_min_version=771")
    await talks(worlds, url=f"{tls.url()}?ssl_cert_reqs=none")


@pytest.mark.covers("store_option:tls")
async def test_tls_errors_are_explained(tls: TlsServer, certificates: Certificates) -> None:
    error = await refusal({"url": tls.url()})
    assert "its certificate is not trusted" in str(error) and "ssl_ca_certs" in str(error)
    url = tls.url().replace("127.0.0.1", "localhost")
    error = await refusal({"url": url, "tls": tls.trust})
    assert "its certificate is not trusted" in str(error) and "localhost" in str(error)
    error = await refusal({"url": tls.url(), "tls": {"ssl_ca_certs": "/nowhere.pem"}})
    assert isinstance(error, ConfigurationError) and "/nowhere.pem" in str(error)
    error = await refusal({"url": tls.url(), "tls": {**tls.trust, "ssl_ciphers": "none"}})
    assert isinstance(error, ConfigurationError) and "cipher" in str(error)
    made = TlsServer(certificates, clients=True)
    with made.server:
        error = await refusal({"url": made.url(), "tls": made.trust})
        assert "it requires a client certificate" in str(error) and "ssl_certfile" in str(error)


@pytest.mark.covers("store_option:tls")
async def test_client_certificates(certificates: Certificates, worlds: list[World]) -> None:
    made = TlsServer(certificates, clients=True)
    own = {"ssl_certfile": certificates.certificate, "ssl_keyfile": certificates.key}
    with made.server:
        await talks(worlds, url=made.url(), tls={**made.trust, **own})
        await worlds.pop().close()


async def test_tls_to_a_plain_port_and_the_reverse(tls: TlsServer) -> None:
    options = {"connect_timeout": 1.0}
    error = await refusal({"url": tls.url("redis"), **options})
    assert isinstance(error, StoreTimeoutError) and "rediss://" in str(error)
    plain = f"rediss://127.0.0.1:{tls.server.port}/0"
    error = await refusal({"url": plain, "tls": tls.trust, **options})
    assert isinstance(error, StoreTimeoutError) and "redis://" in str(error)


# Sentinels


@pytest.mark.covers("store_option:sentinel_username", "store_option:sentinel_password")
async def test_sentinels_with_users(worlds: list[World]) -> None:
    with SentinelSetup(password="secret") as setup:
        for sentinel in setup.sentinels:
            # The permissions that the Redis documentation recommends for clients.
            rules = ("-@all", "+auth", "+sentinel|get-master-addr-by-name")
            sentinel.ask("ACL", "SETUSER", "chat", "on", ">word", *rules)
        options = {
            **setup.options,
            "url": "redis://",
            "sentinel_username": "chat",
            "sentinel_password": "word",
        }
        await talks(worlds, **options)
        error = await refusal({**options, "sentinel_password": "wrong"})
        assert "refused the login" in str(error) and "(Sentinel)" in str(error)
        assert not isinstance(error, StoreTimeoutError)
        error = await refusal({**options, "sentinel_service": "other"})
        assert "knows no master of this name" in str(error)
        error = await refusal({"url": f"redis://:secret@127.0.0.1:{setup.sentinels[0].port}"})
        assert "is a Sentinel: set store_options sentinels" in str(error)
        await worlds.pop().close()


@pytest.mark.covers("store_option:sentinel_tls")
async def test_sentinels_with_tls(certificates: Certificates, worlds: list[World]) -> None:
    with SentinelSetup(certificates=certificates) as setup:
        trust = {"ssl_ca_certs": certificates.certificate}
        options = {**setup.options, "url": "redis://", "connect_timeout": 2.0}
        await talks(worlds, **{**options, "sentinel_tls": trust})
        await talks(worlds, **{**options, "sentinel_tls": {"ssl_cert_reqs": "none"}})
        assert "is not trusted" in str(await refusal({**options, "sentinel_tls": {}}))
        assert "TLS" in str(await refusal(options))
        while worlds:
            await worlds.pop().close()
