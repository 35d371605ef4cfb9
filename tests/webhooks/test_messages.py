"""The message hook: answers that change, reject and accept; all kinds of failures; the circuit."""

import asyncio
import gzip
import logging
import ssl
from typing import Any

import pytest
from aiohttp import web

from chat_service.hooks import CommandCall
from chat_service.testing import InProcessClient, wait_until
from tests.redis.certificates import Certificates
from tests.support.backends import ONE_STORE
from tests.support.parts import parts_of
from tests.support.world import Instance, World
from tests.webhooks.back_ends import SECRET, Asked, BackEnd, Raw, start

pytestmark = ONE_STORE

UNAVAILABLE = "ChatServiceError: The back end does not answer, try again later"
HELLO = {"textMessage": "hello"}


async def talking(
    world: World, decider: BackEnd, hooks: Any = None, **webhooks: Any
) -> tuple[Instance, InProcessClient]:
    """An instance with a message hook, and a client in its rooms."""
    given = {"message_url": decider.url("/message"), "retries": 0, **webhooks}
    instance = await start(world, given, hooks=hooks or {})
    for room in ("one", "two"):
        await instance.service.add_room(room)
    return instance, await instance.joined("alice", "one", "two")


def requests(instance: Instance) -> dict[tuple[str, str], int]:
    return dict(parts_of(instance.service).counters.webhooks.requests)


async def texts(client: InProcessClient, room: str) -> list[Any]:
    return [message["textMessage"] for message in reversed(await client.call("roomRecentHistory", room))]


# Answers


@pytest.mark.covers("webhook_option:message_url")
async def test_the_back_end_decides_about_messages(world: World, decider: BackEnd) -> None:
    instance, alice = await talking(world, decider)
    assert await alice.call("roomMessage", "one", HELLO) == 1
    [asked] = decider.asked
    assert {**asked.data, "id": "", "timestamp": 0} == {
        "id": "",
        "type": "message",
        "timestamp": 0,
        "room": "one",
        "user": "alice",
        "socketId": alice.id,
        "message": HELLO,
    }
    decider.says("/message", {"message": {"textMessage": "****", "more": [1]}})
    assert await alice.call("roomMessage", "one", HELLO) == 2
    decider.says("/message", {"reject": {"code": "spam", "text": "This looks like spam"}})
    assert await alice.error("roomMessage", "one", HELLO) == "ChatServiceError: This looks like spam"
    decider.says("/message", Raw(status=204))
    assert await alice.call("roomMessage", "one", {"textMessage": "3"}, {"edits": 1}) == 3
    assert decider.asked[-1].data["options"] == {"edits": 1}
    assert await texts(alice, "one") == ["hello", "****", "3"]
    # The server's own messages are also checked, unless they bypass hooks.
    await instance.service.exec_user_command(True, "roomMessage", "one", HELLO)
    assert decider.asked[-1].data["user"] is None
    count = len(decider.asked)
    skipping = {"user_name": "alice", "bypass_hooks": True, "bypass_permissions": True}
    await instance.service.exec_user_command(skipping, "roomMessage", "one", HELLO)
    assert len(decider.asked) == count


async def test_own_hooks_go_first_also_those_that_are_added_later(world: World, decider: BackEnd) -> None:
    def first(call: CommandCall) -> None:
        call.args[1] = {**call.args[1], "textMessage": call.args[1]["textMessage"] + "1"}

    instance, alice = await talking(world, decider, hooks={"room_message_before": first})

    @instance.service.before("roomMessage")
    async def second(call: CommandCall) -> Any:
        if call.args[1]["textMessage"] == "stop1":
            return "stopped"
        call.args[1] = {**call.args[1], "textMessage": call.args[1]["textMessage"] + "2"}
        return None

    await alice.call("roomMessage", "one", HELLO)
    assert decider.asked[-1].data["message"] == {"textMessage": "hello12"}
    # If a hook has decided, the back end is not asked.
    assert await alice.emit("roomMessage", "one", {"textMessage": "stop"}) == [None, "stopped"]
    assert len(decider.asked) == 1


async def test_a_message_that_json_cannot_carry_unchanged(world: World, decider: BackEnd) -> None:
    _, alice = await talking(world, decider, hooks={"room_messages_checker": lambda message: None})
    await alice.call("roomMessage", "one", {"bytes": b"\x00\x01", "nested": [b"x"], "number": 2**53})
    sent = decider.asked[-1].data["message"]
    assert (sent["bytes"], sent["nested"]) == ("AAE=", ["eA=="])
    assert sent["number"] == 2**53


# Failures


async def drops(asked: Asked) -> Any:
    """Close the connection without an answer."""
    assert asked.request.transport is not None
    asked.request.transport.abort()
    return {}


async def raves(asked: Asked) -> Any:
    """Answer with bytes that are not HTTP."""
    assert asked.request.transport is not None
    asked.request.transport.write(b"HTTP/9 what\nis this\r\n\r\n" + b"x" * 1000)
    asked.request.transport.close()
    return {}


FAILURES: list[tuple[str, Any]] = [
    ("status", Raw(status=500)),
    ("status", Raw(status=404)),
    ("status", Raw(status=401)),
    ("status", Raw(status=403, body=b'{"reject": {"code": "x"}}')),
    ("status", Raw(status=302, headers={"Location": "/elsewhere"})),
    ("status", Raw(status=307, headers={"Location": "/elsewhere"})),
    ("answer", Raw(body=b"{")),
    ("answer", {"mesage": {}}),
    ("answer", {"message": "text"}),
    ("answer", Raw(body=b"x" * 300)),
    ("answer", Raw(body=b'{"message": {"textMessage": "' + b"x" * 10_000_000 + b'"}}')),
    ("answer", Raw(body=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})),
    ("answer", Raw(body=b'{"message": ' + b'{"a":' * 40 + b"1" + b"}" * 41)),
    ("connection", drops),
    ("connection", raves),
]


@pytest.mark.covers("webhook_option:message_on_failure", "webhook_option:max_answer_size")
@pytest.mark.parametrize("policy", ["refuse", "allow"])
async def test_every_failure_is_treated_as_the_policy_says(
    world: World, decider: BackEnd, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    instance, alice = await talking(
        world, decider, message_on_failure=policy, max_answer_size=250, circuit_failures=1000
    )
    for outcome, answer in FAILURES:
        if callable(answer):
            decider.by_path["/message"] = answer
        else:
            decider.says("/message", answer)
        before = requests(instance).get(("message", outcome), 0)
        if policy == "allow":
            await alice.call("roomMessage", "one", HELLO)
        else:
            assert await alice.error("roomMessage", "one", HELLO) == UNAVAILABLE
        assert requests(instance)["message", outcome] == before + 1, (outcome, answer)
    stored = await texts(alice, "one")
    assert stored == (["hello"] * len(FAILURES) if policy == "allow" else [])
    # No redirect was followed, and nothing secret was logged.
    assert {asked.path for asked in decider.asked} == {"/message"}
    assert "webhook message: status 500" in caplog.text
    assert SECRET not in caplog.text
    assert max(len(line) for line in caplog.text.splitlines()) < 500 and "\nis this" not in caplog.text


@pytest.mark.covers("webhook_option:retries", "webhook_option:backoff_first")
async def test_a_request_is_repeated_with_its_id_when_that_may_help(world: World, decider: BackEnd) -> None:
    statuses = iter([500, 503, 429, 200])

    async def recovering(asked: Asked) -> Any:
        status = next(statuses)
        return web.Response(status=status, text="{}")

    decider.by_path["/message"] = recovering
    instance, alice = await talking(world, decider, retries=3)
    assert await alice.call("roomMessage", "one", HELLO) == 1
    assert len({asked.headers["chat-webhook-id"] for asked in decider.asked}) == 1
    assert len({asked.body for asked in decider.asked}) == 1
    assert requests(instance) == {("message", "status"): 3, ("message", "ok"): 1}
    # A request whose status would not change is not repeated.
    decider.says("/message", Raw(status=404))
    await alice.error("roomMessage", "one", HELLO)
    assert requests(instance)["message", "status"] == 4


@pytest.mark.covers("webhook_option:backoff_longest")
async def test_a_repeat_that_would_come_too_late_is_not_waited_for(world: World, decider: BackEnd) -> None:
    await decider.stop()
    _, alice = await talking(world, decider, retries=3, backoff_first=1000.0, backoff_longest=2000.0)
    assert await alice.error("roomMessage", "one", HELLO) == UNAVAILABLE


@pytest.mark.covers("webhook_option:message_timeout")
async def test_a_slow_answer_in_time_counts_and_a_hanging_one_does_not(
    world: World, decider: BackEnd
) -> None:
    instance, alice = await talking(world, decider, message_timeout=0.2)

    async def slow(asked: Asked) -> Any:
        await asyncio.sleep(0.05)
        return {"message": {"textMessage": "slow"}}

    decider.by_path["/message"] = slow
    assert await alice.call("roomMessage", "one", HELLO) == 1

    async def trickle(asked: Asked) -> Any:
        """An answer that never ends, byte by byte."""
        response = web.StreamResponse()
        await response.prepare(asked.request)
        while not decider.ends.is_set():
            await response.write(b" ")
            await asyncio.sleep(0.01)
        return response

    for hanging in (trickle, None):
        if hanging is None:
            decider.hangs("/message")
        else:
            decider.by_path["/message"] = hanging
        assert await alice.error("roomMessage", "one", HELLO) == UNAVAILABLE
    assert requests(instance) == {("message", "ok"): 1, ("message", "timeout"): 2}


async def test_a_room_that_waits_holds_up_no_other(world: World, decider: BackEnd) -> None:
    go_on = asyncio.Event()

    async def behave(asked: Asked) -> Any:
        if asked.data["room"] == "one":
            await go_on.wait()
        return {}

    decider.by_path["/message"] = behave
    _, alice = await talking(world, decider)
    waiting = [
        asyncio.create_task(alice.call("roomMessage", "one", {"textMessage": str(number)}))
        for number in range(3)
    ]
    await decider.got(1, "/message")
    assert await alice.call("roomMessage", "two", HELLO) == 1
    go_on.set()
    assert await asyncio.gather(*waiting) == [1, 2, 3]
    assert await texts(alice, "one") == ["0", "1", "2"]


@pytest.mark.covers("webhook_option:ca_file")
async def test_only_trusted_certificates_count(world: World, decider: BackEnd) -> None:
    with Certificates() as files:
        await decider.stop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        await decider.start(context)
        url = decider.url("/message").replace("http:", "https:")
        trusting, alice = await talking(world, decider, message_url=url, ca_file=files.certificate)
        assert await alice.call("roomMessage", "one", HELLO) == 1
        assert requests(trusting) == {("message", "ok"): 1}
        strict = await start(world, {"message_url": url, "retries": 0})
        bob = await strict.joined("bob", "one")
        assert await bob.error("roomMessage", "one", HELLO) == UNAVAILABLE
        assert requests(strict) == {("message", "connection"): 1}


@pytest.mark.covers("webhook_option:max_connections")
async def test_connections_are_bounded(world: World, decider: BackEnd) -> None:
    running = peak = 0

    async def behave(asked: Asked) -> Any:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.01)
        running -= 1
        return {}

    decider.by_path["/message"] = behave
    instance, _ = await talking(world, decider, max_connections=2)
    say = instance.service.exec_user_command
    await asyncio.gather(*(say(True, "roomMessage", "one", HELLO) for _ in range(10)))
    assert peak == 2


# The circuit


@pytest.mark.covers("webhook_option:circuit_failures", "webhook_option:circuit_seconds")
@pytest.mark.parametrize("policy", ["refuse", "allow"])
async def test_the_circuit_opens_and_half_opens(
    world: World, decider: BackEnd, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "chat_service")
    decider.says("/message", Raw(status=500))
    instance, alice = await talking(
        world, decider, message_on_failure=policy, circuit_failures=3, circuit_seconds=0.3
    )
    counters = parts_of(instance.service).counters.webhooks

    async def send() -> Any:
        return (await alice.emit("roomMessage", "one", HELLO))[0]

    expected = None if policy == "allow" else UNAVAILABLE
    for _ in range(6):
        assert await send() == expected
    # The last requests did not reach the back end.
    assert len(decider.asked) == 3
    assert requests(instance) == {("message", "status"): 3, ("message", "circuit"): 3}
    assert counters.circuits == {"message": 1}
    assert "webhook message: sending no requests for 0.3 s after this failure: status 500" in caplog.text

    async def tries() -> bool:
        await send()
        return len(decider.asked) > 3

    await wait_until(tries, "one request to try again")
    assert len(decider.asked) == 4 and counters.circuits == {"message": 1}
    decider.says("/message", {"message": {"textMessage": "back"}})

    async def is_back() -> bool:
        await send()
        return (await texts(alice, "one"))[-1:] == ["back"]

    await wait_until(is_back, "the end of the circuit")
    assert counters.circuits == {"message": 0}
    assert "webhook message: the back end answers again" in caplog.text
    metrics = {
        (sample.name, *sample.labels.values()): sample.value
        for family in instance.service.operations.registry.collect()
        for sample in family.samples
    }
    assert metrics["chat_service_webhook_circuit_open", "message"] == 0
    assert metrics["chat_service_webhook_requests_total", "message", "status"] == 4
    assert metrics["chat_service_webhook_duration_seconds_count", "message"] == len(decider.asked)
