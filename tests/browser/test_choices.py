"""What users choose in the web chat: favourites, and the menu and keys that lead to them."""

from playwright.async_api import expect

from tests.browser.axe import violations
from tests.browser.conftest import MARKS, People, Unique
from tests.browser.person import Person

pytestmark = MARKS


async def choose(someone: Person, item: str) -> None:
    await someone.click("More")
    await someone.click(item, "menuitemcheckbox")


async def test_favourites_are_on_top_and_remembered(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    first, last = unique("Alpha"), unique("Zulu")
    await ann.create_room(first)
    await ann.create_room(last)
    await expect(ann.page.get_by_role("list", name="Favourites")).to_have_count(0)
    await choose(ann, "Favourite")
    favourites = ann.page.get_by_role("list", name="Favourites").get_by_role("button")
    await expect(favourites).to_have_text([last])
    await expect(ann.page.get_by_role("list", name="Your rooms").get_by_text(last)).to_have_count(0)
    # The keys go through the list as it is shown: the favourite comes before the first room.
    await ann.open_room(last)
    await ann.page.keyboard.press("Alt+ArrowDown")
    await expect(ann.heading(first)).to_be_visible()
    await ann.page.keyboard.press("Alt+ArrowUp")
    await expect(ann.heading(last)).to_be_visible()
    await ann.page.reload()
    await expect(favourites).to_have_text([last])
    await ann.open_room(last)
    await ann.click("More")
    chosen = ann.page.get_by_role("menuitemcheckbox", name="Favourite")
    await expect(chosen).to_have_attribute("aria-checked", "true")
    assert await violations(ann) == []
    await chosen.click()
    await expect(favourites).to_have_count(0)
    # Another user of the same browser has favourites of their own.
    await choose(ann, "Favourite")
    await expect(favourites).to_have_text([last])
    await ann.click("Your settings", exact=False)
    await ann.click("Sign out")
    await ann.login(unique("Cid"))
    await expect(favourites).to_have_count(0)


async def test_the_menu_with_the_keyboard(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    page = ann.page
    more = page.get_by_role("button", name="More")
    await expect(more).to_have_attribute("aria-haspopup", "menu")
    await more.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem", name="Search")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("menuitemcheckbox", name="Favourite")).to_be_focused()
    await page.keyboard.press("End")
    await expect(page.get_by_role("menuitem", name="Copy invite link")).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_role("menuitem", name="Search")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("menu")).to_have_count(0)
    await expect(more).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("searchbox", name="Words in a message")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog")).to_have_count(0)


async def test_the_shortcuts_are_listed_and_leave_the_text_alone(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    page = ann.page
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    # In the text field it is a question mark.
    await ann.composer.press_sequentially("Really?")
    await expect(ann.composer).to_have_value("Really?")
    await expect(keys).to_have_count(0)
    await ann.log.focus()
    await page.keyboard.press("Shift+?")
    await expect(keys).to_be_visible()
    for text in ("Find a room, a person or a message", "Search in this conversation", "Show this list"):
        await expect(keys.get_by_text(text, exact=True)).to_be_visible()
    # Behind a dialog nothing else opens.
    await page.keyboard.press("Control+k")
    await expect(page.locator("dialog")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(keys).to_have_count(0)
    await expect(ann.log).to_be_focused()
    # From the settings, too.
    await ann.click("Your settings", exact=False)
    await ann.click("Keyboard shortcuts")
    await expect(keys).to_be_visible()


async def test_the_keys_lead_to_unread_conversations(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    bob = await (await person(unique("Bob"))).login()
    rooms = [unique("A"), unique("B"), unique("C")]
    for room in rooms:
        await ann.create_room(room)
        await bob.open_room(room)
    await ann.open_room(rooms[0])
    await bob.say("unread")
    await expect(ann.row(rooms[2]).locator(".badge")).to_be_visible()
    await ann.page.keyboard.press("Alt+Shift+ArrowDown")
    await expect(ann.heading(rooms[2])).to_be_visible()
