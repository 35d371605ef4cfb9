"""Conversations: rooms, presence, unread marks, direct messages, several devices."""

import re

from playwright.async_api import expect

from chat_service.demo import Demo
from tests.browser.conftest import MARKS, People, Unique

pytestmark = MARKS


async def test_two_people_talk(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    await expect(ann.heading("default")).to_be_visible()
    await expect(ann.member(bob.name)).to_be_visible()
    await ann.say("good morning\nhow are you? https://example.org/x")
    await bob.sees("good morning")
    await expect(bob.log.locator(".author").last).to_have_text(ann.name)
    await expect(bob.log.get_by_role("link")).to_have_attribute("rel", "noopener noreferrer")
    # Screen readers are told, as nobody else looks at the end of the list.
    await expect(bob.page.locator("[aria-live=polite]")).to_have_text(
        f"{ann.name}: good morning how are you? https://example.org/x"
    )
    await bob.say("<b>fine</b>, thanks")
    await ann.sees("<b>fine</b>, thanks")
    await expect(ann.log.locator(".sending")).to_have_count(0)
    await bob.page.close()
    await expect(ann.log.get_by_text(f"{bob.name} left")).to_be_visible()
    await expect(ann.member(bob.name)).to_have_count(0)


async def test_rooms_are_created_listed_joined_and_left(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await bob.scroll_to_row(room)
    await expect(bob.row(room)).to_contain_text("1 person is here")
    # Some people always click twice.
    await bob.row(room).dblclick()
    await expect(bob.heading(room)).to_be_visible()
    await expect(ann.member(bob.name)).to_be_visible()
    await expect(bob.row(room)).to_have_count(1)
    await ann.click("Create a room")
    await ann.page.get_by_label("Name of the room").fill(room)
    await ann.click("Create")
    await ann.is_told("A room with that name already exists.")
    await ann.page.get_by_label("Name of the room").fill("a:b")
    await ann.click("Create")
    await ann.is_told("That name cannot be used.")
    await ann.page.keyboard.press("Escape")
    await bob.click("Leave the room")
    await expect(bob.page.get_by_role("heading", name="Choose a room")).to_be_visible()
    await expect(ann.member(bob.name)).to_have_count(0)


async def test_lists_are_in_natural_order(person: People, unique: Unique) -> None:
    # So high that the whole list is in the document.
    ann, bob = [await (await person(unique(name), height=5000)).login() for name in ("Ann", "Bob")]
    base = unique("Tea")
    names = [f"{base} {number}" for number in (1, 2, 10, 11)]
    for name in reversed(names):
        await ann.create_room(name)
    for someone in (ann, bob):
        rows = someone.page.get_by_role("navigation").locator(".name").get_by_text(base)
        await expect(rows).to_have_text(names)


async def test_unread_messages_are_marked_until_they_are_read_on_any_device(
    person: People, unique: Unique
) -> None:
    ann = await (await person(unique("Ann"))).login()
    desk = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await desk.open_room(room)
    await ann.say("one")
    await desk.sees("one")
    # A device that the user has never had shows the rooms of the others, and on a phone their list first.
    phone = await (await person(desk.name, width=390, height=800, has_touch=True)).login()
    await expect(phone.row(room)).to_be_visible()
    await desk.open_room("default")
    await ann.say("two")
    await ann.say("three")
    for device in (desk, phone):
        await expect(device.row(room).locator(".badge")).to_have_text("2 unread")
    await expect(desk.page).to_have_title("(2) default · Chat")
    await phone.open_room(room)
    # The mark stands between what was read and what was not.
    await expect(phone.log.locator(".divider + li .bubble > p")).to_have_text("two")
    for device in (desk, phone):
        await expect(device.row(room).locator(".badge")).to_have_count(0)
    await phone.page.context.close()
    # It is remembered over a reload.
    await desk.page.reload()
    await expect(desk.row(room)).to_be_visible()
    await expect(desk.row(room).locator(".badge")).to_have_count(0)
    await ann.say("four")
    await expect(desk.row(room).locator(".badge")).to_have_text("1 unread")


async def test_what_was_read_is_known_on_a_device_that_comes_later(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    desk = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await ann.say("before bob came")
    await desk.open_room(room)
    await desk.sees("before bob came")
    await ann.say("one")
    await desk.sees("one")
    await desk.open_room("default")
    for text in ("two", "three", "four"):
        await ann.say(text)
    await expect(desk.row(room).locator(".badge")).to_have_text("3 unread")
    # Its storage is empty: the count, and where the unread messages begin, come from the server.
    laptop = await (await person(desk.name)).login()
    await laptop.open_room("default")
    await expect(laptop.row(room).locator(".badge")).to_have_text("3 unread")
    await laptop.open_room(room)
    await expect(laptop.log.locator(".divider")).to_have_text("New messages")
    await expect(laptop.log.locator(".divider + li .bubble > p")).to_have_text("two")
    for device in (desk, laptop):
        await expect(device.row(room).locator(".badge")).to_have_count(0)
    await laptop.page.context.close()
    await desk.page.context.close()
    last = await (await person(desk.name)).login()
    await last.open_room(room)
    await last.sees("four")
    await expect(last.log.locator(".divider")).to_have_count(0)


async def test_a_line_says_who_is_typing(person: People, unique: Unique) -> None:
    ann = await person(unique("Ann"))
    await ann.page.clock.install()
    await ann.page.reload()
    await ann.login()
    bob, cat = [await (await person(unique(name))).login() for name in ("Bob", "Cat")]
    room = unique("Tea")
    await ann.create_room(room)
    for someone in (bob, cat):
        await someone.open_room(room)
        await expect(ann.member(someone.name)).to_be_visible()
    line = ann.page.locator(".typing")
    await expect(line).to_have_text("")
    height = await line.evaluate("line => line.offsetHeight")
    await bob.composer.press_sequentially("hello")
    await expect(line).to_have_text(f"{bob.name} is typing…")
    await cat.composer.press_sequentially("hi")
    await expect(line).to_have_text(f"{bob.name} and {cat.name} are typing…")
    # Nobody sees themselves, and nothing moves.
    await expect(bob.page.locator(".typing")).to_have_text(f"{cat.name} is typing…")
    assert await line.evaluate("line => line.offsetHeight") == height
    # The message takes its place.
    await bob.composer.press("Enter")
    await ann.sees("hello")
    await expect(line).to_have_text(f"{cat.name} is typing…")
    # Nobody is typing who is not heard any longer.
    await ann.page.clock.fast_forward(6000)
    await expect(line).to_have_text("")
    await bob.composer.press_sequentially("x")
    await expect(line).to_have_text(f"{bob.name} is typing…")
    await bob.click("Leave the room")
    await expect(line).to_have_text("")


async def test_a_status_is_seen_by_those_in_the_room_and_by_those_who_come_later(
    person: People, unique: Unique
) -> None:
    ann, bob = [await (await person(unique(name))).login() for name in ("Ann", "Bob")]
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    await ann.click("Your status")
    field = ann.page.get_by_label("Status", exact=True)
    await field.fill("Back at <b>five</b>")
    await ann.click("Save")
    cat = await (await person(unique("Cat"))).login()
    await cat.open_room(room)
    for someone in (ann, bob, cat):
        row = someone.member(ann.name)
        await expect(row.locator(".status")).to_have_text("Back at <b>five</b>")
        await expect(row.locator(".name")).to_have_attribute("title", re.compile("^Here since "))
    await expect(cat.member(bob.name).locator(".status")).to_have_count(0)
    # A lost connection takes the status away, and the page sets it again.
    await ann.go_offline()
    await expect(bob.member(ann.name)).to_have_count(0)
    await ann.go_online()
    await expect(bob.member(ann.name).locator(".status")).to_have_text("Back at <b>five</b>")
    await ann.click("Your status")
    await expect(field).to_have_value("Back at <b>five</b>")
    await field.fill("")
    await field.press("Enter")
    await expect(bob.member(ann.name).locator(".status")).to_have_count(0)


async def test_one_person_on_two_devices(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    await expect(ann.member(bob.name)).not_to_contain_text("device")
    tablet = await (await person(bob.name)).login()
    for someone in (ann, bob, tablet):
        await expect(someone.member(bob.name)).to_contain_text("2 devices")
    await tablet.say("from the tablet")
    await bob.sees("from the tablet")
    await expect(bob.log.locator(".own .bubble > p").last).to_have_text("from the tablet")
    await tablet.page.context.close()
    await expect(ann.member(bob.name)).not_to_contain_text("devices")
    await expect(ann.member(bob.name)).to_be_visible()


async def test_direct_messages(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    tablet = await (await person(ann.name)).login()
    await ann.click(f"Message {bob.name}")
    await ann.say("psst")
    await expect(bob.row(ann.name).locator(".badge")).to_have_text("1 unread")
    await bob.open_room(ann.name)
    await bob.sees("psst")
    # The sender's other device has it, too.
    await tablet.open_room(bob.name)
    await expect(tablet.log.locator(".own")).to_contain_text("psst")
    await bob.click(f"Block {ann.name}")
    await bob.is_told("can no longer write to you")
    await ann.say("hello?")
    await ann.is_told(f"{bob.name} does not take direct messages from you.")
    await bob.click(f"Block {ann.name}")
    await bob.is_told("may write to you again")
    await ann.click("Send again")
    await bob.sees("hello?")
    await bob.page.reload()
    await bob.open_room(ann.name)
    assert await bob.texts() == ["psst", "hello?"]
    await bob.page.context.close()
    await ann.say("still there?")
    await ann.sees("still there?")
    # Somebody who was away finds it on any device, with everything before, which was read on another one.
    phone = await (await person(bob.name)).login()
    await expect(phone.row(ann.name).locator(".badge")).to_have_text("1 unread")
    await phone.open_room(ann.name)
    await phone.sees("still there?")
    assert await phone.texts() == ["psst", "hello?", "still there?"]
    await phone.say("on the phone")
    await ann.sees("on the phone")
    # Whoever closes it gets it back with the next message.
    await phone.click("Close the conversation")
    await expect(phone.row(ann.name)).to_have_count(0)
    await ann.say("come back")
    await expect(phone.row(ann.name).locator(".badge")).to_be_visible()
    await phone.open_room(ann.name)
    await phone.sees("come back")


async def test_a_new_device_shows_all_conversations_and_rooms(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await ann.click("New direct message")
    await ann.page.get_by_label("To", exact=True).fill(bob.name)
    await ann.click("Open")
    await bob.page.context.close()
    await ann.say("for later")
    await ann.sees("for later")
    await ann.page.context.close()
    tablet = await (await person(ann.name)).login()
    await expect(tablet.row(room)).to_be_visible()
    await tablet.open_room(bob.name)
    await tablet.sees("for later")
    assert await tablet.texts() == ["for later"]
    # Others hear nothing of it.
    carol = await (await person(unique("Carol"))).login()
    await expect(carol.row("default")).to_be_visible()
    assert bob.name not in await carol.page.inner_text("body")


async def test_direct_message_to_a_name(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    await ann.click("New direct message")
    await ann.page.get_by_label("To", exact=True).fill(ann.name)
    await ann.click("Open")
    await ann.is_told("That is your own name.")
    await ann.page.get_by_label("To", exact=True).fill("nobody")
    await ann.click("Open")
    await ann.say("hello")
    await ann.is_told("Nobody named nobody has been here.")


async def test_history_scrolls_back(person: People, demo: Demo, unique: Unique) -> None:
    room = unique("Long")
    await demo.service.add_room(room)
    for number in range(1, 131):
        message = {"textMessage": f"number {number}", "author": "clock"}
        await demo.service.exec_user_command(True, "roomMessage", room, message)
    ann = await (await person(unique("Ann"))).login()
    await ann.open_room(room)
    await ann.sees("number 130")
    # 50 of them, below the day.
    last = ann.log.locator("li").filter(has_text="number 130")
    await expect(last).to_have_attribute("aria-posinset", "51")
    # What one looks at stays in its place while older ones come in above.
    shown = ann.log.get_by_text("number 81", exact=True)
    await ann.log.evaluate("box => { box.scrollTop = 350 }")
    before = await shown.bounding_box()
    await expect(ann.log.get_by_text("number 75", exact=True)).to_be_attached()
    after = await shown.bounding_box()
    assert before and after and abs(before["y"] - after["y"]) < 3
    await ann.log.evaluate("box => { box.scrollTop = 0 }")
    await expect(ann.log.get_by_text(f"This is where {room} begins.")).to_be_attached()
    await expect(ann.log.get_by_text("number 25", exact=True)).to_be_attached()
    assert await ann.all_texts() == [f"number {number}" for number in range(1, 131)]
    await ann.log.evaluate("box => { box.scrollTop = 2000 }")
    await expect(ann.log.get_by_text("number 130")).to_have_count(0)
    # New messages do not pull one away from the old ones.
    message = {"textMessage": "number 131", "author": "clock"}
    await demo.service.exec_user_command(True, "roomMessage", room, message)
    await ann.click("1 new message")
    await expect(ann.log.get_by_text("number 131")).to_be_in_viewport()
