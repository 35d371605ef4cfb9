"""Going offline and coming back; logins, reloads."""

from playwright.async_api import expect

from chat_service import MemoryBackend, MemoryStore
from chat_service.demo import Demo
from tests.browser.conftest import MARKS, Demos, People, Unique
from tests.browser.person import Person

pytestmark = MARKS

#: As behind a proxy that lets no WebSocket through.
NO_WEBSOCKET = """
window.WebSocket = class {
  constructor() { setTimeout(() => this.onerror(new Event("error"))); }
  close() {}
};
"""


async def test_a_user_who_was_offline_catches_up_without_loss_or_repeat(
    person: People, unique: Unique
) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await bob.open_room(room)
    await bob.say("before")
    await ann.sees("before")
    await bob.go_offline()
    await bob.is_told("You are offline.")
    await expect(ann.member(bob.name)).to_have_count(0)
    missed = [f"missed {number}" for number in range(1, 6)]
    for text in missed:
        await ann.say(text)
    await expect(ann.log.locator(".sending")).to_have_count(0)
    await bob.say("written offline")
    await bob.say("this, too")
    await expect(bob.log.get_by_text("Sending…")).to_have_count(2)
    await bob.go_online()
    await bob.is_told("You are back online.")
    await ann.sees("this, too")
    await expect(bob.log.locator(".sending")).to_have_count(0)
    wanted = ["before", *missed, "written offline", "this, too"]
    assert await bob.texts() == wanted
    assert await ann.texts() == wanted
    await expect(bob.page.locator(".connection-bar")).to_have_count(0)
    await expect(bob.member(ann.name)).to_be_visible()


async def test_a_restart_of_the_server(person: People, demos: Demos, unique: Unique) -> None:
    backend = MemoryBackend()
    before = await demos(store=MemoryStore(backend))
    ann = await (await person(unique("Ann"), at=before)).login()
    bob = await (await person(unique("Bob"), at=before)).login()
    await ann.say("one")
    await bob.sees("one")
    port = before.port
    ann.may_be_offline = bob.may_be_offline = True
    await before.close()
    for someone in (ann, bob):
        await someone.is_told("You are offline.")
    await demos(port, store=MemoryStore(backend))
    # At once, if it is still there: the page may have come back by itself.
    button = ann.page.get_by_role("button", name="Try now", exact=True)
    await button.evaluate_all("(found) => found.forEach((each) => each.click())")
    await ann.is_told("You are back online.")
    await bob.is_told("You are back online.")
    await ann.say("two")
    await bob.sees("two")
    assert await bob.texts() == ["one", "two"]


async def test_a_connection_closed_by_the_server_can_be_reopened(
    person: People, demo: Demo, unique: Unique
) -> None:
    ann = await (await person(unique("Ann"))).login()
    await ann.say("one")
    await demo.service.disconnect_user_sockets(ann.name)
    await ann.is_told("The server closed the connection.")
    await ann.click("Reconnect")
    await ann.sees("one")
    await ann.say("two")
    await ann.sees("two")


async def test_polling_works_where_websocket_is_blocked(person: People, unique: Unique) -> None:
    ann = await person(unique("Ann"))
    await ann.page.add_init_script(NO_WEBSOCKET)
    await ann.open()
    await ann.login()
    await ann.say("the slow way")
    await ann.sees("the slow way")
    await expect(ann.log.locator(".sending")).to_have_count(0)


async def test_login_reload_and_sign_out(person: People, unique: Unique) -> None:
    ann = await person(unique("Ann"))
    await ann.click("Enter")
    await ann.is_told("Please choose a name.")
    await ann.page.get_by_label("Your name").fill("a:b")
    await ann.click("Enter")
    await ann.is_told("That name cannot be used.")
    await ann.login()
    await ann.say("still me?")
    await ann.sees("still me?")
    await ann.page.reload()
    await ann.sees("still me?")
    await expect(ann.page.get_by_role("button", name="Your settings")).to_contain_text(ann.name)
    await ann.click("Your settings", exact=False)
    await ann.click("Sign out")
    await expect(ann.page.get_by_label("Your name")).to_have_value(ann.name)
    await ann.page.reload()
    await expect(ann.page.get_by_label("Your name")).to_be_visible()


async def test_rooms_are_joined_again_after_a_reload_and_in_other_tabs(
    person: People, demo: Demo, unique: Unique
) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    made, joined, later = unique("Made"), unique("Joined"), unique("Later")
    await bob.create_room(joined)
    await ann.create_room(made)
    await ann.open_room(joined)
    mine = ann.page.get_by_label("Your rooms").get_by_role("listitem")
    await expect(mine).to_have_count(3)
    await ann.page.reload()
    await expect(mine).to_have_text(["default", joined, made])
    # A second tab of the same browser has the rooms, too, and they do not take each other's away.
    second = Person(ann.name, await ann.page.context.new_page(), ann.address)
    await second.open()
    await second.login()
    others = second.page.get_by_label("Your rooms").get_by_role("listitem")
    await expect(others).to_have_text(["default", joined, made])
    await second.create_room(later)
    await ann.open_room(made)
    await ann.say("read here")
    await ann.sees("read here")
    await second.page.reload()
    await expect(others).to_have_text(["default", joined, later, made])
    # A room that was left stays left.
    await second.open_room(joined)
    await second.click("Leave the room")
    await expect(others).to_have_text(["default", later, made])
    await second.page.reload()
    await expect(others).to_have_text(["default", later, made])
    assert second.problems == []
    # After the first visit, too, when even the first room was left.
    for room in ("default", later, made):
        await second.open_room(room)
        await second.click("Leave the room")
    await second.page.reload()
    await expect(second.page.get_by_text("Join one below, or create one with +.")).to_be_visible()


async def test_a_login_without_a_server(person: People, demos: Demos, unique: Unique) -> None:
    away = await demos()
    ann = await person(unique("Ann"), at=away)
    bob = await (await person(unique("Bob"), at=away)).login()
    ann.may_be_offline = bob.may_be_offline = True
    await bob.page.route("**/socket.io/**", lambda route: route.abort())
    await bob.page.add_init_script(NO_WEBSOCKET)
    await bob.page.reload()
    await bob.is_told("The server cannot be reached.")
    await expect(bob.page.get_by_label("Your name")).to_have_value(bob.name)
    await away.close()
    await ann.page.get_by_label("Your name").fill("Ann")
    await ann.click("Enter")
    await ann.is_told("The server cannot be reached.")
