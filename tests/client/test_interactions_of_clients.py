"""The Python client edits, deletes and reacts, and folds what it hears."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chat_service import ChatService, ChatServiceError
from chat_service.client import ChatClient, ClientRoom, FoldedMessages, NotConnectedError
from chat_service.client.client_outbox import Outbox
from tests.support.world import name_by_query

pytestmark = pytest.mark.e2e


@pytest.fixture
async def service() -> AsyncIterator[ChatService]:
    async with ChatService(host="127.0.0.1", port=0, hooks={"on_connect": name_by_query}) as made:
        await made.add_room("room")
        yield made


def client_of(service: ChatService, name: str) -> ChatClient:
    return ChatClient(f"http://127.0.0.1:{service.port}", query={"userName": name})


async def read_up_to(room: ClientRoom, view: FoldedMessages, last: int) -> None:
    async for message in room:
        view.take(message)
        if message["id"] == last:
            return


async def test_both_see_the_same(service: ChatService) -> None:
    async with client_of(service, "alice") as alice, client_of(service, "bob") as bob:
        room, other = await alice.join("room"), await bob.join("room")
        view, others = room.folded(), other.folded()
        for text in ("tea", "milk", "cake"):
            await room.send({"textMessage": text})
        await read_up_to(room, view, 3)
        [tea, milk, cake] = view
        assert await milk.edit({"textMessage": "oat milk"}) == 4
        assert await cake.delete() == 5
        assert await tea.react("👍") == 6
        assert await tea.react("👍") == 6
        await read_up_to(other, others, 6)
        his = others.get(1)
        assert his is not None
        assert await his.react("👍") == 7
        assert await his.react("♥") == 8
        assert await his.reply({"textMessage": "with sugar"}) == 9
        assert await his.unreact("♥") == 10
        assert await his.unreact("♥") == 0
        with pytest.raises(ChatServiceError, match="not allowed"):
            await his.edit({"textMessage": "coffee"})
        await read_up_to(room, view, 10)
        await read_up_to(other, others, 10)
        loaded = other.folded()
        for message in await other.history(fold=True):
            loaded.take(message, is_folded=True)
        for shown, own in ((view, {"👍"}), (others, {"👍"}), (loaded, {"👍"})):
            assert [each.message.get("textMessage") for each in shown] == [
                "tea",
                "oat milk",
                None,
                "with sugar",
            ]
            first, second, third, reply = shown
            assert (first.reactions, first.own_reactions) == ({"👍": 2}, own)
            assert (second.is_edited, third.is_deleted, reply.reply_to) == (True, True, 1)
        # What a folded history has counted is not counted again.
        for message in await other.history():
            assert loaded.take(message) is None
        assert [each.reactions for each in loaded] == [{"👍": 2}, {}, {}, {}]
        # A page that was read before something was said is used after it.
        page = await other.history(fold=True)
        late = other.folded()
        assert await other.react(9, "!") == 11
        await read_up_to(other, late, 11)
        for message in page:
            late.take(message, is_folded=True)
        last = late.get(9)
        assert last is not None
        assert last.reactions == {"!": 1}


async def test_a_view_is_bounded(service: ChatService) -> None:
    async with client_of(service, "alice") as alice:
        view = alice.room("room").folded(limit=2)
        for number in range(1, 5):
            view.take({"id": number, "textMessage": str(number)})
        assert [each.id for each in view] == [3, 4]
        assert view.take({"id": 5, "relatesTo": {"type": "edit", "id": 1}, "textMessage": "x"}) is None


async def test_options_survive_a_restart(tmp_path: Path) -> None:
    text = {"textMessage": "tea"}
    for _ in range(2):
        outbox = Outbox(limit=9, max_age=60, path=tmp_path / "outbox")
        if not len(outbox):
            outbox.add("room", text, "k1", {})
            outbox.add("room", text, "k2", {"edits": 1})
        assert [(each.key, each.message, each.options) for each in outbox] == [
            ("k1", text, {}),
            ("k2", text, {"edits": 1}),
        ]
        outbox.close(NotConnectedError("the end"))
