"""The publisher: through Redis, a cluster and the HTTP API, from asyncio, threads and forked workers."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from chat_service.errors import ChatServiceError, ConfigurationError
from chat_service.publisher import AsyncPublisher, Published, Publisher, PublishTimeoutError
from chat_service.testing import wait_until
from tests.e2e.processes import run
from tests.http_api.programs import TOKENS, start
from tests.support.backends import InRedis
from tests.support.patience import PATIENCE
from tests.support.redis_servers import RedisServer
from tests.support.world import Instance, World

pytestmark = pytest.mark.redis

on_all = pytest.mark.parametrize(
    ("backend", "through"),
    [("redis", "store"), ("cluster", "store"), ("memory", "HTTP"), ("redis", "HTTP")],
    indirect=["backend"],
)
on_redis = pytest.mark.parametrize("backend", ["redis", "cluster"], indirect=True)


@dataclass
class Setting:
    """Instances with one room, a member on each, and the arguments of a publisher."""

    instances: list[Instance]
    members: list[Any]
    arguments: dict[str, Any]

    async def heard(self, number: int, *texts: str) -> None:
        """Every member has got these messages, and no others."""
        for member in self.members:
            await wait_until(lambda member=member: len(member.received("roomMessage")) >= number, "messages")
            assert [args[1]["textMessage"] for args in member.received("roomMessage")] == [*texts]


@asynccontextmanager
async def setting(world: World, through: str, **options: Any) -> AsyncIterator[Setting]:
    many = 1 if world.backend.name == "memory" else 2
    instances = [await start(world, **options) for _ in range(many)]
    await instances[0].service.add_room("news")
    members = [await instance.joined(f"user{number}", "news") for number, instance in enumerate(instances)]
    arguments: dict[str, Any]
    if through == "HTTP":
        port = instances[0].service.operations.port
        arguments = {"url": f"http://127.0.0.1:{port}/api/", "token": TOKENS["write"]}
    else:
        assert isinstance(world.backend, InRedis)
        arguments = {"store_options": world.backend.options}
    yield Setting(instances, members, arguments | {"timeout": PATIENCE})


@on_all
async def test_messages_reach_the_members_of_all_instances(world: World, through: str) -> None:
    async with setting(world, through) as scene, AsyncPublisher(**scene.arguments) as publisher:
        sent = await publisher.publish("news", {"textMessage": "one", "author": "desk"}, key="k")
        assert sent == Published(1, duplicate=False)
        again = await publisher.publish("news", {"textMessage": "one", "author": "desk"}, key="k")
        assert again == Published(1, duplicate=True)
        await publisher.publish("news", {"textMessage": "two"}, author="user0")
        await scene.heard(2, "one", "two")
        first, second = (args[1] for args in scene.members[0].received("roomMessage"))
        assert (first["id"], first["author"], second["id"], second["author"]) == (1, "desk", 2, "user0")
        assert abs(first["timestamp"] - second["timestamp"]) < 1000 * PATIENCE
        # The same key through a service is the same message.
        told = await scene.instances[0].service.exec_user_command(
            True,
            "roomMessage",
            "news",
            {"textMessage": "one", "author": "desk"},
            options={"idempotencyKey": "k"},
        )
        assert told == [1, {"duplicate": True}]


@on_all
async def test_refused_messages(world: World, through: str) -> None:
    async with setting(world, through) as scene, AsyncPublisher(**scene.arguments) as publisher:

        async def code(*args: Any, **more: Any) -> str:
            with pytest.raises(ChatServiceError) as caught:
                await publisher.publish(*args, **more)
            assert str(caught.value)
            return caught.value.code

        assert await code("none", {"textMessage": "x"}) == "noRoom"
        assert await code("a:b", {"textMessage": "x"}) == "invalidName"
        assert await code("news", {"textMessage": "x"}, author="nobody") == "noUser"
        assert await code("news", {"x": object()}) == "badArgument"
        await publisher.publish("news", {"textMessage": "x"}, key="k")
        assert await code("news", {"textMessage": "y"}, key="k") == "idempotencyConflict"
        with pytest.raises(ValueError, match="key"):
            await publisher.publish("news", {"textMessage": "x"}, key="")
        await scene.heard(1, "x")


@pytest.mark.parametrize("backend", ["memory"], indirect=True)
async def test_hooks_run_for_messages_through_the_http_api(world: World) -> None:
    def refuse(message: Any) -> None:
        raise ChatServiceError("spam", message["textMessage"])

    async with setting(world, "HTTP", hooks={"room_messages_checker": refuse}) as scene:
        async with AsyncPublisher(**scene.arguments) as publisher:
            with pytest.raises(ChatServiceError) as caught:
                await publisher.publish("news", {"textMessage": "50 % off"})
            assert (caught.value.code, caught.value.arguments) == ("spam", ("50 % off",))
        async with AsyncPublisher(**scene.arguments | {"token": "wrong"}) as publisher:
            with pytest.raises(ChatServiceError, match="token") as caught:
                await publisher.publish("news", {"textMessage": "x"})
            assert caught.value.code == "unauthorized"


@on_all
async def test_threads_share_a_publisher(world: World, through: str) -> None:
    async with setting(world, through) as scene:

        def work() -> list[Published]:
            with Publisher(**scene.arguments) as publisher:
                return [publisher.publish("news", {"textMessage": "same"}, key=f"{n}") for n in range(5)]

        made = await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))
        assert all([sent.id for sent in each] == [sent.id for sent in made[0]] for each in made)
        assert sum(not sent.duplicate for each in made for sent in each) == 5
        await scene.heard(5, *["same"] * 5)


@on_redis
async def test_a_sync_publisher_opens_again_after_a_close(world: World) -> None:
    async with setting(world, "store") as scene:
        publisher = Publisher(**scene.arguments)

        def work(text: str) -> int:
            sent = publisher.publish("news", {"textMessage": text})
            publisher.close()
            publisher.close()
            return sent.id

        assert [await asyncio.to_thread(work, text) for text in ("a", "b")] == [1, 2]
        await scene.heard(2, "a", "b")


#: A pool of forked workers, like those of Celery: the parent has published before they exist, and none of
#: them closes anything.
POOL = """
import json, multiprocessing, sys
from chat_service.publisher import Publisher

publisher = Publisher(**json.loads(sys.argv[1]))

def task(number):
    return publisher.publish("news", {"textMessage": "task"}, key=f"task {number % 10}").duplicate

if __name__ == "__main__":
    publisher.publish("news", {"textMessage": "parent"})
    with multiprocessing.get_context("fork").Pool(3) as pool:
        duplicates = pool.map(task, range(20))
    print("stored", duplicates.count(False), "duplicates", duplicates.count(True))
"""


@on_all
async def test_a_pool_of_forked_workers(world: World, through: str, tmp_path: Any) -> None:
    async with setting(world, through) as scene:
        program = tmp_path / "pool.py"
        program.write_text(POOL)
        # Python 3.12 warns of a fork beside threads, which is what this test is about.
        command = (sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning")
        async with run(*command, program, json.dumps(scene.arguments)) as process:
            assert await process.wait() == 0, process.errors
            assert (process.output, process.errors) == ("stored 10 duplicates 10\n", "")
        await scene.heard(11, "parent", *["task"] * 10)


async def test_a_message_waits_for_a_redis_that_comes_back() -> None:
    with RedisServer() as server:
        options = {"url": server.url, "command_timeout": 0.3}
        server.kill()
        async with AsyncPublisher(store_options=options, timeout=PATIENCE) as publisher:
            sending = asyncio.create_task(publisher.publish("news", {"textMessage": "x"}))
            await asyncio.sleep(0)
            server.start()
            # It is empty now: the error comes from Redis itself.
            with pytest.raises(ChatServiceError, match="No such room"):
                await sending


async def test_without_an_answer_the_outcome_is_unknown() -> None:
    with RedisServer() as server:
        url = server.url
    async with AsyncPublisher(url, timeout=0.5) as publisher:
        with pytest.raises(PublishTimeoutError, match="key mine") as caught:
            await publisher.publish("news", {"textMessage": "x"}, key="mine")
        assert caught.value.key == "mine"


@asynccontextmanager
async def front(answer: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    """A server in the place of the API; its address."""
    app = web.Application()
    app.router.add_post("/api/rooms/{room}/messages", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/api"
    await runner.cleanup()


async def test_attempts_over_http_use_one_key() -> None:
    """A proxy that is overloaded first, then loses an answer, then hands it on."""
    keys: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        keys.append((request.match_info["room"], request.headers["Idempotency-Key"]))
        if len(keys) == 1:
            return web.Response(status=503, headers={"Retry-After": "0"})
        if len(keys) == 2:
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"id": 7, "duplicate": True})

    async with (
        front(answer) as url,
        AsyncPublisher(url, token="t", timeout=PATIENCE) as publisher,
    ):
        assert await publisher.publish("tea / cake", {"textMessage": "x"}) == Published(7, duplicate=True)
    assert len(keys) == 3 and len({*keys}) == 1 and keys[0][0] == "tea / cake"
    await asyncio.sleep(0)


async def test_an_address_that_is_not_the_api() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="<h1>Hello</h1>")

    async with front(answer) as url, AsyncPublisher(url, token="t", timeout=PATIENCE) as publisher:
        with pytest.raises(ChatServiceError, match="unexpected answer with status 200") as caught:
            await publisher.publish("news", {"textMessage": "x"})
        assert caught.value.code == "badAnswer"
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "give the url"),
        ({"url": "http://localhost/api"}, "needs a token"),
        ({"url": "http://localhost/api", "token": "t", "store_options": {}}, "store_options belong"),
        ({"url": "redis://localhost", "token": "t"}, "a token belongs"),
        ({"url": "redis://localhost", "timeout": 0}, "timeout: expected"),
        ({"url": "redis://localhost", "store_options": {"prefx": "x"}}, "prefx"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], text: str) -> None:
    for kind in (AsyncPublisher, Publisher):
        with pytest.raises(ConfigurationError, match=text):
            kind(**arguments)
