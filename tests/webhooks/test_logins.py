"""The connect and refresh hooks: requests, answers, and the precedence of the service's own hooks."""

import asyncio
import time
from typing import Any

import pytest

from chat_service import ChatService, ConfigurationError
from chat_service.hooks import Login
from chat_service.testing import InProcessClient, wait_until
from tests.support.backends import ONE_STORE
from tests.support.parts import parts_of
from tests.support.world import Instance, World
from tests.webhooks.back_ends import BackEnd, Raw, start

pytestmark = ONE_STORE

#: No hook of the service itself.
ALONE: dict[str, Any] = {"hooks": {"on_connect": None}}


async def rejection(instance: Instance, **handshake: Any) -> Any:
    """The error of a login that is rejected."""
    client = await instance.transport.connect(**handshake)
    [error] = await client.wait_for("loginRejected")
    await wait_until(lambda: not client.connected, "the end of the connection")
    return error


def requests(instance: Instance) -> dict[tuple[str, str], int]:
    return dict(parts_of(instance.service).counters.webhooks.requests)


def login_terms(instance: Instance, client: InProcessClient) -> tuple[float | None, bool]:
    session = parts_of(instance.service).sessions.get(client.id)
    assert session is not None
    return session.expires_at, session.is_ephemeral


# Connect


@pytest.mark.covers("webhook_option:connect_url", "webhook_option:forward_headers")
async def test_the_back_end_names_the_user(world: World, decider: BackEnd) -> None:
    end = int(time.time()) + 500
    decider.says("/connect", {"name": "alice", "data": {"role": "x"}, "expiresAt": end, "ephemeral": True})
    instance = await start(
        world, {"connect_url": decider.url("/connect"), "forward_headers": ["cookie", "origin"]}, **ALONE
    )
    client = await instance.transport.connect(
        query={"q": "1"}, auth={"token": "t", "bytes": b"\x00"}, headers={"Cookie": "c=1", "X-Other": "2"}
    )
    assert await client.wait_for("loginConfirmed") == ["alice", {"role": "x", "id": client.id}]
    await wait_until(lambda: login_terms(instance, client) == (end, True), "the terms of the login")
    [asked] = decider.asked
    assert asked.data == {
        "id": asked.headers["chat-webhook-id"],
        "type": "connect",
        "timestamp": asked.data["timestamp"],
        "socketId": client.id,
        "handshake": {
            "query": {"q": "1"},
            "auth": {"token": "t", "bytes": "AA=="},
            "headers": {"cookie": "c=1"},
            "address": "127.0.0.1",
            "transport": "in-process",
        },
    }
    assert abs(asked.data["timestamp"] / 1000 - time.time()) < 3600
    assert requests(instance) == {("connect", "ok"): 1}


async def test_a_rejection_reaches_the_client_in_the_words_of_the_back_end(
    world: World, decider: BackEnd
) -> None:
    webhooks = {"connect_url": decider.url("/connect")}
    instance = await start(world, webhooks, **ALONE)
    decider.says("/connect", {"reject": {"code": "paymentDue", "text": "100 %s due"}})
    assert await rejection(instance) == "ChatServiceError: 100 %s due"
    decider.says("/connect", {"reject": {"code": "notAllowed"}})
    assert await rejection(instance) == "ChatServiceError: Action is not allowed"
    raw = await start(world, webhooks, use_raw_error_objects=True, **ALONE)
    decider.says("/connect", {"reject": {"code": "paymentDue", "text": "Pay first"}})
    assert await rejection(raw) == {"name": "ChatServiceError", "code": "paymentDue", "args": []}
    assert requests(instance) == {("connect", "rejected"): 2}


BAD_LOGINS: list[Any] = [
    {},
    [],
    {"name": 5},
    {"name": None},
    {"name": "alice", "expires_at": 5},
    {"name": "alice", "expiresAt": "soon"},
    {"name": "alice", "expiresAt": True},
    # With milliseconds, the login would practically never expire.
    {"name": "alice", "expiresAt": 1_800_000_000_000},
    {"name": "alice", "data": 5},
    {"name": "alice", "ephemeral": 1},
    {"reject": "no"},
    {"reject": {"code": "internalError"}},
    {"reject": {"code": "a b"}},
    {"reject": {"code": "x", "text": "y" * 300}},
    {"reject": {"code": "x"}, "name": "alice"},
    Raw(body=b"<html>"),
    Raw(body=b'{"name": "alice"'),
    Raw(body=b"\xff"),
    Raw(status=204),
]


async def test_answers_of_a_wrong_form_are_failures(world: World, decider: BackEnd) -> None:
    webhooks = {"connect_url": decider.url("/connect"), "circuit_failures": 100}
    instance = await start(world, webhooks, **ALONE)
    for answer in BAD_LOGINS:
        decider.says("/connect", answer)
        expected = "ChatServiceError: The back end does not answer, try again later"
        assert await rejection(instance) == expected, answer
    # The request is not repeated: the answer would be the same.
    assert requests(instance) == {("connect", "answer"): len(BAD_LOGINS)}


async def test_names_and_ends_of_the_back_end_are_checked_as_those_of_hooks(
    world: World, decider: BackEnd
) -> None:
    instance = await start(world, {"connect_url": decider.url("/connect")}, **ALONE)
    decider.says("/connect", {"name": "a:b"})
    assert await rejection(instance) == "ChatServiceError: String a:b contains invalid characters"
    decider.says("/connect", {"name": "alice", "expiresAt": 5})
    assert await rejection(instance) == "ChatServiceError: No login provided"


@pytest.mark.covers("webhook_option:connect_on_failure")
async def test_the_own_hook_goes_first_and_its_refusal_stands(world: World, decider: BackEnd) -> None:
    async def on_connect(service: ChatService, socket_id: str) -> Any:
        await asyncio.sleep(0)
        name = service.transport.get_handshake_data(socket_id).query.get("userName")
        return Login(name, {"a": 1}, expires_at=4e9) if name else None

    instance = await start(world, {"connect_url": decider.url("/connect")}, hooks={"on_connect": on_connect})
    assert await rejection(instance) == "ChatServiceError: No login provided"
    assert decider.asked == []
    # An empty answer leaves the login unchanged.
    client = await instance.transport.connect(query={"userName": "alice"})
    assert await client.wait_for("loginConfirmed") == ["alice", {"a": 1, "id": client.id}]
    assert decider.asked[0].data["login"] == {
        "name": "alice",
        "data": {"a": 1},
        "expiresAt": 4e9,
        "ephemeral": False,
    }
    decider.says("/connect", {"name": "bob", "expiresAt": None, "data": None})
    client = await instance.transport.connect(query={"userName": "alice"})
    assert await client.wait_for("loginConfirmed") == ["bob", {"id": client.id}]
    assert login_terms(instance, client) == (None, False)


async def test_a_hook_set_later_also_runs_first(world: World, decider: BackEnd) -> None:
    instance = world.make(
        webhook_options={"secrets": {"k": "x" * 32}, "connect_url": decider.url("/connect")}, **ALONE
    )

    @instance.service.on("on_connect")
    def on_connect(service: ChatService, socket_id: str) -> str:
        return "carol"

    await instance.service.start()
    client = await instance.transport.connect()
    assert (await client.wait_for("loginConfirmed"))[0] == "carol"
    assert decider.asked[0].data["login"]["name"] == "carol"


@pytest.mark.covers("webhook_option:connect_timeout", "webhook_option:retries")
@pytest.mark.parametrize("policy", ["refuse", "allow"])
async def test_a_dead_back_end_at_logins(world: World, decider: BackEnd, policy: str) -> None:
    await decider.stop()
    webhooks = {"connect_url": decider.url("/connect"), "connect_on_failure": policy, "retries": 2}
    instance = await start(world, webhooks)
    if policy == "allow":
        assert (await instance.login("alice")).connected
    else:
        error = await rejection(instance, query={"userName": "alice"})
        assert error == "ChatServiceError: The back end does not answer, try again later"
    assert requests(instance) == {("connect", "connection"): 3}
    await decider.start()
    assert (await instance.login("alice")).connected


async def test_letting_pass_needs_a_hook_of_the_service(world: World, decider: BackEnd) -> None:
    for hook, hooks in (("connect", {"on_connect": None}), ("refresh", {})):
        webhooks = {f"{hook}_url": decider.url("/x"), f"{hook}_on_failure": "allow"}
        with pytest.raises(ConfigurationError, match=f'"allow" needs an on_{hook} hook of the service'):
            await start(world, webhooks, hooks=hooks)


@pytest.mark.covers("webhook_option:connect_timeout")
async def test_a_hanging_back_end_ends_with_the_time_of_the_hook(world: World, decider: BackEnd) -> None:
    decider.hangs("/connect")
    webhooks = {"connect_url": decider.url("/connect"), "connect_timeout": 0.1, "retries": 5}
    instance = await start(world, webhooks, **ALONE)
    assert "does not answer" in await rejection(instance)
    # The timeout has passed, so there is no time for a repeat.
    assert requests(instance) == {("connect", "timeout"): 1}


async def test_a_client_that_leaves_frees_its_request(world: World, decider: BackEnd) -> None:
    decider.hangs("/connect")
    instance = await start(world, {"connect_url": decider.url("/connect")}, **ALONE)
    client = await instance.transport.connect()
    await decider.got(1, "/connect")
    await client.disconnect()
    await wait_until(lambda: not len(parts_of(instance.service).sessions), "the end of the session")
    assert requests(instance) == {}


# Refresh


async def refreshing(world: World, decider: BackEnd, hooks: Any = None, **webhooks: Any) -> Instance:
    given = {"refresh_url": decider.url("/refresh"), **webhooks}
    return await start(world, given, hooks=hooks or {})


@pytest.mark.covers("webhook_option:refresh_url", "command:loginRefresh")
async def test_the_back_end_renews_a_login(world: World, decider: BackEnd) -> None:
    instance = await refreshing(world, decider)
    client = await instance.login("alice")
    end = int(time.time()) + 900
    decider.says("/refresh", {"expiresAt": end})
    assert await client.call("loginRefresh", {"token": "t"}) == end
    assert login_terms(instance, client)[0] == end
    [asked] = decider.asked
    assert {**asked.data, "id": "", "timestamp": 0} == {
        "id": "",
        "type": "refresh",
        "timestamp": 0,
        "socketId": client.id,
        "user": "alice",
        "credentials": {"token": "t"},
    }
    decider.says("/refresh", {"expiresAt": None})
    assert await client.call("loginRefresh", {}) is None
    decider.says("/refresh", {"reject": {"code": "badToken", "text": "The token is not valid"}})
    assert await client.error("loginRefresh", {}) == "ChatServiceError: The token is not valid"
    decider.says("/refresh", {})
    assert "does not answer" in await client.error("loginRefresh", {})
    # For a login that does not expire.
    assert login_terms(instance, client)[0] is None


@pytest.mark.covers("webhook_option:refresh_on_failure", "webhook_option:refresh_timeout")
@pytest.mark.parametrize("policy", ["refuse", "allow"])
async def test_a_dead_back_end_at_a_refresh(world: World, decider: BackEnd, policy: str) -> None:
    end = int(time.time()) + 900
    hooks = {"on_refresh": lambda service, socket_id, credentials: end}
    instance = await refreshing(
        world, decider, hooks, refresh_on_failure=policy, refresh_timeout=0.1, retries=0
    )
    client = await instance.login("alice")
    # The service's own hook ran first, and an empty answer keeps its expiry time.
    assert await client.call("loginRefresh", {}) == end
    assert decider.asked[0].data["login"]["expiresAt"] == end
    decider.hangs("/refresh")
    if policy == "allow":
        assert await client.call("loginRefresh", {}) == end
    else:
        assert "does not answer" in await client.error("loginRefresh", {})
    assert requests(instance) == {("refresh", "ok"): 1, ("refresh", "timeout"): 1}


async def test_the_own_refresh_hook_refuses_first(world: World, decider: BackEnd) -> None:
    hooks = {"on_refresh": lambda service, socket_id, credentials: Login("bob", expires_at=4e9)}
    instance = await refreshing(world, decider, hooks)
    client = await instance.login("alice")
    assert await client.error("loginRefresh", {}) == "ChatServiceError: Action is not allowed"
    assert decider.asked == []
