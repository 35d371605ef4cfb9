"""Long lists: few elements, whatever their length, and nothing that is seen moves by itself."""

import time
import uuid
from typing import Any

from playwright.async_api import expect

from chat_service.demo import Demo
from chat_service.stores.redis.keys import Keys
from tests.browser.axe import violations
from tests.browser.conftest import MARKS, Demos, People, Unique
from tests.browser.person import Person
from tests.redis.ghosts import DEAD, write_ghosts
from tests.support.redis_servers import RedisServer

pytestmark = MARKS

#: The rows of messages in the document: those in view and those around them, on each side about as many.
MAX_ROWS = 120


async def post(demo: Demo, room: str, numbers: range) -> None:
    """Messages of very different heights, by two people in turns."""
    for number in numbers:
        text = f"number {number}" + " with some more words" * (number * 7 % 23)
        message = {"textMessage": text, "author": f"clock {number // 3 % 2}"}
        await demo.service.exec_user_command(True, "roomMessage", room, message)


async def rows(someone: Person) -> int:
    return await someone.log.locator("li").count()


async def settle(someone: Person) -> None:
    """Wait for what a scroll event causes, without older messages."""
    await someone.page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


async def places(someone: Person) -> dict[str, float]:
    """Where the messages in view stand in the window, in pixels, by their keys."""
    found: dict[str, float] = await someone.log.evaluate(
        """box => {
          const edge = box.getBoundingClientRect();
          const found = {};
          for (const row of box.querySelectorAll("[data-key]")) {
            const { top } = (row.querySelector("p") ?? row).getBoundingClientRect();
            if (top >= edge.top && top < edge.bottom) found[row.dataset.key] = top;
          }
          return found;
        }"""
    )
    return found


async def end_distance(someone: Person) -> float:
    distance: float = await someone.log.evaluate("box => box.scrollHeight - box.scrollTop - box.clientHeight")
    return distance


async def test_the_end_is_shown_and_followed(person: People, demo: Demo, unique: Unique) -> None:
    room = unique("Long")
    await demo.service.add_room(room)
    await post(demo, room, range(1, 101))
    ann = await (await person(unique("Ann"))).login()
    await ann.open_room(room)
    await ann.sees("number 100")
    assert await end_distance(ann) < 2
    # More than there is room for, at once.
    await post(demo, room, range(101, 161))
    await expect(ann.log.get_by_text("number 160")).to_be_in_viewport()
    assert await end_distance(ann) < 2
    assert await rows(ann) < MAX_ROWS
    # The window becomes lower: the keyboard of a phone does that.
    await ann.page.set_viewport_size({"width": 700, "height": 400})
    await expect(ann.log.get_by_text("number 160")).to_be_in_viewport()
    await settle(ann)
    assert await end_distance(ann) < 2


async def test_an_opened_conversation_shows_where_unread_messages_begin(
    person: People, demo: Demo, unique: Unique
) -> None:
    room = unique("Long")
    await demo.service.add_room(room)
    await post(demo, room, range(1, 41))
    ann = await (await person(unique("Ann"))).login()
    await ann.open_room(room)
    await ann.sees("number 40")
    await ann.open_room("default")
    await post(demo, room, range(41, 191))
    await expect(ann.row(room).locator(".badge")).to_contain_text("99+")
    await ann.open_room(room)
    divider = ann.log.locator(".divider")
    await expect(divider).to_be_in_viewport()
    await expect(ann.log.locator(".divider + li .bubble > p")).to_contain_text("number 41 ")
    box, line = await ann.log.bounding_box(), await divider.bounding_box()
    assert box and line
    assert abs((box["y"] + box["height"] / 2) - (line["y"] + line["height"] / 2)) < 40, "not in the middle"
    # What is below was not read; the end is one step away.
    await ann.click("Newest messages")
    await expect(ann.log.get_by_text("number 190")).to_be_in_viewport()
    assert await end_distance(ann) < 2
    assert await rows(ann) < MAX_ROWS


async def test_scrolling_back_moves_by_the_scrolled_distance(
    person: People, demo: Demo, unique: Unique
) -> None:
    """However wrong the expected heights of the messages above were, and while more of them are loaded."""
    room = unique("Long")
    await demo.service.add_room(room)
    await post(demo, room, range(1, 251))
    ann = await (await person(unique("Ann"))).login()
    await ann.open_room(room)
    await ann.sees("number 250")
    await ann.log.hover()
    seen: set[str] = set()
    for _ in range(400):
        before = await places(ann)
        seen.update(before)
        if "1" in before:
            break
        await ann.page.mouse.wheel(0, -150)
        await settle(ann)
        after = await places(ann)
        moved = {key: after[key] - before[key] for key in before.keys() & after.keys()}
        assert moved, "nothing of what was in view is there any more"
        # All by the same distance; by less if the wheel is not there yet, or at the beginning.
        assert max(moved.values()) - min(moved.values()) < 2
        assert all(-2 < distance < 152 for distance in moved.values()), moved
        assert await rows(ann) < MAX_ROWS
    assert {str(number) for number in range(1, 251)} <= seen


async def test_new_messages_do_not_move_the_text_being_read(
    person: People, demo: Demo, unique: Unique
) -> None:
    room = unique("Long")
    await demo.service.add_room(room)
    await post(demo, room, range(1, 41))
    ann = await (await person(unique("Ann"))).login()
    await ann.open_room(room)
    await ann.sees("number 40")
    await ann.log.evaluate("box => { box.scrollTop = 600 }")
    await settle(ann)
    before = await places(ann)
    await post(demo, room, range(41, 61))
    await expect(ann.page.get_by_role("button", name="20 new messages")).to_be_visible()
    assert before and await places(ann) == before


async def test_a_link_leads_to_a_message_far_back(person: People, demo: Demo, unique: Unique) -> None:
    """With 10,000 messages loaded, the document holds as few of them as ever."""
    room = unique("Long")
    await demo.service.add_room(room, history_max_size=10_000)
    await post(demo, room, range(1, 10_001))
    ann = await (await person(unique("Ann"))).login()
    await ann.open_room(room)
    await ann.sees("number 10000")
    for number in (3, 5000, 9900):
        await ann.page.evaluate("([room, id]) => { location.hash = `#/room/${room}/${id}` }", [room, number])
        row = ann.log.locator(f"li[data-key='{number}']")
        # It is in view, marked, and has the focus: a screen reader goes on from there.
        await expect(row).to_be_in_viewport()
        await expect(row).to_be_focused()
        await expect(row.locator(".bubble > p")).to_contain_text(f"number {number} with")
        assert await rows(ann) < MAX_ROWS
    # All of them are loaded, below one day.
    await expect(row).to_have_attribute("aria-posinset", "9901")
    await expect(row).to_have_attribute("aria-setsize", "10001")
    box, line = await ann.log.bounding_box(), await row.bounding_box()
    assert box and line and box["y"] < line["y"] < box["y"] + box["height"]
    await post(demo, room, range(10_001, 10_003))
    await ann.click("2 new messages")
    await expect(ann.log.get_by_text("number 10002")).to_be_in_viewport()
    assert await end_distance(ann) < 2
    await ann.page.evaluate("room => { location.hash = `#/room/${room}/10500` }", room)
    await ann.is_told("no longer stored")


async def test_the_keyboard_reaches_everything(person: People, demo: Demo, unique: Unique) -> None:
    room = unique("Long")
    await demo.service.add_room(room)
    await post(demo, room, range(1, 131))
    ann = await (await person(unique("Ann"))).login()
    await ann.open_room(room)
    await ann.sees("number 130")
    await ann.log.focus()
    # At the beginning more are loaded, as with the wheel; what is read stays where it is.
    for above in (78, 29):
        await ann.page.keyboard.press("Home")
        await expect(ann.log.get_by_text(f"number {above}")).to_be_attached()
    await expect(ann.log.get_by_text(f"This is where {room} begins.")).to_be_attached()
    await ann.page.keyboard.press("Home")
    await expect(ann.log.get_by_text("number 1 with")).to_be_in_viewport()
    await ann.page.keyboard.press("End")
    await expect(ann.log.get_by_text("number 130")).to_be_in_viewport()
    await expect(ann.log).to_be_focused()
    # Screen readers are told how long the list is of which they see a part.
    last: Any = ann.log.locator("li:not(.space)").last
    await expect(last).to_have_attribute("aria-posinset", "131")
    await expect(last).to_have_attribute("aria-setsize", "131")
    assert await violations(ann) == []


async def test_the_focus_survives_scrolling(person: People, demo: Demo, unique: Unique) -> None:
    """An element with the focus is not removed from the document, however far away it is."""
    ann = await (await person(unique("Ann"))).login()
    room = unique("Long")
    await ann.create_room(room)
    await post(demo, room, range(1, 11))
    bobs = [await (await person(unique("Bob"))).login() for _ in range(3)]
    for bob in bobs:
        await bob.open_room(room)
    fold = ann.log.get_by_role("button", name="3 people joined")
    await fold.focus()
    await post(demo, room, range(11, 101))
    await ann.log.evaluate("box => { box.scrollTop = box.scrollHeight }")
    await expect(ann.log.get_by_text("number 100")).to_be_in_viewport()
    await expect(fold).to_be_focused()
    await expect(fold).not_to_be_in_viewport()
    assert await rows(ann) < MAX_ROWS
    await ann.page.keyboard.press("Enter")
    await expect(fold).to_have_attribute("aria-expanded", "true")


async def test_ten_thousand_rooms_can_be_searched_and_ordered(person: People, demos: Demos) -> None:
    demo = await demos()
    for number in range(9997):
        await demo.service.add_room(f"place {number}")
    ann = await (await person("Ann", at=demo)).login()
    shown = ann.page.locator(".sidebar .row.other .name")
    # In natural order: 2 before 10.
    await expect(shown.nth(2)).to_have_text("place 2")
    assert await shown.count() < MAX_ROWS
    await expect(ann.row("place 50")).to_have_count(0)
    navigation = ann.page.get_by_role("navigation")
    await navigation.evaluate("box => { box.scrollTop = box.scrollHeight }")
    await expect(ann.row("random")).to_be_in_viewport()
    assert await shown.count() < MAX_ROWS
    # A new room appears in its place.
    await navigation.evaluate("box => { box.scrollTop = 0 }")
    await demo.service.add_room("place 0 b")
    await demo.service.exec_user_command(True, "roomSetWhitelistMode", "place 0 b", False)
    bob = await (await person("Bob", at=demo)).login()
    await bob.open_room("place 0 b")
    await expect(shown.nth(1)).to_have_text("place 0 b")
    search = ann.page.get_by_role("searchbox", name="Find a room")
    await search.fill("PLACE 987")
    await expect(shown).to_have_text(["place 987", *(f"place {number}" for number in range(9870, 9880))])
    await search.fill("no such place")
    await expect(ann.page.get_by_text("Nothing found.")).to_be_visible()
    await search.fill("")
    await ann.page.get_by_label("Order").select_option("Most people first")
    await expect(shown.first).to_have_text("place 0 b")
    await ann.open_room("place 0 b")
    await expect(ann.member("Bob")).to_be_visible()


async def test_own_rooms_are_ordered_by_activity(person: People, demos: Demos) -> None:
    demo = await demos()
    names = [f"place {number}" for number in range(60)]
    for name in names:
        await demo.service.add_room(name)
    ann, bob = [await (await person(name, at=demo)).login() for name in ("Ann", "Bob")]
    for name in names[:25]:
        await ann.page.evaluate("name => { location.hash = `#/room/${encodeURIComponent(name)}` }", name)
        await expect(ann.heading(name)).to_be_visible()
    shown = ann.page.get_by_role("list", name="Your rooms").locator(".row .name")
    await expect(shown.nth(1)).to_have_text("place 0")
    await ann.page.get_by_label("Order of your rooms").select_option("Newest first")
    for name in ("place 7", "place 3"):
        await bob.page.evaluate("name => { location.hash = `#/room/${encodeURIComponent(name)}` }", name)
        await expect(bob.heading(name)).to_be_visible()
        await bob.say(f"hello in {name}")
        await expect(shown.first).to_have_text(name)
    search = ann.page.get_by_role("searchbox", name="Find in your rooms")
    await search.fill("place 1")
    await expect(shown).to_have_count(11)
    assert await violations(ann) == []


async def test_the_keyboard_goes_through_a_long_list(person: People, demos: Demos) -> None:
    """Tab reaches rows that were not in the document when the list was first displayed."""
    demo = await demos()
    for number in range(200):
        await demo.service.add_room(f"place {number}")
    ann = await (await person("Ann", at=demo)).login()
    first = ann.page.locator(".sidebar li").filter(has_text="place 0")
    await expect(first).to_have_attribute("aria-setsize", "201")
    await settle(ann)
    await ann.row("place 0").focus()
    await expect(ann.row("place 0")).to_be_focused()
    for number in range(1, 60):
        await ann.page.keyboard.press("Tab")
        await settle(ann)
        await expect(ann.row(f"place {number}")).to_be_focused()
    row = ann.page.locator(".sidebar li").filter(has_text="place 59")
    assert await violations(ann) == []
    await expect(row).to_have_attribute("aria-posinset", "60")
    await expect(row).to_have_attribute("aria-setsize", "201")


async def test_five_thousand_people_can_be_searched_and_ordered(
    person: People, demos: Demos, redis_servers: RedisServer, unique: Unique
) -> None:
    """Most of them are at another instance, of which only the state in Redis is here."""
    prefix = f"crowd{uuid.uuid4().hex[:8]}"
    options = {"url": redis_servers.url, "prefix": prefix}
    demo = await demos(store="redis", store_options=options)
    await demo.service.add_room("Crowd")
    with redis_servers.client() as client:
        write_ghosts(client, prefix, 5000, ["Crowd"])
        # It lives as long as the test.
        client.zadd(Keys(prefix).instances, {DEAD: time.time() * 1000 + 3_600_000})
    ann = await (await person("Ann", at=demo)).login()
    await ann.open_room("Crowd")
    names = ann.page.locator(".people .name")
    await expect(ann.page.get_by_role("heading", name="Here now")).to_contain_text("5001")
    assert await names.count() < MAX_ROWS
    people = ann.page.get_by_label("People in Crowd")
    await expect(names).to_contain_text(["Ann", "ghost0", "ghost1", "ghost2", "ghost3"])
    search = people.get_by_role("searchbox", name="Find a person")
    await search.fill("ghost499")
    await expect(names).to_contain_text(["ghost499", *(f"ghost{number}" for number in range(4990, 5000))])
    await search.fill("")
    # Those who come later are in their place, and the first ones in the other order.
    await people.get_by_label("Order").select_option("Newest first")
    bob = await (await person("Bob", at=demo)).login()
    await bob.open_room("Crowd")
    await expect(names).to_contain_text(["Bob", "Ann"])
    await people.get_by_label("Order").select_option("By name")
    await expect(names).to_contain_text(["Ann", "Bob", "ghost0"])
    await people.locator(".list").evaluate("box => { box.scrollTop = box.scrollHeight }")
    await expect(ann.page.locator(".people li").filter(has_text="ghost4999")).to_be_in_viewport()
    assert await names.count() < MAX_ROWS
    await bob.say("hello")
    await ann.sees("hello")
