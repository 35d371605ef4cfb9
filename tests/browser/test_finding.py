"""Finding rooms, people and messages: the finder, and search in a conversation."""

import asyncio

import pytest
from playwright.async_api import Locator, expect

from chat_service.demo import Demo
from chat_service.hooks import CommandCall
from tests.browser.axe import violations
from tests.browser.conftest import MARKS, Demos, People, Unique
from tests.browser.person import Person
from tests.browser.test_timeline import post

pytestmark = MARKS


def finder(someone: Person) -> Locator:
    return someone.page.get_by_role("combobox", name="Room, person or message")


def hits(someone: Person, group: str) -> Locator:
    return someone.page.get_by_role("group", name=group).get_by_role("option")


async def test_rooms_people_and_messages_are_found_with_the_keyboard(
    person: People, demo: Demo, unique: Unique
) -> None:
    tea, café = unique("Tea"), unique("Café")
    for room in (tea, café):
        await demo.service.add_room(room)
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Zacharias"))).login()
    await ann.open_room(tea)
    await bob.open_room(tea)
    await bob.say("The kettle is RÉPARÉE.")
    await ann.sees("The kettle is RÉPARÉE.")
    page = ann.page
    # A room that is not joined, without its accent.
    await page.keyboard.press("Control+k")
    await expect(finder(ann)).to_be_focused()
    await page.keyboard.type(café.replace("é", "e"))
    await expect(hits(ann, "Other rooms").first).to_contain_text(café)
    await page.keyboard.press("Enter")
    await expect(ann.heading(café)).to_be_visible()
    await expect(ann.composer).to_be_focused()
    # A person, in any order of the letters' case.
    await page.keyboard.press("Control+k")
    await page.keyboard.type(bob.name.lower())
    await expect(hits(ann, "People")).to_have_count(1)
    await expect(hits(ann, "People").get_by_text("Here now:")).to_be_attached()
    # A message, from another room.
    await finder(ann).fill("reparee KETTLE")
    await expect(hits(ann, "Messages")).to_have_count(1)
    await expect(hits(ann, "Messages").locator("mark")).to_have_text(["kettle", "RÉPARÉE"])
    await expect(page.get_by_role("status").filter(has_text="2 results")).to_be_attached()
    await page.keyboard.press("Enter")
    await expect(ann.heading(tea)).to_be_visible()
    await expect(ann.log.get_by_text("The kettle is RÉPARÉE.")).to_be_in_viewport()
    # Without a query: the user's conversations, unread ones first. The arrows go around.
    await ann.open_room(café)
    await bob.say("again")
    await expect(ann.row(tea).locator(".badge")).to_be_visible()
    await page.keyboard.press("Control+k")
    mine = hits(ann, "Your conversations")
    await expect(mine.first).to_contain_text(tea)
    await expect(mine.first).to_contain_text("1 unread")
    await expect(mine.first).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("ArrowUp")
    await expect(mine.last).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("ArrowDown")
    active = await finder(ann).get_attribute("aria-activedescendant")
    assert active == await mine.first.get_attribute("id")
    # The focus goes back to where it was.
    await page.keyboard.press("Escape")
    await expect(ann.composer).to_be_focused()
    await expect(ann.heading(café)).to_be_visible()


async def test_a_person_who_was_found_gets_a_message(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bartholomew"))).login()
    await expect(ann.member(bob.name)).to_be_visible()
    await ann.click("Find rooms, people, messages", exact=False)
    await finder(ann).fill(bob.name)
    await hits(ann, "People").click()
    await expect(ann.heading(bob.name)).to_be_visible()
    await ann.say("psst")
    await bob.open_room(ann.name)
    await bob.sees("psst")


async def test_what_is_not_found_leads_to_the_history(person: People, demo: Demo, unique: Unique) -> None:
    room = unique("Archive")
    await demo.service.add_room(room)
    await post(demo, room, "the needle", *(f"hay {number}" for number in range(1, 200)))
    ann = await (await person(unique("Ann"))).login()
    await ann.open_room(room)
    await ann.sees("hay 199")
    await ann.page.keyboard.press("Control+k")
    await ann.page.keyboard.type("needle")
    await expect(ann.page.get_by_text("no loaded message is called that, or says that")).to_be_visible()
    await ann.page.keyboard.press("Enter")
    field = ann.page.get_by_role("searchbox", name="Words in a message")
    await expect(field).to_be_focused()
    await expect(field).to_have_value("needle")
    await ann.is_told("Nothing found in 50 messages, back to today")
    await ann.page.keyboard.press("Enter")
    await ann.is_told("1 found in 200 messages")
    await ann.is_told("This is everything that is stored.")
    await ann.page.get_by_role("list", name="Messages found").get_by_role("button").click()
    await expect(ann.page.locator("dialog")).to_have_count(0)
    await expect(ann.log.get_by_text("the needle")).to_be_in_viewport()


async def test_search_in_a_long_history_goes_in_steps_and_can_be_stopped(
    person: People, demos: Demos, unique: Unique
) -> None:
    demo = await demos(history_max_size=3000)

    async def slowly(call: CommandCall) -> None:
        await asyncio.sleep(0.1)

    demo.service.before("roomHistoryGet")(slowly)
    room = unique("Long")
    await demo.service.add_room(room)
    hay = (f"hay {number}" for number in range(2, 2001))
    await post(demo, room, "the first needle", *hay, "the last needle")
    ann = await (await person(unique("Ann"), at=demo)).login()
    await ann.open_room(room)
    await ann.sees("the last needle")
    await ann.page.keyboard.press("Control+Shift+F")
    field = ann.page.get_by_role("searchbox", name="Words in a message")
    await field.fill("needle the")
    found = ann.page.get_by_role("list", name="Messages found").get_by_role("listitem")
    await expect(found).to_have_count(1)
    older = ann.page.get_by_role("button", name="Search older messages")
    stop = ann.page.get_by_role("button", name="Stop")
    await older.click()
    await stop.click()
    await expect(older).to_be_focused()
    told = await ann.page.get_by_role("dialog").get_by_role("status").first.inner_text()
    searched = int(told.split(" in ")[1].split()[0])
    assert 50 <= searched < 950, told
    # A step is limited; the next one finds the rest.
    await older.click()
    await expect(older).to_be_visible()
    await expect(found).to_have_count(1)
    await older.click()
    await ann.is_told("2 found in 2001 messages")
    await expect(older).to_have_count(0)


async def test_search_offline_says_that_older_messages_cannot_be_loaded(
    person: People, demo: Demo, unique: Unique
) -> None:
    room = unique("Far")
    await demo.service.add_room(room)
    await post(demo, room, *(f"number {number}" for number in range(1, 101)))
    ann = await (await person(unique("Ann"))).login()
    await ann.open_room(room)
    await ann.sees("number 100")
    await ann.page.keyboard.press("Control+Shift+F")
    field = ann.page.get_by_role("searchbox", name="Words in a message")
    await field.fill("number 1")
    await ann.go_offline()
    await expect(ann.page.get_by_text("You are offline.")).to_be_attached()
    await ann.click("Search older messages")
    await ann.is_told("Older messages cannot be loaded right now.")
    await ann.go_online()
    await expect(ann.page.get_by_text("You are offline.")).to_have_count(0)
    await ann.click("Search older messages")
    await ann.is_told("in 100 messages")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
async def test_axe_finds_nothing_in_the_dialogs(
    person: People, demo: Demo, unique: Unique, scheme: str, width: int
) -> None:
    ann = await person(unique("Ann"), width=width, color_scheme=scheme)
    bob = await (await person(unique("Bob"))).login()
    await ann.login()
    if width < 500:
        await ann.click("All conversations")
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    await bob.say("a word about tea")
    await ann.sees("a word about tea")
    page = ann.page
    await page.keyboard.press("Control+k")
    await finder(ann).fill("e")
    await expect(hits(ann, "Messages")).not_to_have_count(0)
    assert await violations(ann) == []
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+Shift+F")
    await page.get_by_role("searchbox", name="Words in a message").fill("word")
    await expect(page.locator(".hit")).to_have_count(1)
    assert await violations(ann) == []
    await page.keyboard.press("Escape")
    await ann.log.get_by_role("button", name=bob.name).click()
    await expect(page.get_by_role("button", name="Make admin")).to_be_visible()
    assert await violations(ann) == []
    await page.keyboard.press("Escape")
    await ann.click("More")
    assert await violations(ann) == []
    await page.keyboard.press("Escape")
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("Shift+?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    assert await violations(ann) == []
    await page.keyboard.press("Escape")
    # Nothing is open, and there is nothing to open.
    await ann.click("Leave the room")
    await expect(ann.composer).to_have_count(0)
    assert await violations(ann) == []
