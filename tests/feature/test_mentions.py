"""Mentions of members, which the server finds in the text of messages."""

from typing import Any

import pytest

from chat_service.commands.mentions import MAX_WORDS, named
from tests.support.backends import ONE_STORE
from tests.support.world import World


@pytest.mark.covers("option:mentions_limit")
async def test_members_are_found(world: World) -> None:
    instance = await world.start(mentions_limit=3)
    await instance.service.add_room("room")
    ann = await instance.joined("Ann", "room")
    for name in ("Ann Lee", "bob.", "Zoë"):
        await instance.joined(name, "room")
    await instance.login("eve")
    texts: dict[str, list[str] | None] = {
        "hello": None,
        "@Ann Lee, and @Zoë!": ["Ann Lee", "Zoë"],
        "(@Ann) @Ann": ["Ann"],
        "@Ann Leeds": ["Ann"],
        "@bob. @bob": ["bob."],
        # Not joined, not a name, and an address.
        "@eve @ @@ x@Ann": None,
        # No more than three are looked at.
        "@x @y @z @Ann": None,
    }
    for text, names in texts.items():
        await ann.emit("roomMessage", "room", {"textMessage": text})
        assert (await ann.wait_for("roomMessage"))[1].get("mentions") == names, text
    await ann.emit("roomMessage", "room", {"textMessage": "for @Zoë"}, {"edits": 1})
    [_, folded] = await ann.emit("roomHistoryGet", "room", 0, 1, {"fold": True})
    assert folded[0]["mentions"] == ["Zoë"]


@ONE_STORE
async def test_only_the_server_mentions(world: World) -> None:
    checked: dict[str, Any] = {"hooks": {"room_messages_checker": lambda message: None}}
    forged = {"text": "@Ann", "mentions": ["Ann"]}
    for limit in (0, 5):
        instance = await world.start(mentions_limit=limit, **checked)
        await instance.service.add_room("room", exist_ok=True)
        ann = await instance.joined("Ann", "room")
        await ann.emit("roomMessage", "room", forged)
        # A service that finds no mentions leaves the field to the application's format.
        assert (await ann.wait_for("roomMessage"))[1].get("mentions") == (None if limit else ["Ann"])


def test_names_are_bounded() -> None:
    assert len(named("@" * 10_000, 5, 256)) == 0  # longer than a name
    assert len(named("@x " * 10_000, 100, 256)) == 100
    [names] = named("@" + "word " * 1000, 1, 256)
    assert names == ["word word word word", "word word word", "word word", "word"]
    assert len(names) == MAX_WORDS
    assert named("@" + "x" * 300, 1, 256) == []
    assert named("@a:b @{c} @d\ne", 9, 256) == [["a"], ["d"]]
