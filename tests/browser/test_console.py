"""The operators' console: 10,000 rooms, 5,000 members, live updates and actions."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from chat_service.testing import InProcessClient, wait_until
from tests.browser.conftest import MARKS, Unique
from tests.browser.operator import BIG, MEMBERS, ROOMS, Operator, Stage, fill, make_operator, open_stage
from tests.http_api.programs import TOKENS
from tests.redis.proxy import Proxy, reset

pytestmark = MARKS

Operators = Callable[..., Awaitable[Operator]]
NARROW = {"width": 390, "height": 760}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage() -> AsyncIterator[Stage]:
    async with open_stage() as made:
        rooms = [f"room {number}" for number in range(ROOMS - 1)]
        await fill(made.service, BIG, rooms, [f"member {number}" for number in range(MEMBERS)])
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def operators(browser: Browser, stage: Stage) -> AsyncIterator[Operators]:
    """Makes operators before the login. In the end none may have had an error."""
    made: list[Operator] = []

    async def make(port: int | None = None, **options: Any) -> Operator:
        made.append(await make_operator(browser, stage.address_at(port), **options))
        return made[-1]

    yield make
    for someone in made:
        await someone.page.context.close()
    assert [problem for someone in made for problem in someone.problems] == []


async def member(stage: Stage, name: str, room: str) -> InProcessClient:
    client = await stage.transport.login(name)
    await client.call("roomJoin", room)
    return client


# Tokens


async def test_nothing_is_shown_without_a_token(operators: Operators) -> None:
    someone = await operators()
    page = someone.page
    await someone.show("rooms")
    await expect(page.get_by_label("Token")).to_be_focused()
    assert someone.asked == []
    for text, told in (
        ("", "Enter a token of the HTTP API."),
        ("not für a header", "This is not a token."),
        ("x" * 40, "The token is not known."),
        (TOKENS["write"], "The console needs a token with the scope read."),
    ):
        await page.get_by_label("Token").fill(text)
        await someone.click("Sign in")
        await someone.is_told(told)
    assert not [path for path in someone.asked if path != "/token"]
    await expect(page.get_by_role("navigation")).to_have_count(0)


async def test_the_token_is_kept_for_the_tab_alone(operators: Operators, stage: Stage) -> None:
    someone = await (await operators()).sign_in()
    page = someone.page
    kept = "JSON.stringify([localStorage, document.cookie, location.href])"
    assert TOKENS["admin"] in await page.evaluate("JSON.stringify(sessionStorage)")
    assert TOKENS["admin"] not in await page.evaluate(kept)
    await page.reload()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    other = await page.context.new_page()
    await other.goto(stage.address_at())
    await expect(other.get_by_label("Token")).to_be_visible()
    await someone.click("Sign out")
    await expect(page.get_by_label("Token")).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0
    # A token that has been taken away since.
    await page.evaluate("sessionStorage.setItem('chat-console-token', 'x'.repeat(40))")
    await page.reload()
    await someone.is_told("The token is not known.")


async def test_a_token_that_reads_can_do_nothing_else(operators: Operators) -> None:
    someone = await (await operators()).sign_in(TOKENS["read"], at=f"#/rooms/{BIG}/settings")
    page = someone.page
    await expect(page.get_by_text("Changes need a token with the scope write.")).to_be_visible()
    for tab in ("messages", "lists"):
        await someone.show(f"rooms/{BIG}/{tab}")
        await expect(page.get_by_role("tab", selected=True)).to_be_visible()
    await someone.show("users/member 1")
    await expect(page.get_by_role("heading", name="member 1")).to_be_visible()
    buttons = await page.get_by_role("main").get_by_role("button").all_inner_texts()
    assert not {"Ban", "Kick", "Delete", "Send", "Add"} & {*buttons}


# Long lists


async def test_ten_thousand_rooms_are_paged_and_virtual(operators: Operators) -> None:
    someone = await (await operators()).sign_in(at="#/rooms")
    page, grid = someone.page, someone.grid("Rooms")
    await expect(grid).to_have_attribute("aria-rowcount", str(ROOMS + 1))
    pages = [path for path in someone.asked if path.startswith("/rooms")]
    assert len(pages) == 10 and all("limit=1000" in path for path in pages)
    assert "cursor" not in pages[0] and "cursor=" in pages[1]

    async def rows() -> list[str]:
        texts: list[str] = await grid.locator(".grid-row").all_inner_texts()
        return texts

    assert 10 < len(await rows()) < 60
    # Names are in the order in which people count.
    await expect(grid.locator("[aria-rowindex='4']")).to_contain_text("room 2")
    # From the first row to the last, and back, with the keyboard.
    first = grid.get_by_role("link", name="room 0", exact=True)
    await first.focus()
    await page.keyboard.press("End")
    await expect(grid.get_by_role("link", name=BIG)).to_be_focused()
    await expect(grid.get_by_role("link", name=BIG)).to_be_in_viewport()
    assert len(await rows()) < 60
    await page.keyboard.press("ArrowUp")
    await expect(grid.get_by_role("link", name=f"room {ROOMS - 2}")).to_be_focused()
    await page.keyboard.press("Home")
    await expect(first).to_be_focused()
    await page.keyboard.press("PageDown")
    await expect(first).not_to_be_focused()
    # The tab stop goes along when the list is scrolled by other means.
    await grid.evaluate("element => { element.scrollTop = 200000; }")
    await expect(grid.get_by_role("link", name="room 4545", exact=True)).to_be_visible()
    assert len(await rows()) < 60
    await page.keyboard.press("Home")
    # Sorted by a number, the largest first.
    await someone.click("Members")
    await expect(grid.get_by_role("columnheader", name="Members")).to_have_attribute(
        "aria-sort", "descending"
    )
    await expect(grid.locator("[aria-rowindex='2']")).to_contain_text(BIG)
    # Found, opened, and back where it was.
    asked = len(someone.asked)
    await page.get_by_label("Search rooms").fill("ROOM 777")
    await someone.is_told("11 rooms found")
    assert len(someone.asked) == asked
    await grid.get_by_role("link", name="room 7770").click()
    await expect(page.get_by_role("heading", name="room 7770")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_label("Search rooms")).to_have_value("ROOM 777")
    await page.get_by_label("Search rooms").fill("nowhere")
    await expect(page.get_by_text("No room has this in its name.")).to_be_visible()


async def test_five_thousand_members_as_they_come_and_go(
    operators: Operators, stage: Stage, unique: Unique
) -> None:
    someone = await (await operators()).sign_in(at=f"#/rooms/{BIG}")
    page, grid = someone.page, someone.grid("Members")
    await expect(grid).to_have_attribute("aria-rowcount", str(MEMBERS + 1))
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    assert await grid.locator(".grid-row").count() < 60
    name = unique("Zoe")
    client = await member(stage, name, BIG)
    await expect(grid).to_have_attribute("aria-rowcount", str(MEMBERS + 2))
    await page.get_by_label("Search members").fill(name)
    await expect(grid.get_by_role("link", name=name)).to_be_visible()
    # When they joined, and the details they set: as they change, and in the list as it is loaded.
    row = grid.get_by_role("row").filter(has_text=name)
    await client.call("roomSetDetails", BIG, {"mood": "busy"})
    await expect(row.get_by_role("gridcell").nth(3)).to_have_text('{"mood":"busy"}')
    await someone.click("Refresh")
    await expect(grid).to_have_attribute("aria-busy", "false")
    await expect(row.get_by_role("gridcell").nth(3)).to_have_text('{"mood":"busy"}')
    await expect(row.locator("time")).to_contain_text(str(datetime.now(UTC).year))
    await client.disconnect()
    await expect(page.get_by_text("No member has this in its name.")).to_be_visible()
    await page.get_by_label("Search members").fill("")
    await grid.get_by_role("link", name="member 0", exact=True).focus()
    await page.keyboard.press("End")
    await expect(grid.get_by_role("link", name=f"member {MEMBERS - 1}")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=f"member {MEMBERS - 1}")).to_be_visible()


# What operators do


async def test_the_life_of_a_room(operators: Operators, stage: Stage, unique: Unique) -> None:
    someone = await (await operators()).sign_in(at="#/rooms")
    page, room = someone.page, unique("Tea")
    await someone.click("Create a room")
    await page.get_by_label("Name").fill(BIG)
    await someone.click("Create")
    await someone.is_told(f"Room {BIG} already exists.")
    await page.get_by_label("Name").fill(room)
    await someone.click("Create")
    await expect(page.get_by_role("heading", name=room)).to_be_visible()
    await expect(page.get_by_text("Nobody is in this room.")).to_be_visible()
    bob = await member(stage, unique("Bob"), room)
    await someone.click("Messages", "tab")
    await page.get_by_label("Message from the server").fill("the kitchen closes")
    await someone.click("Send")
    log = page.get_by_role("log", name="Messages")
    await expect(log).to_contain_text("the kitchen closes")
    [_, message] = await bob.wait_for("roomMessage")
    assert message["textMessage"] == "the kitchen closes" and "author" not in message
    await bob.call("roomMessage", room, {"textMessage": "oh no"})
    await expect(log.get_by_role("listitem").last).to_contain_text("oh no")
    await someone.click("Live events", "tab")
    events = page.get_by_role("log", name="Live events")
    await expect(events).to_contain_text('"textMessage":"oh no"')
    await someone.click("Pause")
    await bob.call("roomMessage", room, {"textMessage": "while paused"})
    await someone.click("Go on")
    await expect(events).to_contain_text("while paused")
    await someone.click("Settings", "tab")
    await page.get_by_label("Messages to keep").fill("7")
    await page.get_by_label("Only users on the whitelist").check()
    await someone.click("Save")
    await someone.is_told("The settings were saved.")
    status = await stage.service.room_status(room)
    assert status.room.history_max_size == 7 and status.room.whitelist_only
    # Users who are not on the list are removed and notified.
    await bob.wait_for("roomAccessRemoved")
    await someone.click("Access lists", "tab")
    await page.get_by_label("Add to the whitelist").fill("a:b")
    add = page.get_by_role("region", name="Whitelist").get_by_role("button", name="Add")
    await add.click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.get_by_label("Add to the whitelist").fill("carla")
    await add.click()
    await expect(someone.grid("Whitelist").get_by_role("link", name="carla")).to_be_visible()
    await someone.click("Remove carla")
    await expect(page.get_by_role("region", name="Whitelist")).to_contain_text("The list is empty.")
    await someone.click("Delete")
    await expect(page.get_by_role("dialog").get_by_role("button", name="Delete")).to_be_disabled()
    await page.get_by_label("Type the name of the room").fill(room)
    await page.keyboard.press("Enter")
    await someone.is_told("was deleted.")
    await someone.show(f"rooms/{room}")
    await someone.is_told("No such room")


async def test_kick_ban_and_unban(operators: Operators, stage: Stage, unique: Unique) -> None:
    name = unique("Mallory")
    client = await member(stage, name, BIG)
    someone = await (await operators()).sign_in(at="#/users")
    page = someone.page
    await page.get_by_label("Search users").fill(name)
    await someone.grid("Users").get_by_role("link", name=name).click()
    await expect(page.get_by_role("table").get_by_role("link", name=BIG)).to_be_visible()
    await page.get_by_label("Message from the server").fill("stop that")
    await someone.click("Send")
    [message] = await client.wait_for("directMessage")
    assert message["textMessage"] == "stop that"
    await someone.click(f"Kick socket {client.id}")
    await wait_until(lambda: not client.connected, "the kick of a socket")
    client = await member(stage, name, BIG)
    await someone.click("Kick")
    await page.get_by_role("dialog").get_by_role("button", name="Kick").click()
    await wait_until(lambda: not client.connected, "the kick of a user")
    client = await member(stage, name, BIG)
    await someone.click("Ban")
    await someone.click("7 days", "radio")
    await page.get_by_label("Reason").fill("spam")
    await page.get_by_role("dialog").get_by_role("button", name="Ban").click()
    await wait_until(lambda: not client.connected, "the end by a ban")
    await expect(page.get_by_text("Banned until")).to_be_visible()
    ban = await stage.service.get_ban(name)
    assert ban is not None and ban.reason == "spam" and ban.until is not None
    await someone.click("Unban")
    await someone.is_told("may log in again.")
    await expect(page.get_by_text("Banned until")).to_have_count(0)
    await (await member(stage, name, BIG)).disconnect()
    # A name that nobody has used yet.
    unknown = unique("Nobody")
    await someone.show("users")
    await someone.click("Go to a name")
    await page.get_by_label("Name of the user").fill(unknown)
    await someone.click("Open")
    await expect(page.get_by_text("Not known")).to_be_visible()
    await someone.click("Ban")
    await someone.click("For good", "radio")
    await page.get_by_role("dialog").get_by_role("button", name="Ban").click()
    await expect(page.get_by_text("Banned for good")).to_be_visible()
    await stage.service.unban_user(unknown)


async def test_rates_are_live(operators: Operators, stage: Stage, unique: Unique) -> None:
    someone = await (await operators()).sign_in()
    card = someone.page.locator(".card").filter(has=someone.page.get_by_text("Commands", exact=True))
    await expect(card).to_contain_text("per second")
    for _ in range(200):
        await stage.service.exec_user_command(True, "roomGetOwner", BIG)
    await expect(card.locator(".value")).not_to_have_text(r"0 per second")
    row = someone.page.get_by_role("row").filter(has_text=stage.service.instance_uid)
    await expect(row).to_contain_text("Alive")


# When things go wrong


async def test_the_stream_goes_on_where_it_broke_off(
    operators: Operators, stage: Stage, unique: Unique
) -> None:
    room = unique("Night")
    await stage.service.add_room(room)
    async with Proxy(int(stage.service.operations.port or 0)) as proxy:
        someone = await operators(port=proxy.port)
        await someone.sign_in(at=f"#/rooms/{room}/messages")
        await breaks_off(someone, stage, proxy, room)
    await stage.service.delete_room(room)


async def breaks_off(someone: Operator, stage: Stage, proxy: Proxy, room: str) -> None:
    page = someone.page
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    text = {"textMessage": "before"}
    await stage.service.exec_user_command(True, "roomMessage", room, text)
    log = page.get_by_role("log", name="Messages")
    await expect(log).to_contain_text("before")
    proxy.refuse = reset
    proxy.cut()
    await someone.is_told("The server cannot be reached.")
    await expect(page.get_by_text("Connecting again…")).to_be_visible()
    await stage.service.exec_user_command(True, "roomMessage", room, {"textMessage": "missed"})
    await expect(log).not_to_contain_text("missed")
    proxy.mend()
    await expect(log).to_contain_text("missed")
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)
    # It is closed before its way to the server is.
    await page.context.close()


async def test_hostile_names_and_messages_are_only_text(
    operators: Operators, stage: Stage, unique: Unique
) -> None:
    room = unique("<img src=x onerror='alert(1)'><script>alert(2)</script>")
    await stage.service.add_room(room, owner="<b>\u202eowner</b>")
    await stage.service.exec_user_command(True, "roomMessage", room, {"textMessage": "<img src=y>"})
    someone = await (await operators()).sign_in(at="#/rooms")
    page = someone.page
    page.on("dialog", lambda dialog: someone.problems.append(dialog.message))
    await page.get_by_label("Search rooms").fill("<img")
    await page.get_by_role("link", name=room).click()
    await expect(page.get_by_role("heading", name=room)).to_be_visible()
    await someone.click("Messages", "tab")
    await expect(page.get_by_role("log", name="Messages")).to_contain_text("<img src=y>")
    assert await page.locator("img, main script, main b").count() == 0
    # Names that browsers take for steps in a path.
    await someone.show("rooms/..")
    await someone.is_told("Browsers cannot ask for the name")
    await stage.service.delete_room(room)


# Accessibility


@pytest.mark.parametrize(("scheme", "wide"), [("light", True), ("dark", False)], ids=["light", "dark"])
async def test_axe_finds_nothing(operators: Operators, stage: Stage, scheme: str, wide: bool) -> None:
    size = {} if wide else {"viewport": NARROW}
    someone = await operators(color_scheme=scheme, **size)
    page = someone.page

    async def is_fine() -> None:
        assert await someone.violations() == []
        width = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0

    await page.goto(someone.address)
    await someone.click("Sign in")
    await is_fine()
    await someone.sign_in()
    await expect(page.get_by_role("row").filter(has_text="Alive")).to_be_visible()
    await is_fine()
    await someone.show("rooms")
    await expect(someone.grid("Rooms")).to_have_attribute("aria-busy", "false")
    await is_fine()
    await someone.click("Create a room")
    await is_fine()
    await page.keyboard.press("Escape")
    for tab in ("members", "messages", "events", "lists", "settings"):
        await someone.show(f"rooms/{BIG}/{tab}")
        await expect(page.get_by_role("tabpanel")).to_be_visible()
        await is_fine()
    client = await member(stage, f"guest {scheme}", BIG)
    await someone.show(f"users/guest {scheme}")
    await expect(page.get_by_role("table")).to_be_visible()
    await someone.click("Ban")
    await is_fine()
    await page.keyboard.press("Escape")
    await client.disconnect()
    await someone.show("rooms/nowhere")
    await someone.is_told("No such room")
    await is_fine()


async def test_the_order_of_the_focus(operators: Operators) -> None:
    someone = await (await operators()).sign_in(at="#/rooms")
    page, grid = someone.page, someone.grid("Rooms")
    await expect(grid).to_have_attribute("aria-busy", "false")
    await page.get_by_role("link", name="Overview").focus()
    focused = "(e => e.ariaLabel || e.labels?.[0]?.innerText || e.innerText)(document.activeElement)"
    names = []
    for _ in range(12):
        names.append(str(await page.evaluate(focused)).strip().split("\n")[0])
        await page.keyboard.press("Tab")
    assert names == [
        "Overview",
        "Rooms",
        "Users",
        "Colours",
        "Sign out",
        "Create a room",
        "Search rooms",
        "Refresh",
        "Name",
        "Members",
        "Messages",
        "Stored",
    ]
    # One row is a stop, with what is in it.
    await expect(grid.get_by_role("link", name="room 0", exact=True)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowRight")
    await expect(grid.locator("[aria-rowindex='3']").get_by_role("link", name="ann")).to_be_focused()
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Enter")
    # The new page is where the reader begins; its dialogs give the focus back.
    await expect(page.get_by_role("main")).to_be_focused()
    await page.get_by_role("tab", name="Members").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Messages")).to_be_focused()
    await expect(page.get_by_role("tab", name="Messages")).to_have_attribute("aria-selected", "true")
    await page.get_by_role("button", name="Delete").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Type the name of the room")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Delete")).to_be_focused()


async def test_the_colours_are_chosen_and_remembered(operators: Operators) -> None:
    someone = await (await operators(color_scheme="light")).sign_in()
    page = someone.page
    background = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(background)
    await page.get_by_label("Colours").select_option("Dark")
    assert await page.evaluate(background) != light
    await page.reload()
    await expect(page.get_by_label("Colours")).to_have_value("dark")
    assert await page.evaluate(background) != light
