"""example/device_types.py and iot_binary.py."""

from chat_service.testing import wait_until
from example import device_types, iot_binary
from example.iot_binary import Device, Reading
from tests.e2e.clients import Client
from tests.examples.conftest import Login, Start, both_stores, one_store

DEVICES = {
    "hub": Device(key="hub-key", partners=("lamp",)),
    "lamp": Device(key="lamp-key", partners=("hub",)),
    "toy": Device(key="toy-key", partners=()),
}


@both_stores
async def test_devices_are_announced(start: Start, connect: Login, login: Login) -> None:
    here = await start(device_types.make_service)
    await here.add_room("room")
    phone = await login(here, "ann", auth={"device": "phone"})
    error, njoined, devices = await phone.emit("roomJoin", "room")
    phone_id = next(iter(devices))
    assert (error, njoined, devices) == (None, 1, {phone_id: ["ann", "phone"]})

    # An instance that starts later learns what is there.
    there = await start(device_types.make_service)
    desktop = await login(there, "ann", auth={"device": "desktop"})
    bob = await login(there, "bob", auth={"device": "tablet"})
    await desktop.call("roomJoin", "room")
    assert (await phone.wait_for("deviceJoined", "room", "ann"))[3] == "phone"
    _, _, desktop_id, kind = await phone.wait_for("deviceJoined", "room", "ann")
    assert kind == "desktop"

    async def all_are_known() -> bool:
        devices = (await bob.emit("roomJoin", "room"))[2]
        return sorted(device for _, device in devices.values()) == ["desktop", "phone", "tablet"]

    await wait_until(all_are_known, "the devices of both instances are known")
    await desktop.call("roomLeave", "room")
    assert await bob.wait_for("deviceLeft") == ["room", "ann", desktop_id]
    await phone.disconnect()
    assert await bob.wait_for("deviceLeft") == ["room", "ann", phone_id]

    assert "No such room" in await bob.error("roomJoin", "nowhere")
    for auth in (None, {}, {"device": ["phone"]}, {"device": "toaster"}):
        refused = await connect(here, "carol", auth=auth)
        assert await refused.wait_for("loginRejected") == ["ChatServiceError: badDevice"]


@one_store
async def test_devices_exchange_bytes(start: Start, connect: Login, login: Login) -> None:
    service = await start(iot_binary.make_service, DEVICES)

    async def device(name: str) -> Client:
        return await login(service, "", auth={"device": name, "key": f"{name}-key"}, msgpack=True)

    hub, lamp, toy = [await device(name) for name in DEVICES]
    payload = Reading(3, 65535, 20.5).pack()
    assert len(payload) == 8
    await lamp.call("directMessage", "hub", {"kind": "reading", "payload": payload})
    (message,) = await hub.wait_for("directMessage")
    assert (message["author"], Reading.unpack(message["payload"])) == ("lamp", Reading(3, 65535, 20.5))

    # The hub has one socket per process that serves it; all get it.
    second = await device("hub")
    await hub.call("directMessage", "lamp", {"kind": "order", "payload": b"\x01"})
    assert (await lamp.wait_for("directMessage"))[0]["payload"] == b"\x01"
    assert (await second.wait_for("directMessageEcho", "lamp"))[1]["payload"] == b"\x01"

    order = {"kind": "order", "payload": b""}
    assert await toy.error("directMessage", "lamp", order) == "ChatServiceError: Action is not allowed"
    for bad in (
        {"kind": "order", "payload": "text"},
        {"kind": "order", "payload": bytes(iot_binary.PAYLOAD_LIMIT + 1)},
        {"kind": ["order"], "payload": b""},
        {"kind": "order", "payload": b"", "more": 1},
    ):
        assert "Bad argument at position 1" in await hub.error("directMessage", "lamp", bad)
    await lamp.disconnect()
    await wait_until(lambda: gone(hub), "the lamp is offline")

    for auth in (None, {"device": "hub"}, {"device": "hub", "key": "lamp-key"}, {"device": [], "key": ""}):
        refused = await connect(service, "", auth=auth, msgpack=True)
        assert await refused.wait_for("loginRejected") == ["ChatServiceError: No login provided"]


async def gone(hub: Client) -> bool:
    """Whether the hub is told that the lamp is not there."""
    error, _ = await hub.emit("directMessage", "lamp", {"kind": "order", "payload": b""})
    return error == "ChatServiceError: No such user online lamp"
