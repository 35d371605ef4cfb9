"""The Python client opens conversations, and lists its rooms on a new device."""

import pytest

from chat_service import ChatService, ChatServiceError
from chat_service.client import ChatClient
from tests.support.world import name_by_query

pytestmark = pytest.mark.e2e


def client_of(service: ChatService, name: str) -> ChatClient:
    return ChatClient(f"http://127.0.0.1:{service.port}", query={"userName": name})


async def test_a_conversation_and_the_list_of_rooms() -> None:
    service = ChatService(
        host="127.0.0.1",
        port=0,
        hooks={"on_connect": name_by_query},
        enable_direct_conversations=True,
        own_rooms_limit=200,
    )
    async with service:
        names = [f"room{number:03}" for number in range(120)]
        for name in names:
            await service.add_room(name)
        async with client_of(service, "bob"):
            pass
        async with client_of(service, "alice") as alice:
            with pytest.raises(ChatServiceError, match="No such user"):
                await alice.conversation("nobody")
            room = await alice.conversation("bob")
            assert await room.send({"textMessage": "for later"}) == 1
            for name in names:
                await alice.join(name)
        # Pages are read as they are needed.
        async with client_of(service, "alice") as tablet:
            listed = [entry async for entry in tablet.own_rooms()]
        assert [entry["roomName"] for entry in listed] == [room.name, *names]
        assert [entry["userName"] for entry in listed] == ["bob"] + [None] * 120
        async with client_of(service, "bob") as bob:
            [entry] = [entry async for entry in bob.own_rooms()]
            assert (entry["kind"], entry["userName"], entry["unread"]) == ("direct", "alice", 1)
            again = await bob.conversation("alice", recent=10)
            assert again.name == entry["roomName"]
            async for message in again:
                assert message["textMessage"] == "for later"
                break
