"""Who is here and who was, profiles of people, links that bring others in, and what empty places say."""

from urllib.parse import quote

from playwright.async_api import expect

from chat_service.demo import Demo
from tests.browser.axe import violations
from tests.browser.conftest import MARKS, People, Unique
from tests.browser.test_timeline import post

pytestmark = MARKS


async def test_a_dot_and_last_seen_tell_where_a_person_is(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    await ann.click(f"Message {bob.name}")
    title = ann.page.get_by_role("main").locator("header")
    await expect(title.get_by_text("Here now", exact=True)).to_be_visible()
    await expect(ann.row(bob.name)).to_have_accessible_name(f"Here now: {bob.name}")
    # Gone from every room that both are in.
    await bob.click("Leave the room")
    await bob.open_room("default")
    await bob.click("Leave the room")
    await expect(title.get_by_text("Last seen just now in default")).to_be_visible()
    await expect(ann.row(bob.name)).to_have_accessible_name(bob.name)
    await bob.open_room(room)
    await expect(title.get_by_text("Here now", exact=True)).to_be_visible()
    # Somebody whom the server does not know.
    await ann.click("New direct message")
    await ann.page.get_by_label("To", exact=True).fill("nobody")
    await ann.click("Open")
    await expect(title.get_by_text("Never seen in your rooms")).to_be_visible()


async def test_a_name_opens_a_profile_with_the_permitted_actions(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    await bob.say("hello")
    await bob.click("Your status")
    await bob.page.get_by_label("Status", exact=True).fill("at the dentist")
    await bob.click("Save")
    # From a message, with the keyboard.
    await ann.log.get_by_role("button", name=bob.name).press("Enter")
    card = ann.page.get_by_role("dialog", name=bob.name)
    await expect(card.get_by_text("Here now", exact=True)).to_be_visible()
    places = card.get_by_role("listitem")
    await expect(places.filter(has_text=room)).to_contain_text("since today")
    await expect(places.filter(has_text=room)).to_contain_text("at the dentist")
    role = card.get_by_role("region", name=f"Role in {room}")
    await expect(role).to_contain_text("Member")
    await card.get_by_role("button", name="Make admin").click()
    await expect(role).to_contain_text("Admin")
    await ann.is_told(f"{bob.name} is now an admin of {room}.")
    assert await violations(ann) == []
    await card.get_by_role("button", name="Remove as admin").click()
    await expect(role).to_contain_text("Member")
    await ann.page.keyboard.press("Escape")
    await expect(ann.log.get_by_role("button", name=bob.name)).to_be_focused()
    # Others may only write.
    await bob.member(ann.name).get_by_role("button", name=ann.name, exact=True).click()
    card = bob.page.get_by_role("dialog", name=ann.name)
    await expect(card).to_contain_text("Owner")
    await expect(card.get_by_role("button")).to_have_text(["", "Send a direct message"])
    await card.get_by_role("button", name="Send a direct message").click()
    await expect(bob.heading(ann.name)).to_be_visible()
    await expect(bob.composer).to_be_focused()
    # Removed and blocked from the profile, and let in again.
    await ann.member(bob.name).get_by_role("button", name=bob.name, exact=True).click()
    await ann.click("Remove from the room…")
    await ann.click("Remove and block")
    await expect(ann.member(bob.name)).to_have_count(0)
    await ann.log.get_by_role("button", name=bob.name).click()
    card = ann.page.get_by_role("dialog", name=bob.name)
    await expect(card).to_contain_text("Blocked")
    await card.get_by_role("button", name="Unblock").click()
    await expect(card).to_contain_text("Not a member right now")


async def test_an_invite_link_logs_in_and_joins(person: People, demo: Demo, unique: Unique) -> None:
    room = unique("Größe / 50% & mehr #1")
    await demo.service.add_room(room)
    ann = await person(unique("Ann"), permissions=["clipboard-read", "clipboard-write"])
    await ann.login()
    await ann.open_room(room)
    await ann.click("More")
    await ann.click("Copy invite link", "menuitem")
    await ann.is_told(f"The link to {room} is copied. Whoever opens it can join.")
    link = await ann.page.evaluate("navigator.clipboard.readText()")
    assert link == f"http://127.0.0.1:{demo.port}/#/room/{quote(room, safe='')}"
    # Somebody who is not logged in.
    bob = await person(unique("Bob"))
    await bob.page.goto("about:blank")
    await bob.page.goto(link)
    await expect(bob.page.get_by_role("main")).to_contain_text(f"You are invited to {room}.")
    assert await violations(bob) == []
    await bob.login()
    await expect(bob.heading(room)).to_be_visible()
    await expect(ann.member(bob.name)).to_be_visible()
    assert await bob.page.evaluate("location.hash") == ""
    # Somebody who is, in another room; and on a phone, which shows the list first otherwise.
    await bob.open_room("default")
    await bob.page.evaluate("link => { location.href = link }", link)
    await expect(bob.heading(room)).to_be_visible()
    cid = await person(unique("Cid"), width=390)
    await cid.page.goto("about:blank")
    await cid.page.goto(link)
    await cid.login()
    await expect(cid.heading(room)).to_be_visible()


async def test_links_that_lead_nowhere_say_so(person: People, demo: Demo, unique: Unique) -> None:
    closed = unique("Closed")
    await demo.service.add_room(closed, whitelist_only=True)
    ann = await (await person(unique("Ann"))).login()
    await expect(ann.heading("default")).to_be_visible()
    await ann.page.evaluate("location.hash = '#/room/no%20such%20room'")
    await ann.is_told("That room no longer exists.")
    await ann.page.evaluate("name => { location.hash = '#/room/' + encodeURIComponent(name) }", closed)
    await ann.is_told(f"{closed} is for invited people only.")
    # What is no address of the chat is left alone.
    await ann.page.evaluate("location.hash = '#/room/%E0%A4%A'")
    await expect(ann.heading("default")).to_be_visible()


async def test_a_link_to_a_message_shows_it(person: People, demo: Demo, unique: Unique) -> None:
    room = unique("Long")
    await demo.service.add_room(room)
    await post(demo, room, *(f"number {number}" for number in range(1, 301)))
    ann = await person(unique("Ann"))
    await ann.page.goto("about:blank")
    await ann.page.goto(f"{ann.address}#/room/{quote(room)}/7")
    await ann.login()
    await expect(ann.log.get_by_text("number 7", exact=True)).to_be_in_viewport()


async def test_empty_places_suggest_a_next_step(person: People, demo: Demo, unique: Unique) -> None:
    ann = await person(unique("Ann"), permissions=["clipboard-read", "clipboard-write"])
    await ann.login()
    nav = ann.page.get_by_role("navigation", name="Rooms and direct messages")
    await expect(nav).to_contain_text("Click on the name of a person to write to them alone.")
    await ann.click("Leave the room")
    await expect(nav).to_contain_text("A room keeps what is said while you are away. Join one below")
    await expect(ann.page.get_by_role("main")).to_contain_text(
        "Messages sent while you are away will be waiting for you."
    )
    assert await violations(ann) == []
    await ann.page.get_by_role("main").get_by_role("button", name="Find a room or a person").click()
    await expect(
        ann.page.get_by_text("Rooms that you join and people that you write to are listed here.")
    ).to_be_visible()
    assert await violations(ann) == []
    await ann.page.keyboard.press("Escape")
    room = unique("Empty")
    await ann.create_room(room)
    await expect(ann.log).to_contain_text(f"Nothing was said in {room} yet. Say hello, or bring others here:")
    assert await violations(ann) == []
    await ann.click("Copy an invite link")
    await ann.is_told(f"The link to {room} is copied.")
    assert (await ann.page.evaluate("navigator.clipboard.readText()")).endswith(quote(room))


async def test_many_who_come_and_go_are_one_line(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    room = unique("Hall")
    await ann.create_room(room)
    others = [await (await person(unique("Guest"))).login() for _ in range(3)]
    for one in others:
        await one.open_room(room)
    await expect(ann.log.get_by_role("button", name="3 people joined")).to_be_visible()
    for one in others[:2]:
        await one.click("Leave the room")
    fold = ann.log.get_by_role("button", name="3 people joined, 2 people left")
    await expect(fold).to_have_attribute("aria-expanded", "false")
    await fold.press("Enter")
    await expect(ann.log.get_by_role("group", name="Who joined and left").locator("p")).to_have_count(5)
