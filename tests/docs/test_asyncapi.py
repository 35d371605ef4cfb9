"""The AsyncAPI document is valid and complete, and the service's traffic conforms to it."""

import json
import time
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from chat_service import ChatService, Login, MemoryStore
from chat_service.commands.table import TABLE
from chat_service.contracts.bus import RoomEvent
from chat_service.protocol.notifications import NOTIFICATIONS
from chat_service.testing import InProcessClient, InProcessTransport, wait_until
from chat_service.transports.streams.plain_json import read_frame, write_answer, write_event, write_fault
from tests.docs.blocks import ROOT
from tests.support.faults import FaultyStore, as_store
from tests.support.world import name_by_query
from tools.gendocs import asyncapi
from tools.gendocs.json_types import argument_schema, schema_of

DOCUMENT = asyncapi.document()
SPECIFICATION = ROOT / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"


def payload(message: str) -> Draft7Validator:
    """A validator of the payload of one message."""
    reference = {"$ref": f"#/components/messages/{message}/payload"}
    return Draft7Validator({"components": DOCUMENT["components"], "allOf": [reference]})


def test_document_is_asyncapi() -> None:
    schema = json.loads(SPECIFICATION.read_text("utf-8"))
    assert [error.message for error in Draft7Validator(schema).iter_errors(DOCUMENT)] == []


def test_yaml_is_the_same_document() -> None:
    assert yaml.safe_load(asyncapi.page()) == DOCUMENT


def test_references_can_be_resolved() -> None:
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                found.append(value["$ref"])
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(DOCUMENT)
    for reference in set(found):
        place: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    assert len(set(found)) > 2 * len(TABLE)


def test_every_row_is_included() -> None:
    # The plain protocol carries all rows in the same four frames.
    operations = {name: row for name, row in DOCUMENT["operations"].items() if name not in PLAIN}
    assert {name for name, row in operations.items() if row["action"] == "receive"} == {
        row.name for row in TABLE
    }
    assert {name for name, row in operations.items() if row["action"] == "send"} == {
        f"{row.name}.event" for row in NOTIFICATIONS
    }
    for row in TABLE:
        ack = DOCUMENT["components"]["messages"][f"{row.name}.ack"]
        assert set(row.errors) <= set(ack["x-error-codes"])


def test_list_names_are_those_that_the_command_knows() -> None:
    def lists(name: str) -> list[str]:
        (row,) = [row for row in TABLE if row.name == name]
        (argument,) = [argument for argument in row.arguments if argument.name == "listName"]
        names: list[str] = argument_schema(row, argument)["enum"]
        return names

    assert lists("directAddToList") == ["blacklist", "whitelist"]
    assert lists("roomAddToList") == ["adminlist", "blacklist", "whitelist"]
    assert lists("roomGetAccessList") == ["adminlist", "blacklist", "userlist", "whitelist"]


def test_unknown_types_are_refused() -> None:
    with pytest.raises(LookupError, match="Nonsense"):
        schema_of("Nonsense[]")


#: A value of each argument that a client may send, and some that it may not.
GOOD = {
    "roomName": "room",
    "userName": "ann",
    "toUser": "bob",
    "userNames": ["dave"],
    "listName": "blacklist",
    "message": {"textMessage": "hello"},
    "mode": False,
    "whitelistOnly": False,
    "id": 0,
    "limit": 10,
    "data": {"anything": [1, None]},
    "details": {"anything": [1, None]},
    "credentials": "a token",
    "name": "typing",
    "roomNames": ["room"],
}
BAD: dict[str, list[Any]] = {
    "roomName": ["", "a:b", 5, None],
    "userName": ["", "a{b", 5],
    "toUser": ["", "x" * 257],
    "userNames": ["ann", ["a:b"], [5]],
    "listName": ["list", None],
    "message": ["hello", None],
    "mode": ["yes", 1],
    "whitelistOnly": [None],
    "id": [-1, 0.5, "1"],
    "limit": [0],
    "data": [],
    "details": [],
    "credentials": [],
    "name": ["", "n" * 129, 5, None],
    "roomNames": ["room", ["a:b"], [5]],
}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_arguments(row: Any) -> None:
    validator = payload(row.name)
    names = [argument.name for argument in row.arguments]
    good = [row.name, *(GOOD[name] for name in names)]
    assert validator.is_valid(good) and validator.is_valid([*good, "rest"])
    assert not validator.is_valid(["other", *good[1:]])
    assert not names or not validator.is_valid(good[:-1])
    for position, name in enumerate(names, 1):
        for value in BAD[name]:
            assert not validator.is_valid([*good[:position], value, *good[position + 1 :]]), (name, value)


@pytest.mark.parametrize(
    ("row", "good", "bad"),
    [
        ("roomMessage", {"idempotencyKey": "k", "more": 1}, {"idempotencyKey": ""}),
        ("roomMessage", {"expectedLastId": 0}, {"expectedLastId": "1"}),
        ("roomHistoryGet", {"epoch": True}, {"epoch": "yes"}),
    ],
)
def test_options(row: str, good: dict[str, Any], bad: dict[str, Any]) -> None:
    (command,) = [command for command in TABLE if command.name == row]
    packet = [row, *(GOOD[argument.name] for argument in command.arguments)]
    assert payload(row).is_valid([*packet, good]) and not payload(row).is_valid([*packet, bad])


def named(service: ChatService, socket_id: str) -> Any:
    name = name_by_query(service, socket_id)
    # One that is told at once that it is about to end.
    return Login(name, expires_at=time.time() + 30) if name == "bob" else name


@pytest.mark.parametrize("raw", [False, True])
async def test_sent_values_conform_to_the_schemas(raw: bool) -> None:
    transport, store = InProcessTransport(), FaultyStore(MemoryStore())
    service = ChatService(
        transport=transport,
        store=as_store(store),
        hooks={"on_connect": named, "on_refresh": lambda *_: Login("ann", expires_at=time.time() + 30)},
        use_raw_error_objects=raw,
        enable_rooms_management=True,
        enable_direct_messages=True,
        enable_direct_conversations=True,
        enable_userlist_updates=True,
        enable_access_lists_updates=True,
    )

    checked: set[str] = set()

    def check(message: str, value: Any) -> None:
        checked.add(message)
        errors = [f"{message} {value!r}: {error.message}" for error in payload(message).iter_errors(value)]
        assert errors == []

    async with service:
        await service.add_room("room", owner="ann")
        clients = [await transport.connect(query={"userName": name}) for name in ("ann", "ann", "bob", "a:b")]
        ann, phone, bob, refused = clients
        for client in (ann, phone, bob):
            await seen(client, "loginConfirmed")

        async def run(client: InProcessClient, command: str, *args: Any) -> None:
            check(command, [command, *args])
            check(f"{command}.ack", list(await client.emit(command, *args)))

        await run(bob, "roomJoin", "room")
        for row in TABLE:
            # Once as the owner, once as somebody who may do little: successes and failures.
            for client in (ann, bob):
                name = "garden" if row.name in ("roomCreate", "roomDelete") else "room"
                values = {**GOOD, "roomName": name, "toUser": "bob"}
                await run(client, row.name, *(values[argument.name] for argument in row.arguments))
            if row.name == "roomJoin":
                message = {"textMessage": "from nobody"}
                await service.exec_user_command(True, "roomMessage", "room", message)
                # The events of a room follow the answer to the join, and reach nobody who has left by then.
                await seen(bob, "roomMessage")
                await run(ann, "roomRecentHistory", "room")
        await run(ann, "roomJoin", "room")
        for mode in (True, False):
            await run(ann, "roomSetWhitelistMode", "room", mode)
        await run(bob, "roomJoin", "room")
        # An ephemeral event reaches only sockets whose clients know that they have joined.
        await seen(ann, "roomModeChanged")
        await run(bob, "roomEvent", "room", "typing", {"on": True})
        await run(ann, "roomMarkRead", "room", 1)
        await seen(phone, "roomReadEcho")
        for details in ({"anything": [1]}, None):
            await run(ann, "roomSetDetails", "room", details)
            await run(ann, "roomGetStatus", "room", {"limit": 1})
            await seen(ann, "roomMemberUpdated")
        await run(ann, "roomAddToList", "room", "blacklist", ["dave"])
        await run(ann, "roomRemoveFromList", "room", "blacklist", ["dave"])
        await run(ann, "roomAddToList", "room", "blacklist", ["bob"])
        await run(bob, "directMessage", "ann", {"textMessage": "out"})
        await phone.disconnect()
        for client, event in (
            (bob, "roomAccessRemoved"),
            (ann, "directMessage"),
            (ann, "socketDisconnectEcho"),
            (refused, "loginRejected"),
        ):
            await seen(client, event)
        # The bus loses more than the room keeps.
        await service.change_room_history_max_size("room", 0)
        store.loses = lambda topic, envelope: isinstance(envelope, RoomEvent)
        await service.exec_user_command(True, "roomMessage", "room", message)
        for number in range(201):
            await service.exec_user_command(True, "roomAddToList", "room", "whitelist", [f"guest{number}"])
        store.loses = lambda topic, envelope: False
        await service.exec_user_command(True, "roomMessage", "room", message)
        for event in ("roomHistoryGap", "roomStateGap"):
            await seen(ann, event)
        for client in clients:
            for event, args in client.events:
                check(f"{event}.event", [event, *args])

    assert set(DOCUMENT["components"]["messages"]) - checked == PLAIN


#: Frames of the plain protocol.
PLAIN = {"plain.login", "plain.command", "plain.answer", "plain.event"}


def test_plain_frames_conform_to_the_schemas() -> None:
    command, login = payload("plain.command"), payload("plain.login")
    good: list[tuple[Draft7Validator, Any]] = [
        (login, {"login": None}),
        (login, {"login": {"token": "x"}, "query": {"a": "b"}}),
        (command, {"command": "a"}),
        (command, {"id": 7, "command": "a", "args": [1]}),
        (command, {"id": "x", "command": "a"}),
    ]
    for validator, frame in good:
        validator.validate(frame)
        read_frame(frame)
    bad: list[Any] = [{}, {"command": 5}, {"command": "a", "args": 5}, {"command": "a", "id": 1.5}]
    for frame in bad:
        assert not command.is_valid(frame)
        with pytest.raises(ValueError, match=r"\w"):
            read_frame(frame)
    for answer in (write_answer(7, (None, 1)), write_answer("x", ("error", None)), write_fault("why")):
        payload("plain.answer").validate(json.loads(answer))
    payload("plain.event").validate(json.loads(write_event("roomMessage", ("room", {}))))


async def seen(client: InProcessClient, event: str) -> None:
    """Return when an event has come; unlike after ``wait_for`` it is still among the client's events."""
    await wait_until(lambda: bool(client.received(event)), f"{event} at {client!r}")
