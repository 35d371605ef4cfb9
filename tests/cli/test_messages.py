"""tail and send: messages in order, each once, and without harmful terminal sequences."""

import asyncio
import json
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chat_service import StoreError, StoreTimeoutError
from chat_service.cli import happenings, output
from chat_service.cli.commands import tail as follow
from chat_service.cli.commands.tail import Follower
from chat_service.cli.happenings import Happening
from chat_service.contracts.bus import RoomEvent
from chat_service.contracts.records import SYSTEM, RoomConfig
from chat_service.stores.memory import MemoryBackend, MemoryStore
from chat_service.testing import wait_until
from chat_service.types import RoomName
from tests.cli.conftest import Site, invoke
from tests.e2e.processes import run
from tests.redis.proxy import Proxy
from tests.support.parts import parts_of
from tests.support.patience import PATIENCE

ROOM = RoomName("room")


@pytest.mark.redis
async def test_tail_shows_the_history(site: Site) -> None:
    instance = await site.world.start()
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    for text in ("one", "two\x1b[2J", "three\nlines"):
        await alice.call("roomMessage", "room", {"textMessage": text})
    shown = (await site.run("tail", "--no-follow", "room")).stdout.splitlines()
    assert [line.split(" ", 1)[1] for line in shown[:3]] == [
        "#1 alice: one",
        "#2 alice: two␛[2J",
        "#3 alice: three␤lines",
    ]
    assert len((await site.run("tail", "--no-follow", "-n", "1", "room")).stdout.splitlines()) == 1
    result = await site.run("tail", "--no-follow", "-n", "2", "--json", "room")
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["kind"], first["room"], first["message"]["id"]) == ("message", "room", 2)
    assert second["message"]["textMessage"] == "three\nlines"
    assert (await site.run("tail", "nowhere", code=6)).stderr == "chat-service: No such room nowhere\n"


@pytest.mark.redis
@pytest.mark.covers("cli:tail")
async def test_tail_follows(site: Site) -> None:
    instance = await site.world.start()
    await instance.service.add_room("room", enable_userlist_updates=True)
    await instance.joined("alice", "room")
    await site.run("send", "room", "first")
    args = ["tail", *site.options, "--json", "--events", "room"]
    async with run(sys.executable, "-m", "chat_service", *args) as process:
        await process.wait_for('"first"')
        bob = await instance.joined("bob", "room")
        await bob.call("roomMessage", "room", {"textMessage": "second"})
        await process.wait_for('"second"')
        await instance.service.delete_room("room")
        await process.wait_for('"deleted"')
        assert await process.wait() == 0
        happened = [json.loads(line) for line in process.output.splitlines()]
    kinds = [(item["kind"], item.get("event")) for item in happened]
    assert kinds == [("message", None), ("event", "roomUserJoined"), ("message", None), ("deleted", None)]
    assert [item["message"]["id"] for item in happened if "message" in item] == [1, 2]


@pytest.mark.redis
async def test_ctrl_c_ends_a_tail(site: Site) -> None:
    instance = await site.world.start()
    await instance.service.add_room("room")
    await site.run("send", "room", "hello")
    async with run(sys.executable, "-m", "chat_service", "tail", *site.options, "room") as process:
        await process.wait_for("system: hello")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130, process.errors
        assert "Traceback" not in process.errors


@pytest.mark.redis
async def test_tail_over_a_lost_connection(redis_site: Site) -> None:
    instance = await redis_site.world.start()
    await instance.service.add_room("room")
    await redis_site.run("send", "room", "one")
    options = redis_site.backend.options
    async with Proxy(int(str(options["url"]).rpartition(":")[2].partition("/")[0])) as proxy:
        args = ["--url", proxy.url, "--prefix", redis_site.backend.prefix, "--json", "room"]
        async with run(sys.executable, "-m", "chat_service", "tail", *args) as process:
            await process.wait_for('"one"')
            proxy.half_open = True
            proxy.cut()
            for text in ("two", "three"):
                await redis_site.run("send", "room", text)
            proxy.mend()
            proxy.cut()
            await process.wait_for('"three"')
            await redis_site.run("send", "room", "four")
            await process.wait_for('"four"')
            process.send_signal(signal.SIGINT)
            await process.wait()
            ids = [json.loads(line)["message"]["id"] for line in process.output.splitlines()]
    assert ids == [1, 2, 3, 4]


class Following:
    """A follower of a room in memory, and what it gave."""

    def __init__(self, store: MemoryStore, follower: Follower, happenings: AsyncIterator[Happening]) -> None:
        self.store = store
        self.follower = follower
        self._happenings = happenings

    async def next(self) -> Any:
        """The next happening: the text of a message, or the kind with its numbers."""
        async with asyncio.timeout(PATIENCE):
            item = await anext(self._happenings)
        if item.kind == "message":
            return item.message["textMessage"]
        return (item.kind, item.first, item.last) if item.kind == "gap" else item.kind

    async def post(self, *texts: str) -> None:
        for text in texts:
            await self.store.room_message(ROOM, SYSTEM, {"textMessage": text, "timestamp": int(text)})


@pytest.fixture
async def following() -> AsyncIterator[Following]:
    store = MemoryStore(MemoryBackend())
    follower = Follower(ROOM)
    await store.open(follower)
    await store.room_create(ROOM, RoomConfig(history_max_size=3))
    made = Following(store, follower, follower.follow(store, 2))
    yield made
    await store.close()


async def test_history_first(following: Following) -> None:
    await following.post("1", "2", "3")
    assert [await following.next() for _ in range(2)] == ["2", "3"]
    await following.post("4")
    assert await following.next() == "4"


async def test_missed_messages_are_fetched(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    await following.post("1")
    assert await following.next() == "1"
    hear = following.follower.on_envelope
    monkeypatch.setattr(following.follower, "on_envelope", lambda topic, envelope: None)
    await following.post("2", "3")
    monkeypatch.setattr(following.follower, "on_envelope", hear)
    await following.post("4")
    assert [await following.next() for _ in range(3)] == ["2", "3", "4"]
    monkeypatch.setattr(following.follower, "on_envelope", lambda topic, envelope: None)
    await following.post("5", "6", "7", "8", "9")
    following.follower.on_interruption(("room", ROOM))  # type: ignore[arg-type]
    assert [await following.next() for _ in range(4)] == [("gap", 5, 6), "7", "8", "9"]


@pytest.mark.parametrize(
    "error", [StoreTimeoutError("away"), StoreError("spoilt"), RuntimeError("broken")], ids=repr
)
async def test_errors_while_catching_up_do_not_stop_tail(
    following: Following, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "AGAIN", 0.01)
    await following.post("1")
    assert await following.next() == "1"
    looked = 0

    async def fail(*args: Any) -> Any:
        nonlocal looked
        looked += 1
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(following.store, "room_history_info", fail)
        following.follower.on_interruption(("room", ROOM))  # type: ignore[arg-type]
        coming = asyncio.create_task(following.next())
        await wait_until(lambda: looked > 2, "three tries")
    await following.post("2")
    assert await coming == "2"


async def test_a_room_that_starts_over(following: Following) -> None:
    await following.post("1", "2")
    assert [await following.next() for _ in range(2)] == ["1", "2"]
    await following.store.room_delete(ROOM, SYSTEM)
    await following.store.room_create(ROOM, RoomConfig())
    await following.post("3", "4")
    assert [await following.next() for _ in range(3)] == ["epoch", "3", "4"]


async def test_a_room_that_is_deleted(following: Following) -> None:
    await following.post("1")
    assert await following.next() == "1"
    await following.store.room_delete(ROOM, SYSTEM)
    following.follower.on_interruption(("room", ROOM))  # type: ignore[arg-type]
    assert await following.next() == "deleted"
    with pytest.raises(StopAsyncIteration):
        await following.next()


async def test_events_that_came_before_the_history(following: Following) -> None:
    await following.post("1")
    assert await following.next() == "1"
    info = await following.store.room_history_info(ROOM, SYSTEM)
    late = RoomEvent(
        epoch=info.cursor.epoch,
        seq=1,
        last_message_id=1,
        event="roomMessage",
        args=(ROOM, {"textMessage": "1"}),
    )
    following.follower.on_envelope(("room", ROOM), late)  # type: ignore[arg-type]
    await following.post("2")
    assert await following.next() == "2"


@pytest.mark.redis
@pytest.mark.covers("cli:send")
async def test_send(site: Site) -> None:
    instance = await site.world.start()
    await instance.service.add_room("room")
    alice = await instance.joined("alice", "room")
    assert await site.json("send", "room", "from the operator") == {"room": "room", "ids": [1]}
    _, message = await alice.wait_for("roomMessage")
    assert (message["id"], message["author"], message["textMessage"]) == (1, "system", "from the operator")
    assert abs(message["timestamp"] - parts_of(instance.service).clock.now_ms()) < 60_000
    assert (await site.run("send", "--as", "alice", "room", "as a user")).stdout == ""
    _, message = await alice.wait_for("roomMessage")
    assert message["author"] == "alice"
    await site.run("send", "--message", '{"image": "a.png"}', "room")
    _, message = await alice.wait_for("roomMessage")
    assert (message["image"], message["id"]) == ("a.png", 3)
    answer = await site.json("send", "room", "-", input="one\ntwo\r\n")
    assert answer["ids"] == [4, 5]
    assert [(await alice.wait_for("roomMessage"))[1]["textMessage"] for _ in range(2)] == ["one", "two"]
    assert (await site.run("send", "nowhere", "x", code=6)).stderr == "chat-service: No such room nowhere\n"
    assert (
        await site.run("send", "--as", "bob", "room", "x", code=6)
    ).stderr == "chat-service: No such user bob\n"


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "give either TEXT or --message JSON"),
        (["text", "--message", "{}"], "give either TEXT or --message JSON"),
        (["--message", "{"], "--message is not valid JSON"),
        (["--message", "[]"], "--message: expected a JSON object"),
    ],
)
def test_invalid_messages_are_refused(args: list[str], text: str) -> None:
    result = invoke("send", "room", *args, "--url", "redis://127.0.0.1:1")
    assert result.exit_code == 2
    assert text in result.stderr and result.stderr.count("\n") == 1


def test_lines_about_events() -> None:
    message = {"id": 5, "timestamp": 0, "author": {"odd": 1}, "image": "a.png", "data": b"123"}
    line = happenings.line(Happening(kind="message", message=message))
    assert line.plain.endswith(' #5 {"odd":1}: {"image":"a.png","data":"<3 bytes>"}')
    assert happenings.line(Happening(kind="message", message={"textMessage": "x"})).plain == "? #None x"
    assert happenings.line(Happening(kind="gap", first=3, last=5)).plain == "-- messages 3 to 5 are lost --"
    joined = Happening(kind="event", event="roomUserJoined", args=("room", "alice"))
    assert happenings.line(joined).plain == "-- roomUserJoined alice --"
    assert "started over" in happenings.line(Happening(kind="epoch")).plain
    assert "is deleted" in happenings.line(Happening(kind="deleted")).plain
    gap = happenings.as_object("room", Happening(kind="gap", first=3, last=5))
    assert gap == {"kind": "gap", "room": "room", "from": 3, "to": 5}


def test_binary_values_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"data": b"\x00\xff"})
    assert capsys.readouterr().out == '{"data":{"base64":"AP8="}}\n'
    odd = "\x1b \x9b31m \u202e \u2028 \ud800 ключ 🎉"
    output.print_json(odd)
    printed = capsys.readouterr().out
    assert json.loads(printed) == odd and "ключ 🎉" in printed
    assert not set(printed) & set("\x1b\x9b\u202e\u2028\ud800")
    with pytest.raises(TypeError, match="no JSON for"):
        output.print_json({"data": object()})


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a separate terminal, created by ``script``."""
    shown = []
    for no_color in ("", "1"):
        monkeypatch.setenv("NO_COLOR", no_color)
        code = "from chat_service.cli import output; output.console().print(output.text('x', 'red'))"
        command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"
        monkeypatch.setenv("TERM", "xterm-256color")
        done = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, text=True)
        shown.append(done.stdout.strip())
    assert shown == ["\x1b[31mx\x1b[0m", "x"]


def test_user_texts_cannot_affect_the_terminal() -> None:
    assert (
        output.printable("\x1b]0;title\x07\r\x00 ok \u202egnp\x9b31m\nnext")
        == "␛]0;title␇␍␀ ok �gnp�31m\nnext"
    )
    assert output.printable("ключ 日本 🎉\u00a0x") == "ключ 日本 🎉\u00a0x"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.04, "0.0 s"), (119, "119.0 s"), (600, "10 min"), (7200, "2 h"), (864000, "10 days"), (-3, "-3.0 s")],
)
def test_durations(value: float, text: str) -> None:
    assert output.seconds(value) == text


def test_moments() -> None:
    assert output.moment(None) == "?" and output.moment(1e30) == "?"
    assert len(output.moment(0)) == len("1970-01-01 00:00:00")
