"""Sends with options over the wire: keys, expected ids and epochs, in JSON and msgpack."""

from typing import Any

import pytest

from tests.e2e.conftest import POLLING, WEBSOCKET, ConnectTo, Serve
from tests.support.wire_errors import wire_error

KEY = {"idempotencyKey": "order 17 ☕"}
AGAIN = {"duplicate": True}


@pytest.mark.covers("command:roomMessage", "command:roomRecentHistory")
@pytest.mark.parametrize(
    "options",
    [
        {"kind": "js", "transports": WEBSOCKET},
        {"kind": "py", "transports": POLLING},
        {"kind": "js", "msgpack": True},
    ],
    ids=["javascript", "python, polling", "msgpack"],
)
async def test_options_and_their_answers(serve: Serve, connect: ConnectTo, options: Any) -> None:
    serializer = "msgpack" if options.get("msgpack") else "json"
    service = await serve(
        hooks={"room_messages_checker": lambda message: None}, transport_options={"serializer": serializer}
    )
    await service.add_room("room")
    client = await connect(service, "alice", **options)
    await client.wait_for("loginConfirmed")
    await client.call("roomJoin", "room")
    message = {"text": "tea", "sugar": 1.5, "picture": b"\x00\xff"}
    assert await client.emit("roomMessage", "room", message, KEY) == [None, 1]
    turned = dict(reversed(message.items()))
    assert await client.emit("roomMessage", "room", turned, KEY) == [None, 1, AGAIN]
    other = {**message, "picture": b"\x01\xff"}
    conflict = wire_error("idempotencyConflict", "order 17 ☕")
    assert await client.emit("roomMessage", "room", other, KEY) == [conflict, None]
    behind = wire_error("conflict", 1)
    assert await client.emit("roomMessage", "room", other, {"expectedLastId": 0}) == [behind, None]
    assert await client.emit("roomMessage", "room", {"text": "milk"}, {"expectedLastId": 1}) == [None, 2]
    epoch = (await client.call("roomHistoryInfo", "room"))["epoch"]
    error, found, its_epoch = await client.emit("roomRecentHistory", "room", {"epoch": True})
    assert (error, [item["id"] for item in found], its_epoch) == (None, [2, 1], epoch)
    # Messages that are kept as JSON go out as they are, in the midst of the other values.
    error, found, its_epoch = await client.emit("roomHistoryGet", "room", 1, 5, {"epoch": True})
    assert (error, [item["text"] for item in found], its_epoch) == (None, ["milk"], epoch)
