"""Replies, edits, deletions and reactions, as two people see them."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import expect

from chat_service import ChatServiceError, CommandCall
from chat_service.demo import Demo
from tests.browser.axe import violations
from tests.browser.conftest import MARKS, Demos, People, Unique
from tests.browser.person import Person
from tests.browser.test_timeline import post

pytestmark = MARKS


async def pair(person: People, unique: Unique, at: Demo | None = None) -> tuple[Person, Person, str]:
    """Ann, who owns a room, and Bob, who is in it."""
    options: dict[str, Any] = {} if at is None else {"at": at}
    ann = await (await person(unique("Ann"), **options)).login()
    bob = await (await person(unique("Bob"), **options)).login()
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    return ann, bob, room


def reaction(someone: Person, text: str, emoji: str) -> Any:
    return someone.message(text).get_by_role("group", name="Reactions").get_by_role("button", name=emoji)


async def test_a_reaction_is_given_and_taken_back(person: People, unique: Unique) -> None:
    ann, bob, room = await pair(person, unique)
    await ann.say("hello")
    await bob.sees("hello")
    await bob.use_tool("hello", "React with 👍")
    for someone, is_own in ((ann, False), (bob, True)):
        button = reaction(someone, "hello", "👍 1 person")
        await expect(button).to_have_attribute("aria-pressed", str(is_own).lower())
    # The same of another person, and a reaction from the picker.
    await reaction(ann, "hello", "👍").click()
    await expect(reaction(bob, "hello", "👍 2 people, also you")).to_be_visible()
    await ann.use_tool("hello", "React")
    await ann.page.get_by_label("Search emoji").fill("tea")
    await ann.click("teacup without handle")
    await expect(reaction(bob, "hello", "🍵 1 person")).to_be_visible()
    await reaction(bob, "hello", "👍").click()
    await expect(reaction(ann, "hello", "👍 1 person, also you")).to_be_visible()
    # Nobody has new messages from that, and who comes later sees the same.
    assert await bob.texts() == ["hello"]
    await expect(bob.page).to_have_title(f"{room} · Chat")
    await ann.page.reload()
    await ann.open_room(room)
    await expect(reaction(ann, "hello", "👍 1 person, also you")).to_be_visible()
    await expect(reaction(ann, "hello", "🍵 1 person, also you")).to_be_visible()
    await reaction(ann, "hello", "👍").click()
    await expect(reaction(bob, "hello", "👍")).to_have_count(0)


async def test_a_reply_quotes_its_message_and_leads_to_it(
    person: People, demos: Demos, unique: Unique
) -> None:
    demo = await demos()
    ann, bob, room = await pair(person, unique, demo)
    await ann.say("who wants tea?")
    await bob.sees("who wants tea?")
    await post(demo, room, *(f"filler {number}" for number in range(1, 121)))
    await bob.sees("filler 120")
    # Bob comes later: the message is not loaded, but its quote is there.
    await ann.log.evaluate("log => log.scrollTop = 0")
    await expect(ann.message("who wants tea?")).to_be_visible()
    await ann.use_tool("who wants tea?", "Reply")
    await expect(ann.composer).to_be_focused()
    await expect(ann.page.locator(".purpose")).to_contain_text("Reply to")
    await ann.composer.fill("I do")
    await ann.composer.press("Enter")
    await expect(ann.page.locator(".purpose")).to_have_count(0)
    await bob.page.reload()
    await bob.open_room(room)
    await bob.sees("I do")
    quoted = bob.message("I do").locator(".quote")
    await expect(quoted).to_contain_text(ann.name)
    await expect(quoted).to_contain_text("who wants tea?")
    assert "who wants tea?" not in await bob.texts()
    await quoted.click()
    target = bob.log.locator(".message").filter(has_text="who wants tea?").first
    await expect(target).to_be_in_viewport()
    await expect(target).to_be_focused()


async def test_an_unwanted_reply_is_given_up(person: People, unique: Unique) -> None:
    ann, bob, _ = await pair(person, unique)
    await ann.say("hello")
    await bob.sees("hello")
    await bob.use_tool("hello", "Reply")
    await bob.composer.press("Escape")
    await expect(bob.page.locator(".purpose")).to_have_count(0)
    await bob.say("not a reply")
    await ann.sees("not a reply")
    await expect(ann.message("not a reply").locator(".quote")).to_have_count(0)


async def test_an_edit_shows_everywhere(person: People, unique: Unique) -> None:
    ann, bob, room = await pair(person, unique)
    await ann.say("helo")
    await bob.sees("helo")
    await bob.use_tool("helo", "Reply")
    await bob.say("what?")
    await ann.sees("what?")
    await ann.composer.fill("a draft")
    await ann.use_tool("helo", "Edit")
    await expect(ann.composer).to_be_focused()
    await expect(ann.composer).to_have_value("helo")
    await ann.composer.fill("hello")
    await ann.composer.press("Enter")
    for someone in (ann, bob):
        await expect(someone.log.locator(".message").first.locator(".edited")).to_be_visible()
        assert await someone.texts() == ["hello", "what?"]
        await expect(someone.message("what?").locator(".quote")).to_contain_text("hello")
    # The draft is there again.
    await expect(ann.composer).to_have_value("a draft")
    await bob.page.reload()
    await bob.open_room(room)
    await expect(bob.log.locator(".message").first.locator(".edited")).to_be_visible()
    assert await bob.texts() == ["hello", "what?"]
    # Others may not edit it, though the owner may delete what others say.
    await bob.message("hello").locator(".bubble").first.hover()
    tools = bob.log.get_by_role("group", name="Message actions")
    await expect(tools.get_by_role("button", name="Reply")).to_be_visible()
    await expect(tools.get_by_role("button", name="Edit")).to_have_count(0)
    await expect(tools.get_by_role("button", name="Delete")).to_have_count(0)


async def test_arrow_up_edits_the_last_own_message(person: People, unique: Unique) -> None:
    ann, bob, _ = await pair(person, unique)
    await ann.say("one")
    await ann.say("two")
    await bob.say("three")
    await ann.sees("three")
    await ann.composer.press("ArrowUp")
    await expect(ann.composer).to_have_value("two")
    await ann.composer.press("Escape")
    await expect(ann.composer).to_have_value("")
    await ann.composer.press("ArrowUp")
    await ann.composer.press("End")
    await ann.page.keyboard.type("!")
    await ann.composer.press("Enter")
    await bob.sees("two!")
    await expect(ann.composer).to_have_value("")
    # In a text, the key moves the caret.
    await ann.composer.fill("a text")
    await ann.composer.press("ArrowUp")
    await expect(ann.composer).to_have_value("a text")


async def test_a_deleted_message_leaves_only_its_place(person: People, unique: Unique) -> None:
    ann, bob, room = await pair(person, unique)
    await bob.say("secret")
    await ann.sees("secret")
    await ann.use_tool("secret", "Reply")
    await ann.say("oh")
    await bob.sees("oh")
    await bob.use_tool("secret", "React with 👍")
    await bob.use_tool("secret", "Delete")
    await bob.click("Cancel")
    await bob.use_tool("secret", "Delete")
    await bob.click("Delete message")
    for someone in (ann, bob):
        await expect(someone.log.locator(".bubble > p")).to_have_text(["Message deleted", "oh"])
        await expect(someone.log.locator(".reactions")).to_have_count(0)
        await expect(someone.message("oh").locator(".quote")).to_contain_text("Message deleted")
    await ann.page.reload()
    await ann.open_room(room)
    await expect(ann.log.locator(".bubble > p")).to_have_text(["Message deleted", "oh"])
    assert "secret" not in await ann.page.content()
    # It has no tools any more; the owner of the room may delete what others have said.
    await ann.message("Message deleted").first.hover()
    await bob.say("rude")
    await ann.sees("rude")
    await ann.use_tool("rude", "Delete")
    await ann.click("Delete message")
    await expect(bob.log.locator(".bubble > p")).to_have_text(["Message deleted", "oh", "Message deleted"])


async def test_histories_show_the_interactions_of_older_messages(
    person: People, demos: Demos, unique: Unique
) -> None:
    """Edits and reactions come after many other messages; the pages with the messages are read later."""
    demo = await demos()
    ann, bob, room = await pair(person, unique, demo)
    for text in ("first", "second", "third"):
        await ann.say(text)
        await bob.sees(text)
    await post(demo, room, *(f"filler {number}" for number in range(1, 121)))
    await bob.log.evaluate("log => log.scrollTop = 0")
    await bob.use_tool("first", "React with 👍")
    await ann.log.evaluate("log => log.scrollTop = 0")
    await ann.use_tool("second", "Edit")
    await ann.composer.fill("second, corrected")
    await ann.composer.press("Enter")
    await expect(bob.message("second, corrected")).to_be_visible()
    await ann.use_tool("third", "Delete")
    await ann.click("Delete message")
    await expect(bob.message("Message deleted")).to_be_visible()
    late = await (await person(unique("Late"), at=demo)).login()
    await late.open_room(room)
    await late.sees("filler 120")
    for _ in range(20):
        if await late.message("Message deleted").is_visible():
            break
        await late.log.evaluate("log => log.scrollTop = 0")
        await asyncio.sleep(0.3)
    await late.log.evaluate("log => log.scrollTop = 0")
    await expect(reaction(late, "first", "👍 1 person")).to_have_attribute("aria-pressed", "false")
    await expect(late.message("second, corrected").locator(".edited")).to_be_visible()
    await expect(late.message("Message deleted")).to_be_visible()


async def test_what_the_server_refuses_is_undone_and_explained(
    person: People, demos: Demos, unique: Unique
) -> None:
    demo = await demos()
    ann, bob, _ = await pair(person, unique, demo)
    await ann.say("hello")
    await bob.sees("hello")
    asked: list[str] = []
    go_on = asyncio.Event()

    async def refuse(call: CommandCall) -> None:
        if call.options.keys() & {"edits", "deletes", "reactsTo", "unreactsTo", "replyTo"}:
            asked.append(str(call.args[1]["textMessage"]))
            await go_on.wait()
            go_on.clear()
            raise ChatServiceError("notAllowed")

    demo.service.before("room_message")(refuse)
    # A reaction shows at once, then not.
    await ann.use_tool("hello", "React with 👍")
    await expect(reaction(ann, "hello", "👍 1 person, also you")).to_be_visible()
    go_on.set()
    await ann.is_told("Your reaction was not added. You are not allowed to do that.")
    await expect(ann.log.locator(".reactions")).to_have_count(0)
    # So does a deletion.
    await ann.use_tool("hello", "Delete")
    await ann.click("Delete message")
    assert await ann.texts() == ["Message deleted"]
    go_on.set()
    await ann.is_told("The message was not deleted. You are not allowed to do that.")
    await expect(ann.log.locator(".bubble > p")).to_have_text(["hello"])
    # An edit, too, whose text can be used again.
    await ann.composer.press("ArrowUp")
    await ann.composer.fill("hello, everybody")
    await ann.composer.press("Enter")
    await expect(ann.log.locator(".bubble > p")).to_have_text(["hello, everybody"])
    await expect(ann.log.get_by_text("Saving…")).to_be_visible()
    go_on.set()
    await ann.is_told("The change was not saved. You are not allowed to do that.")
    await expect(ann.log.locator(".bubble > p")).to_have_text(["hello"])
    await ann.click("Edit again")
    await expect(ann.composer).to_have_value("hello, everybody")
    await ann.composer.press("Escape")
    await ann.click("Discard")
    await expect(ann.log.get_by_role("alert")).to_have_count(0)
    # A reply stays as a message that failed, and is a reply still when it is sent again.
    await ann.use_tool("hello", "Reply")
    await ann.say("yes")
    await expect(ann.message("yes").locator(".quote")).to_be_visible()
    go_on.set()
    await expect(ann.message("yes").get_by_role("alert")).to_contain_text("You are not allowed to do that.")
    assert len(asked) == 4
    assert await bob.texts() == ["hello"]


async def test_interactions_wait_for_the_connection(person: People, unique: Unique) -> None:
    ann, bob, _ = await pair(person, unique)
    await ann.say("hello")
    await bob.sees("hello")
    await ann.go_offline()
    await ann.is_told("You are offline.")
    await ann.use_tool("hello", "React with 👍")
    await ann.composer.press("ArrowUp")
    await ann.composer.fill("hello again")
    await ann.composer.press("Enter")
    await expect(reaction(ann, "hello again", "👍 1 person, also you")).to_be_visible()
    await expect(ann.log.get_by_text("Saving…")).to_be_visible()
    await bob.use_tool("hello", "React with 👍")
    await ann.go_online()
    for someone in (ann, bob):
        await expect(reaction(someone, "hello again", "👍 2 people, also you")).to_be_visible()
        await expect(someone.message("hello again").locator(".edited")).to_be_visible()


async def test_the_link_of_a_message(person: People, unique: Unique) -> None:
    ann, bob, room = await pair(person, unique)
    await bob.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await ann.say("look here")
    await bob.sees("look here")
    await bob.use_tool("look here", "Copy link")
    await bob.is_told("The link to the message was copied.")
    link = await bob.page.evaluate("navigator.clipboard.readText()")
    assert link == f"{bob.address}#/room/{quote(room)}/1"
    # Whoever opens it comes to the message.
    await ann.say("and here")
    await ann.sees("and here")
    cat = await person(unique("Cat"))
    await cat.page.goto(link)
    await cat.login()
    await expect(cat.heading(room)).to_be_visible()
    await expect(cat.message("look here")).to_be_focused()


async def test_tools_with_the_keyboard(person: People, unique: Unique) -> None:
    ann, bob, _ = await pair(person, unique)
    for text in ("one", "two"):
        await ann.say(text)
        await bob.sees(text)
    keyboard = bob.page.keyboard
    await expect(bob.composer).to_be_focused()
    # From the text field to the newest message, to the one before, to its tools.
    for _ in range(6):
        await keyboard.press("Shift+Tab")
        if await bob.page.evaluate("document.activeElement.matches('.message')"):
            break
    await expect(bob.message("two")).to_be_focused()
    await keyboard.press("ArrowUp")
    await expect(bob.message("one")).to_be_focused()
    assert await violations(bob) == []
    await keyboard.press("Enter")
    await expect(bob.message("one").get_by_role("button", name="React with 👍")).to_be_focused()
    for _ in range(3):
        await keyboard.press("ArrowRight")
    await keyboard.press("Enter")
    # The picker has the focus; what it finds is reached with the arrow keys, and taken with Enter.
    await expect(bob.page.get_by_label("Search emoji")).to_be_focused()
    await keyboard.type("tea")
    await expect(bob.page.get_by_role("button", name="teapot")).to_be_visible()
    assert await violations(bob) == []
    await keyboard.press("ArrowDown")
    await keyboard.press("ArrowRight")
    await keyboard.press("Enter")
    await expect(ann.message("one").locator(".reactions")).to_be_visible()
    await expect(bob.message("one")).to_be_focused()
    # Reply, and go back to what is said next.
    await keyboard.press("Enter")
    for _ in range(4):
        await keyboard.press("ArrowRight")
    await keyboard.press("Enter")
    await expect(bob.composer).to_be_focused()
    await keyboard.type("a reply")
    await keyboard.press("Enter")
    await expect(ann.message("a reply").locator(".quote")).to_contain_text("one")


async def test_tools_by_a_long_press(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await person(unique("Bob"), width=390, height=700, has_touch=True, is_mobile=True)
    await bob.login()
    await bob.click("All conversations")
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    await ann.say("hello")
    await bob.sees("hello")
    box = await bob.message("hello").locator(".bubble").bounding_box()
    assert box is not None
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    session = await bob.page.context.new_cdp_session(bob.page)
    tools = bob.log.get_by_role("group", name="Message actions")
    # A tap shows nothing, a long press does.
    for seconds, number in ((0.05, 0), (1.2, 1)):
        await session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        await asyncio.sleep(seconds)
        await session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        await expect(tools).to_have_count(number)
    for side in await tools.get_by_role("button").all():
        place = await side.bounding_box()
        assert place and place["x"] >= 0 and place["x"] + place["width"] <= 390 and place["height"] >= 36
    assert await violations(bob) == []
    await tools.get_by_role("button", name="React", exact=True).tap()
    await expect(bob.page.get_by_role("dialog", name="Choose an emoji")).to_be_visible()
    await bob.page.get_by_role("dialog").get_by_role("button", name="party popper").tap()
    await expect(reaction(ann, "hello", "🎉 1 person")).to_be_visible()
    await expect(tools).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_in_messages(person: People, unique: Unique, scheme: str) -> None:
    ann = await (await person(unique("Ann"), color_scheme=scheme)).login()
    bob = await (await person(unique("Bob"), color_scheme=scheme)).login()
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    await ann.say(
        "# Plan\n\n- **tea** with `milk`\n- [more](https://example.org)\n\n> quoted\n\n```\ncode\n```"
    )
    await bob.sees("Plan")
    await bob.use_tool("Plan", "React with 👍")
    await bob.use_tool("Plan", "Reply")
    await bob.say(f"@{ann.name} yes")
    await ann.sees("yes")
    await ann.use_tool("yes", "React with 👍")
    await ann.say("wrong")
    await ann.use_tool("wrong", "Delete")
    await ann.click("Delete message")
    await bob.composer.press("ArrowUp")
    await bob.message("Plan").locator(".bubble").hover()
    await expect(bob.log.get_by_role("group", name="Message actions")).to_be_visible()
    for someone in (ann, bob):
        await expect(someone.log.get_by_text("Message deleted")).to_be_visible()
        assert await violations(someone) == []
    await bob.composer.press("Escape")
    await bob.composer.fill("@")
    await expect(bob.page.get_by_role("listbox")).to_be_visible()
    assert await violations(bob) == []
