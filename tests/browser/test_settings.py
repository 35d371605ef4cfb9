"""Owners and admins: modes, lists, removing people, deleting rooms."""

from playwright.async_api import expect

from chat_service.demo import Demo
from tests.browser.conftest import MARKS, People, Unique

pytestmark = MARKS


async def test_a_removed_person_is_told(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    await expect(bob.page.get_by_role("button", name=f"Remove {ann.name}")).to_have_count(0)
    await ann.click(f"Remove {bob.name}")
    await ann.click("Remove and block")
    await ann.is_told(f"{bob.name} was removed from {room}, and is on its list of blocked people.")
    await bob.is_told(
        f"You were removed from {room}. You can come back when its owner or an admin lets you in."
    )
    await expect(bob.composer).to_have_count(0)
    await expect(bob.page.get_by_role("main")).not_to_contain_text("people here")
    await expect(bob.page.get_by_text("You are not in this room")).to_be_visible()
    # A button that joins again would promise too much.
    await expect(bob.page.get_by_role("button", name="again")).to_have_count(0)
    await expect(ann.member(bob.name)).to_have_count(0)
    await bob.click("Close")
    await expect(bob.page.get_by_role("heading", name="Choose a room")).to_be_visible()
    await bob.try_to_join(room)
    await bob.is_told(f"{room} does not let you in. Its owner or an admin can change that.")
    # After a reload the page does not try it again by itself.
    await bob.page.reload()
    await expect(bob.heading("default")).to_be_visible()
    await expect(bob.page.get_by_role("alert")).to_have_count(0)
    # Taken off the list, the person may come back.
    await ann.click("Room settings")
    await ann.click(f"Remove {bob.name} from: Blocked people")
    await expect(ann.page.get_by_label("Blocked people").get_by_role("listitem")).to_have_count(0)
    await bob.open_room(room)
    await expect(bob.composer).to_be_visible()
    await expect(ann.member(bob.name)).to_be_visible()


async def test_a_person_who_is_removed_without_a_block_may_join_again(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    phone = await (await person(bob.name, width=390)).login()
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    # It shows the rooms of the other device first.
    await phone.open_room(room)
    await expect(ann.member(bob.name)).to_contain_text("2 devices")
    await bob.composer.fill("half a sentence")
    await ann.click(f"Remove {bob.name}")
    await ann.click("Remove from room")
    await ann.is_told(f"{bob.name} was removed from {room}.")
    await expect(ann.member(bob.name)).to_have_count(0)
    for device in (bob, phone):
        await device.is_told(f"{ann.name} removed you from {room}.")
        await expect(device.composer).to_have_count(0)
        await expect(device.page.get_by_role("main")).not_to_contain_text("people here")
    # No list has changed.
    await ann.click("Room settings")
    await expect(ann.page.get_by_label("Blocked people").get_by_role("listitem")).to_have_count(0)
    await ann.click("Close")
    await bob.click("Join again")
    await expect(bob.composer).to_have_value("half a sentence")
    await expect(ann.member(bob.name)).to_be_visible()
    await expect(bob.page.get_by_text("2 people here")).to_be_visible()


async def test_an_admin_is_blocked_by_the_owner(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    await ann.click("Room settings")
    await ann.page.get_by_label("Make admin: name").fill(bob.name)
    await ann.click("Make admin")
    await ann.click("Close")
    await expect(ann.member(bob.name)).to_contain_text("Admin")
    await ann.click(f"Remove {bob.name}")
    await ann.click("Remove and block")
    await bob.is_told(f"You were removed from {room}.")


async def test_the_server_removes_a_person_from_a_room(person: People, demo: Demo, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    [sockets] = await demo.service.exec_user_command(ann.name, "listOwnSockets")
    for socket_id in sockets:
        await demo.service.exec_user_command({"user_name": ann.name, "id": socket_id}, "roomLeave", room)
    await ann.is_told(f"You are no longer in {room}.")
    await ann.click("Join again")
    await expect(ann.composer).to_be_visible()


async def test_rooms_for_invited_people_only(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    cyd = await (await person(unique("Cyd"))).login()
    room = unique("Board")
    await ann.create_room(room)
    for someone in (bob, cyd):
        await someone.open_room(room)
        await expect(ann.member(someone.name)).to_be_visible()
    await ann.click("Room settings")
    await ann.page.get_by_label("Invite: name").fill(bob.name)
    await ann.click("Invite")
    await expect(ann.page.get_by_label("Invited people").get_by_role("listitem")).to_have_text(bob.name)
    await ann.page.get_by_role("switch", name="Only invited people").click()
    await ann.is_told(f"These people are not invited and will be removed immediately: {cyd.name}.")
    await ann.click("Close the room")
    await cyd.is_told(f"You were removed from {room}.")
    await expect(ann.page.get_by_role("switch", name="Only invited people")).to_be_checked()
    await expect(bob.log.get_by_text("The room is now for invited people only")).to_be_visible()
    await ann.page.get_by_label("Block: name").fill("a:b")
    await ann.click("Block")
    await ann.is_told("That name cannot be used.")


async def test_admins_and_deleting(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room, closed=True)
    await bob.try_to_join(room)
    await bob.is_told(f"{room} is for invited people only.")
    await ann.click("Room settings")
    await ann.page.get_by_label("Make admin: name").fill(bob.name)
    await ann.click("Make admin")
    await expect(ann.page.get_by_label("Admins").get_by_role("listitem")).to_have_text(bob.name)
    await ann.page.keyboard.press("Escape")
    await bob.open_room(room)
    await expect(ann.member(bob.name)).to_contain_text("Admin")
    await expect(ann.member(ann.name)).to_contain_text("Owner")
    await bob.click("Room settings")
    await expect(bob.page.get_by_text(f"You are an admin of this room. {ann.name} owns it.")).to_be_visible()
    await expect(bob.page.get_by_label("Make admin: name")).to_have_count(0)
    await bob.page.get_by_role("switch", name="Only invited people").click()
    await expect(bob.page.get_by_role("switch", name="Only invited people")).not_to_be_checked()
    await bob.page.keyboard.press("Escape")
    await ann.click("Room settings")
    await ann.click("Delete the room")
    await ann.click("Delete permanently")
    await bob.is_told(f"{room} was deleted.")
    await bob.open_room("default")
    await ann.click("Leave the room")
    await expect(ann.row(room)).to_have_count(0)


async def test_a_room_without_an_owner_shows_its_settings(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    await ann.click("Room settings")
    await expect(ann.page.get_by_text("Nobody owns this room")).to_be_visible()
    await expect(ann.page.get_by_role("switch", name="Only invited people")).to_be_disabled()
    await ann.click("Close")
    await expect(ann.page.get_by_role("dialog")).to_have_count(0)
