"""Between the messages: notices, the start of a room, joins and leaves."""

from playwright.async_api import expect

from chat_service.demo import Demo
from tests.browser.conftest import MARKS, People, Unique
from tests.browser.person import Person

pytestmark = MARKS

#: Notices stay until they are dismissed, however slow the machine is.
KEEP_NOTICES = """
const start = window.setTimeout;
window.setTimeout = (run, ms, ...rest) => start(run, ms === 6000 ? 600_000 : ms, ...rest);
"""


async def post(demo: Demo, room: str, *texts: str) -> None:
    for text in texts:
        message = {"textMessage": text, "author": "clock"}
        await demo.service.exec_user_command(True, "roomMessage", room, message)


async def covers(someone: Person, upper: str, lower: str) -> bool:
    """Whether one element overlaps another."""
    found: bool = await someone.page.evaluate(
        """([upper, lower]) => {
          const box = (selector) => document.querySelector(selector).getBoundingClientRect();
          const [a, b] = [box(upper), box(lower)];
          return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
        }""",
        [upper, lower],
    )
    return found


async def test_notices_cover_neither_title_nor_composer(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    room = unique("Board")
    await ann.create_room(room, closed=True)
    for width in (1200, 390):
        bob = await person(unique("Bob"), width=width)
        await bob.page.add_init_script(KEEP_NOTICES)
        await bob.open()
        await bob.login()
        if width < 500:
            await bob.click("All conversations")
        await bob.try_to_join(room)
        await bob.is_told(f"{room} is for invited people only.")
        if width < 500:
            # In the list: no row and no title is hidden.
            for selector in (".brand h1", "#my-rooms", ".row"):
                assert not await covers(bob, ".toast", selector), selector
            await bob.open_room("default")
        await expect(bob.page.locator(".toast")).to_be_visible()
        for selector in ("main header", ".composer"):
            assert not await covers(bob, ".toast", selector), selector
        await bob.go_offline()
        await bob.is_told("You are offline.")
        await bob.go_online()
        await bob.is_told("You are back online.")
        for selector in ("main header", ".composer"):
            assert not await covers(bob, ".toasts", selector), selector


async def test_a_room_whose_oldest_messages_are_gone_does_not_claim_to_begin(
    person: People, demo: Demo, unique: Unique
) -> None:
    short, full, none = unique("Short"), unique("Full"), unique("None")
    await demo.service.add_room(short, history_max_size=3)
    await demo.service.add_room(full)
    await demo.service.add_room(none, history_max_size=0)
    for room in (short, full, none):
        await post(demo, room, *(f"number {number}" for number in range(1, 6)))
    ann = await (await person(unique("Ann"))).login()
    await ann.open_room(short)
    await ann.sees("number 5")
    assert await ann.texts() == ["number 3", "number 4", "number 5"]
    await expect(ann.log.locator(".beginning")).to_have_text("Older messages are no longer stored.")
    await ann.open_room(full)
    await expect(ann.log.locator(".beginning")).to_have_text(f"This is where {full} begins.")
    await ann.open_room(none)
    await expect(ann.log.locator(".beginning")).to_have_text("Older messages are no longer stored.")
    await ann.say("now")
    await ann.sees("now")
    await expect(ann.log.locator(".beginning")).to_have_text("Older messages are no longer stored.")


async def test_scrolling_back_to_messages_that_are_no_longer_stored(
    person: People, demo: Demo, unique: Unique
) -> None:
    room = unique("Long")
    await demo.service.add_room(room, history_max_size=70)
    await post(demo, room, *(f"number {number}" for number in range(1, 101)))
    ann = await (await person(unique("Ann"))).login()
    await ann.open_room(room)
    await ann.sees("number 100")
    bob = await (await person(unique("Bob"))).login()
    await bob.open_room(room)
    await expect(bob.log.locator(".beginning")).to_have_text("Loading older messages…")
    await ann.log.evaluate("box => { box.scrollTop = 0 }")
    await expect(ann.log.locator(".beginning")).to_have_text("Older messages are no longer stored.")
    assert await ann.all_texts() == [f"number {number}" for number in range(31, 101)]
    # Nothing is loaded for people who have left.
    await demo.service.delete_room(room)
    await bob.is_told(f"{room} was deleted.")
    await expect(bob.log.locator(".beginning")).to_have_count(0)
    await expect(ann.log.locator(".beginning")).to_have_text("Older messages are no longer stored.")


async def test_joins_and_leaves_are_folded(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await ann.say("first")
    await ann.sees("first")
    await bob.open_room(room)
    # One or two are told in full.
    await expect(ann.log.locator(".note")).to_contain_text([f"{bob.name} joined"])
    for _ in range(20):
        await bob.click("Leave the room")
        await expect(ann.member(bob.name)).to_have_count(0)
        await bob.open_room(room)
        await expect(ann.member(bob.name)).to_be_visible()
    fold = ann.log.get_by_role("button", name=f"{bob.name} joined 21 times and left 20 times")
    await expect(fold).to_have_attribute("aria-expanded", "false")
    await expect(ann.log.locator(".note")).to_have_count(1)
    await expect(ann.log.get_by_text("first")).to_be_in_viewport()
    changes = ann.log.locator(".note p")
    await expect(changes).to_have_count(0)
    await fold.press("Enter")
    await expect(fold).to_have_attribute("aria-expanded", "true")
    await expect(changes.filter(has_text=f"{bob.name} joined")).to_have_count(21)
    await expect(changes.filter(has_text=f"{bob.name} left")).to_have_count(20)
    await fold.click()
    await expect(changes).to_have_count(0)
    # A message ends it; the next one begins a new line.
    await bob.say("second")
    await ann.sees("second")
    await bob.click("Leave the room")
    await expect(ann.log.locator(".note")).to_have_count(2)
    await expect(ann.log.locator(".note").last).to_contain_text(f"{bob.name} left")
