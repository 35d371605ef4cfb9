"""Logs as text and JSON with instance, user, room, command and incident."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from chat_service import CommandCall
from chat_service.operations.logging import ContextFilter, configure
from tests.support.world import World

logger = logging.getLogger("app")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """The log output. The root logger is restored at the end."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield io.StringIO()
    root.setLevel(level)
    root.handlers[:] = handlers


def lines(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def hook(call: CommandCall) -> None:
    logger.info("in the hook")
    await asyncio.sleep(0)
    logger.info("after a pause")


async def test_records_of_a_command_have_its_context(world: World, stream: io.StringIO) -> None:
    instance = await world.start(hooks={"room_message_before": hook})
    service = instance.service
    await service.add_room("lobby")
    client = await instance.joined("alice", "lobby")
    configure("json", service=service, stream=stream)
    await client.call("roomMessage", "lobby", {"textMessage": "hello"})
    await service.exec_user_command(
        {"user_name": "alice", "bypass_permissions": True}, "roomMessage", "lobby", {"textMessage": "x"}
    )
    logger.info("outside")
    found = [line for line in lines(stream) if line["logger"] == "app"]
    context = {"instance": service.instance_uid, "user": "alice", "command": "roomMessage", "room": "lobby"}
    for line in found[:2]:
        assert context | {"socket": client.id} == {name: line.get(name) for name in (*context, "socket")}
    assert [line["message"] for line in found] == ["in the hook", "after a pause"] * 2 + ["outside"]
    for line in found[2:4]:
        assert context == {name: line.get(name) for name in context} and "socket" not in line
    assert found[4]["instance"] == service.instance_uid and "user" not in found[4]
    assert set(found[4]) == {"time", "level", "logger", "message", "process", "instance"}
    assert found[4]["level"] == "info" and found[4]["time"].endswith("Z")


async def test_commands_of_the_application_have_the_room_in_the_log(
    world: World, stream: io.StringIO
) -> None:
    instance = await world.start()
    service = instance.service

    @service.command("pollVote", {"roomName": "room", "choice": "integer"})
    def vote(call: CommandCall, room: str, choice: int) -> None:
        logger.info("voting")

    @service.command("remindOf", {"text": "text", "roomName": "room"})
    def remind(call: CommandCall, text: str, room: str) -> None:
        logger.info("reminding")

    @service.command("shrug", {"text": "text"})
    def shrug(call: CommandCall, text: str) -> None:
        logger.info("shrugging")

    client = await instance.login("alice")
    configure("json", service=service, stream=stream)
    await client.call("pollVote", "lobby", 1)
    await client.call("remindOf", "tea", "hall")
    await client.call("shrug", "tea")
    found = [line for line in lines(stream) if line["logger"] == "app"]
    assert [(line["command"], line.get("room")) for line in found] == [
        ("pollVote", "lobby"),
        ("remindOf", "hall"),
        ("shrug", None),
    ]


async def test_incident_id_is_in_the_log(world: World, stream: io.StringIO) -> None:
    def broken(call: CommandCall) -> None:
        raise KeyError("on purpose")

    instance = await world.start(hooks={"list_own_sockets_before": broken})
    client = await instance.login("alice")
    configure("json", stream=stream)
    incident = (await client.error("listOwnSockets")).rpartition(" ")[2]
    [line] = [line for line in lines(stream) if line["level"] == "error"]
    assert line["incident"] == incident and incident in line["message"]
    assert line["user"] == "alice" and line["command"] == "listOwnSockets"
    assert "KeyError: 'on purpose'" in line["exception"]


async def test_logins_and_disconnects_have_context_too(world: World, stream: io.StringIO) -> None:
    def on_connect(service, socket_id) -> str:
        logger.info("who is it?")
        return "alice"

    def on_disconnect(service, info) -> None:
        logger.info("gone")

    instance = await world.start(hooks={"on_connect": on_connect, "on_disconnect": on_disconnect})
    configure("json", stream=stream)
    client = await instance.transport.connect()
    await client.wait_for("loginConfirmed")
    await client.disconnect()
    login, gone = [line for line in lines(stream) if line["logger"] == "app"]
    assert login["command"] == "login" and login["socket"] == client.id and "user" not in login
    assert gone["command"] == "disconnect" and gone["user"] == "alice"


async def test_text_format_keeps_records_on_one_line(world: World, stream: io.StringIO) -> None:
    instance = await world.start()
    client = await instance.login("alice b")
    configure("text", "debug", service=instance.service, stream=stream)
    try:
        instance.service.transport.bind_handler(client.id, "a\nb", lambda: logger.info("x\nERROR y\x1b[1m"))
        await client.emit("a\nb")
        logger.info('plain, “quoted” and "quoted"')
        try:
            raise ValueError("on purpose")
        except ValueError:
            logger.exception("it failed")
    finally:
        logging.getLogger().setLevel(logging.WARNING)
    text = [line for line in stream.getvalue().splitlines() if "app:" in line]
    assert text[0].partition("Z ")[2].startswith("INFO    app: x\\nERROR y\\u001b[1m [instance=")
    assert 'user="alice b"' in text[0] and 'command="a\\nb"' in text[0]
    assert 'plain, “quoted” and "quoted" [instance=' in text[1]
    assert stream.getvalue().rstrip().endswith("ValueError: on purpose")
    assert "Traceback (most recent call last):" in stream.getvalue()


def test_second_call_replaces_the_handler(stream: io.StringIO) -> None:
    others = list(logging.getLogger().handlers)
    first = configure("json", stream=io.StringIO())
    second = configure("text", "WARNING", stream=stream)
    handlers = logging.getLogger().handlers
    assert first not in handlers and second in handlers and all(other in handlers for other in others)
    logger.info("not this")
    logger.warning("this")
    assert stream.getvalue().rstrip().endswith("WARNING app: this")


def test_filter_adds_fields_for_other_handlers() -> None:
    class Service:
        instance_uid = "one"

    record = logging.makeLogRecord({"msg": "hello"})
    assert ContextFilter(Service()).filter(record)
    assert record.__dict__["instance"] == "one"


def test_bad_format() -> None:
    with pytest.raises(ValueError, match="format"):
        configure("xml")  # type: ignore[arg-type]


def test_import_configures_nothing() -> None:
    import subprocess
    import sys

    code = "import logging, chat_service.operations.logging; print(logging.getLogger().handlers)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
