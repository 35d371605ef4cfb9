"""A ban between two steps of a command: the steps that follow the ban store nothing."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from chat_service.stores.redis import RedisStore
from chat_service.testing import InProcessClient, wait_until
from tests.feature.test_ban import QUIET, start_deaf
from tests.support.backends import InRedis
from tests.support.faults import FaultyStore
from tests.support.world import Instance, World

pytestmark = [
    pytest.mark.redis,
    pytest.mark.parametrize("backend", ["redis", "cluster"], indirect=True),
]

TEXT = {"textMessage": "x"}
#: Alice owns "own", and has joined only "hall" and her conversation with dan.
COMMANDS: dict[str, tuple[Any, ...]] = {
    "roomCreate": ("roomCreate", "mine", False),
    "roomJoin": ("roomJoin", "own"),
    "roomAddToList": ("roomAddToList", "own", "adminlist", ["late"]),
    "roomRemoveFromList": ("roomRemoveFromList", "own", "whitelist", ["carol"]),
    "roomSetWhitelistMode": ("roomSetWhitelistMode", "own", True),
    "roomDelete": ("roomDelete", "own"),
    "roomMarkRead of an owner": ("roomMarkRead", "own", 1),
    "roomMarkRead of a member": ("roomMarkRead", "hall", 1),
    "roomMessage": ("roomMessage", "hall", TEXT),
    "roomMessage with a key": ("roomMessage", "hall", TEXT, {"idempotencyKey": "k"}),
    "roomMessage, a reaction": (
        "roomMessage",
        "hall",
        {"textMessage": ""},
        {"reactsTo": 1, "reaction": "+1"},
    ),
    "roomMessage in a conversation": ("roomMessage", "direct:alice:dan", TEXT),
    "directMessage": ("directMessage", "bob", TEXT),
    "directOpen": ("directOpen", "bob"),
    "directOpen again": ("directOpen", "dan"),
    "directAddToList": ("directAddToList", "blacklist", ["late"]),
    "directRemoveFromList": ("directRemoveFromList", "whitelist", ["carol"]),
    "directSetWhitelistMode": ("directSetWhitelistMode", True),
}
#: More than any command has.
STEPS = 6


@dataclass
class Site:
    """Alice on a deaf instance, and an instance that bans her."""

    backend: InRedis
    one: Instance
    faulty: FaultyStore
    alice: InProcessClient
    bob: InProcessClient

    async def direct_messages(self, marker: str) -> list[Any]:
        """Those that have been published to bob."""
        await self.one.service.exec_user_command("bob", "systemMessage", marker)
        await self.bob.wait_for("systemMessage", marker)
        return self.bob.received("directMessage")

    def stored(self) -> dict[str, Any]:
        """What is stored, other than where sockets are and what a ban itself leaves."""
        found: dict[str, Any] = {}
        for client in self.backend.clients():
            with client:
                for raw in client.scan_iter(f"{self.backend.prefix}:*", count=1000):
                    key = raw.decode().removeprefix(f"{self.backend.prefix}:")
                    of_sockets = key.startswith("instance") or key.endswith((":sockets", ":rooms"))
                    if not of_sockets and not key.endswith((":permits", ":ban")) and ":revoked:" not in key:
                        # The rooms in a list may be removed, as the conversation that was not opened.
                        found[key] = set(client.hkeys(raw)) if key.endswith(":own") else client.dump(raw)
        return found


async def set_up(world: World) -> Site:
    assert isinstance(world.backend, InRedis)
    # It waits for a join in progress for this long.
    impatient = RedisStore({**world.backend.options, "command_timeout": 1.0})
    one = await world.start(store=impatient, **QUIET)
    deaf, faulty = await start_deaf(world)
    service = one.service
    await service.add_room("hall")
    await service.add_room("own", owner="alice", whitelist=["carol"])
    for user in ("bob", "dan"):
        await service.add_user(user)
    alice, bob = await deaf.login("alice"), await one.login("bob")
    await alice.call("directOpen", "dan")
    for room in ("hall", "direct:alice:dan"):
        await alice.call("roomJoin", room)
    for room in ("hall", "own"):
        await service.exec_user_command(True, "roomMessage", room, TEXT)
    await alice.call("directAddToList", "whitelist", ["carol"])
    return Site(world.backend, one, faulty, alice, bob)


def before_step(store: RedisStore, step: int, act: Callable[[], Awaitable[None]]) -> "itertools.count[int]":
    """Await ``act`` before that step. Returns the counter of the steps."""
    steps = itertools.count()

    def interposed(do: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(*args: Any, **keywords: Any) -> Any:
            # Permits are given back in the background.
            if "ZREM" not in args and next(steps) == step:
                await act()
            return await do(*args, **keywords)

        return run

    client: Any = store.client
    client.run, client.call = interposed(client.run), interposed(client.call)
    return steps


@pytest.mark.parametrize("name", list(COMMANDS))
@pytest.mark.parametrize("step", range(STEPS))
async def test_nothing_is_stored_after_the_ban(world: World, name: str, step: int) -> None:
    site = await set_up(world)
    store = site.faulty.inner
    assert isinstance(store, RedisStore)
    at_the_ban: list[dict[str, Any]] = []
    heard: list[Any] = []

    async def ban() -> None:
        await site.one.service.ban_user("alice")
        at_the_ban.append(site.stored())
        heard.extend(await site.direct_messages("at the ban"))

    steps = before_step(store, step, ban)
    answer = await site.alice.emit(*COMMANDS[name])
    if not at_the_ban:
        # It has fewer steps, and has succeeded. Others show that each has some.
        assert answer[0] is None and next(steps) <= step and step > 0
        return
    if step == 0:
        assert "Banned" in str(answer[0]) or "notJoined" in str(answer[0]) or "Not joined" in str(answer[0])
    now = site.stored()
    if name == "roomJoin" and world.backend.name == "redis" and step == 1:
        # One server waits for a join in progress as long as it can take.
        return
    own = {key for key in now if key.endswith(":own")}
    assert {key: now[key] for key in now if key not in own} == {
        key: value for key, value in at_the_ban[0].items() if key not in own and not key.endswith(":own")
    }
    for key in own:
        assert now[key] <= at_the_ban[0].get(key, set()), key
    assert await site.direct_messages("afterwards") == heard


async def test_permits_are_given_back(world: World) -> None:
    """In a cluster; elsewhere there are none."""
    site = await set_up(world)
    for name in ("roomAddToList", "directMessage", "directOpen", "roomMarkRead of an owner", "roomCreate"):
        assert (await site.alice.emit(*COMMANDS[name]))[0] is None, name
    # A refused one as well.
    assert (await site.alice.emit("roomDelete", "nowhere"))[0] is not None

    def left() -> list[bytes]:
        return [key for client in site.backend.clients() for key in client.scan_iter("*}:permits")]

    await wait_until(lambda: not left(), "the end of the permits")


async def test_a_user_whose_ban_has_ended_may_go_on(world: World) -> None:
    site = await set_up(world)
    await site.one.service.ban_user("alice")
    await site.one.service.unban_user("alice")
    await site.alice.call("roomJoin", "hall")
    for name, command in COMMANDS.items():
        if name not in ("roomDelete", "roomMessage in a conversation"):
            assert (await site.alice.emit(*command))[0] is None, name
