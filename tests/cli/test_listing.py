"""rooms, users, instances: their output, and that they do not change anything."""

import asyncio

import pytest

from chat_service.types import UserName
from tests.cli.conftest import Site, invoke

pytestmark = pytest.mark.redis
QUIET = {"heartbeat_rate": 3600.0, "heartbeat_timeout": 7200.0}


@pytest.mark.covers("cli:rooms")
async def test_rooms(site: Site) -> None:
    instance = await site.world.start()
    for number in range(12):
        await instance.service.add_room(f"room{number:02}", owner="alice", history_max_size=2)
    await instance.service.add_room("[bold]ключ[/bold]", whitelist_only=True)
    alice = await instance.joined("alice", "room03")
    for _ in range(3):
        await alice.call("roomMessage", "room03", {"textMessage": "hello"})
    answer = await site.json("rooms", "--all")
    assert [room["name"] for room in answer["rooms"]] == sorted(
        ["[bold]ключ[/bold]", *(f"room{number:02}" for number in range(12))]
    )
    assert answer["cursor"] is None
    (room,) = [room for room in answer["rooms"] if room["name"] == "room03"]
    epoch = (await instance.service.room_status("room03")).room.epoch
    assert room == {
        "name": "room03",
        "owner": "alice",
        "membersCount": 1,
        "lastMessageId": 3,
        "historySize": 2,
        "historyMaxSize": 2,
        "whitelistOnly": False,
        "epoch": epoch,
    }
    shown = (await site.run("rooms")).stdout.splitlines()
    assert shown[0].split() == ["room", "owner", "members", "last", "id", "stored", "access", "by"]
    (line,) = [line for line in shown if line.startswith("room03")]
    assert line.split() == ["room03", "alice", "1", "3", "2/2", "blacklist"]
    (line,) = [line for line in shown if "ключ" in line]
    assert line.split() == ["[bold]ключ[/bold]", "0", "0", "0/10000", "whitelist"]


async def test_lists_are_in_natural_order(site: Site) -> None:
    instance = await site.world.start()
    names = [f"room{number}" for number in (1, 2, 10, 11, 100)]
    for name in reversed(names):
        await instance.service.add_room(name)
    await instance.joined("user2", *names)
    for name in names:
        await instance.joined(f"user{name[4:]}0", "room1")
    assert [room["name"] for room in (await site.json("rooms"))["rooms"]] == names
    users = [f"user{number}" for number in (2, 10, 20, 100, 110, 1000)]
    assert [user["name"] for user in (await site.json("users"))["users"]] == users
    assert [member["name"] for member in (await site.json("rooms", "room1"))["members"]] == users
    page = await instance.service.list_rooms()
    assert page.cursor is not None or [room.name for room in page.items] == names


async def test_rooms_are_paged(site: Site) -> None:
    instance = await site.world.start()
    names = {f"room{number}" for number in range(30)}
    for name in names:
        await instance.service.add_room(name)
    found: set[str] = set()
    answer = await site.json("rooms", "--limit", "5")
    while True:
        found |= {room["name"] for room in answer["rooms"]}
        if answer["cursor"] is None:
            break
        answer = await site.json("rooms", "--limit", "5", "--cursor", answer["cursor"])
    assert found == names
    first = await site.run("rooms", "--limit", "5")
    assert "there are more: use --all, or --cursor " in first.stderr


async def test_one_room(site: Site) -> None:
    instance = await site.world.start()
    await instance.service.add_room("room", owner="alice", enable_userlist_updates=True)
    for _ in range(2):
        bob = await instance.joined("bob", "room")
    joined_at = (await instance.service.room_status("room")).joined_at[UserName("bob")]
    answer = await site.json("rooms", "room")
    assert answer["members"] == [{"name": "bob", "joinedAt": joined_at, "sockets": 2}]
    assert (answer["enableUserlistUpdates"], answer["enableAccessListsUpdates"]) == (True, False)
    shown = (await site.run("rooms", "room")).stdout
    lines = [line.split() for line in shown.splitlines()]
    assert ["owner", "alice"] in lines and ["member", "sockets", "joined"] in lines
    assert ["bob", "2"] in [line[:2] for line in lines]
    await bob.call("roomSetDetails", "room", {"mood": "x" * 100})
    assert (await site.json("rooms", "room"))["members"][0]["details"] == {"mood": "x" * 100}
    assert '{"mood": "' + "x" * 50 + "…" in (await site.run("rooms", "room")).stdout.replace("\n", "")
    missing = await site.run("rooms", "nowhere", code=6)
    assert missing.stderr == "chat-service: No such room nowhere\n"


@pytest.mark.covers("cli:users")
async def test_users(site: Site) -> None:
    here, there = await site.world.start(), await site.world.start()
    await here.service.add_user("carol")
    await here.service.add_room("room")
    alice = await here.joined("alice", "room")
    await there.login("alice")
    await there.login("bob")
    assert (await site.json("users")) == {
        "users": [{"name": "alice", "sockets": 2}, {"name": "bob", "sockets": 1}],
        "cursor": None,
    }
    known = await site.json("users", "--known", "--all")
    assert [user["name"] for user in known["users"]] == ["alice", "bob", "carol"]
    shown = (await site.run("users")).stdout.splitlines()
    assert [line.split() for line in shown if "alice" in line] == [["alice", "2"]]
    one = await site.json("users", "alice")
    assert {"id": alice.id, "instance": here.service.instance_uid, "rooms": ["room"]} in one["sockets"]
    assert len(one["sockets"]) == 2
    assert alice.id in (await site.run("users", "alice")).stdout
    assert (await site.json("users", "carol")) == {"name": "carol", "sockets": []}
    assert "carol exists but is not online" in (await site.run("users", "carol")).stderr
    assert (await site.run("users", "dave", code=6)).stderr == "chat-service: No such user dave\n"


@pytest.mark.covers("cli:instances")
async def test_instances(site: Site) -> None:
    nobody = await site.run("instances")
    assert "no instance is running" in nobody.stderr
    instance = await site.world.start(**QUIET)
    await instance.login("alice")
    (answer,) = (await site.json("instances"))["instances"]
    assert (answer["id"], answer["state"], answer["sockets"]) == (instance.service.instance_uid, "alive", 1)
    assert 0 <= answer["age"] < 20 and 10 < answer["expiresIn"] <= 30
    shown = (await site.run("instances")).stdout
    assert instance.service.instance_uid in shown and "alive" in shown
    await asyncio.sleep(0.01)
    (answer,) = (await site.json("instances", "--heartbeat-timeout", "0.001"))["instances"]
    assert answer["state"] == "lapsed" and answer["expiresIn"] < 0


async def test_inspection_changes_nothing(site: Site) -> None:
    instance = await site.world.start(**QUIET)
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    await alice.call("roomMessage", "room", {"textMessage": "hello"})
    await alice.wait_for("roomMessage")
    alice.clear()
    before = site.keys()
    for args in (
        ["rooms"],
        ["rooms", "room"],
        ["users", "--known"],
        ["users", "alice"],
        ["instances"],
        ["tail", "--no-follow", "room"],
        ["recover"],
        ["check"],
    ):
        await site.run(*args)
    assert site.keys() == before
    # Nothing was told either: the next event is the test's own.
    await alice.call("roomMessage", "room", {"textMessage": "marker"})
    _, message = await alice.wait_for("roomMessage")
    assert message["textMessage"] == "marker"
    assert not [event for event in alice.events if event[0].startswith("room")]


@pytest.mark.parametrize(
    "args", [["rooms"], ["users"], ["instances"], ["tail", "room"], ["send", "room", "x"], ["recover"]]
)
def test_a_memory_store_cannot_be_inspected(args: list[str]) -> None:
    result = invoke(*args, "--store", "memory")
    assert result.exit_code == 3
    assert result.stderr.startswith("chat-service: a memory store lives inside its server's process")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "args",
    [["rooms"], ["users"], ["instances"], ["tail", "room"], ["send", "room", "x"], ["recover"], ["check"]],
)
def test_the_services_must_be_specified(args: list[str]) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert result.stderr == "chat-service: name the services: --url redis://HOST:PORT/DB, or --config FILE\n"
