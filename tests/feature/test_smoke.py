"""The shortest way through the service: two users talk in a room."""

from tests.support.world import World


async def test_two_users_talk(world: World) -> None:
    instance = await world.start()
    await instance.service.add_room("room", owner="alice")
    alice = await instance.joined("alice", "room")
    bob = await instance.joined("bob", "room")
    assert await alice.call("roomMessage", "room", {"textMessage": "hello"}) == 1
    room, message = await bob.wait_for("roomMessage")
    assert (room, message["textMessage"], message["author"], message["id"]) == ("room", "hello", "alice", 1)
