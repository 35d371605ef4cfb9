"""Writing: drafts, messages that did not arrive, long texts, files, links, text from right to left."""

import base64
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.conftest import MARKS, People, Unique
from tests.browser.person import Person

pytestmark = MARKS

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

#: Pastes a file, a text, or both where the focus is. Returns whether the page kept the browser from it.
PASTE = """
([name, type, text]) => {
  const data = new DataTransfer();
  if (name) data.items.add(new File(["x"], name, { type }));
  if (text) data.setData("text/plain", text);
  const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
  return !document.activeElement.dispatchEvent(event);
}
"""

REFUSAL = "Pictures and other files cannot be shared here, only text."


# Drafts and messages that did not arrive


async def test_drafts_survive_a_reload(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await ann.composer.fill("half a thought\nand more")
    await ann.open_room("default")
    await ann.composer.fill("another")
    await ann.click("New direct message")
    await ann.page.get_by_label("To", exact=True).fill("nobody")
    await ann.click("Open")
    await ann.composer.fill("to nobody")
    await ann.page.reload()
    await ann.open_room(room)
    await expect(ann.composer).to_have_value("half a thought\nand more")
    await ann.open_room("default")
    await expect(ann.composer).to_have_value("another")
    await ann.say("sent")
    await ann.sees("sent")
    await ann.page.reload()
    await ann.open_room("default")
    await expect(ann.composer).to_have_value("")
    await ann.click("New direct message")
    await ann.page.get_by_label("To", exact=True).fill("nobody")
    await ann.click("Open")
    await expect(ann.composer).to_have_value("to nobody")
    # The next person at this tab sees none of it.
    await ann.click("Your settings", exact=False)
    await ann.click("Sign out")
    assert "half a thought" not in await ann.page.evaluate("JSON.stringify(sessionStorage)")


async def test_direct_messages_that_failed_survive_a_reload(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    peer = unique("Bob")
    await ann.click("New direct message")
    await ann.page.get_by_label("To", exact=True).fill(peer)
    await ann.click("Open")
    await ann.say("are you there?")
    await ann.is_told(f"{peer} is not here right now")
    await ann.page.reload()
    await ann.open_room(peer)
    await ann.is_told(f"{peer} is not here right now")
    assert await ann.texts() == ["are you there?"]
    bob = await (await person(peer)).login()
    await ann.click("Send again")
    await bob.open_room(ann.name)
    await bob.sees("are you there?")
    await expect(ann.log.get_by_role("alert")).to_have_count(0)
    await ann.page.reload()
    await ann.open_room(peer)
    assert await ann.texts() == ["are you there?"]
    await expect(ann.log.get_by_role("alert")).to_have_count(0)


async def test_messages_that_wait_for_the_connection_survive_a_reload(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await ann.say("stored")
    await expect(ann.log.locator(".sending")).to_have_count(0)
    await ann.go_offline()
    await ann.is_told("You are offline.")
    await ann.say("never sent")
    await expect(ann.log.get_by_text("Sending…")).to_be_visible()
    # The page itself cannot be loaded without the network: another one in the same tab, then back.
    await ann.page.goto("about:blank")
    await ann.go_online()
    await ann.open()
    await ann.open_room(room)
    # Sent again by itself, under the same key.
    await ann.sees("never sent")
    await expect(ann.log.locator(".failed, .waiting")).to_have_count(0)
    assert await ann.texts() == ["stored", "never sent"]


async def test_an_old_message_that_arrived_without_an_answer_is_not_shown_twice(
    person: People, unique: Unique
) -> None:
    """The server has forgotten its key."""
    ann = await (await person(unique("Ann"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await ann.say("one")
    await ann.sees("one")
    await expect(ann.log.locator(".sending")).to_have_count(0)
    # As a page leaves it that was closed between the message and its answer; "two" was lost on the way.
    await ann.page.evaluate(
        """([user, room]) => {
          const message = { timestamp: Date.now(), after: 0 };
          const outgoing = [{ ...message, text: "one" }, { ...message, text: "two" }];
          const key = `chat:unsent:${user}:room:${room}`;
          const unsent = JSON.stringify({ draft: "", outgoing });
          addEventListener("pagehide", () => sessionStorage.setItem(key, unsent));
        }""",
        [ann.name, room],
    )
    await ann.page.reload()
    await ann.open_room(room)
    await ann.is_told("The page was closed before this was confirmed.")
    await expect(ann.log.locator(".bubble > p")).to_have_text(["one", "two"])
    await ann.click("Discard")
    await expect(ann.log.locator(".bubble > p")).to_have_text(["one"])
    await ann.page.reload()
    await ann.open_room(room)
    await expect(ann.log.locator(".bubble > p")).to_have_text(["one"])


# Long texts


async def test_a_long_text_is_not_cut(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    text = "👋" + "x" * 4119
    await ann.composer.focus()
    await ann.page.keyboard.insert_text(text)
    await ann.is_told("120 characters too many: a message has up to 4,000.")
    await ann.composer.press("Enter")
    await expect(ann.page.get_by_role("button", name="Send")).to_be_disabled()
    await expect(ann.composer).to_have_value(text)
    assert await ann.texts() == []
    for _ in range(119):
        await ann.composer.press("Backspace")
    await ann.is_told("1 character too many")
    await ann.composer.press("Backspace")
    await expect(ann.page.locator(".excess")).to_be_empty()
    await ann.composer.press("Enter")
    await ann.sees("👋")
    await expect(ann.log.locator(".sending")).to_have_count(0)
    assert await ann.texts() == ["👋" + "x" * 3999]


async def test_long_names_are_not_cut(person: People, unique: Unique) -> None:
    ann = await person(unique("Ann"))
    await ann.page.get_by_label("Your name").fill("n" * 35)
    await ann.is_told("3 characters too many: a name has up to 32.")
    await ann.click("Enter")
    await expect(ann.page.get_by_label("Your name")).to_have_value("n" * 35)
    await ann.login()
    await ann.click("Create a room")
    await ann.page.get_by_label("Name of the room").fill("r" * 41)
    await ann.is_told("1 character too many: a name has up to 40.")
    await ann.click("Create")
    await expect(ann.page.get_by_label("Name of the room")).to_have_value("r" * 41)
    await ann.page.keyboard.press("Escape")
    await ann.click("New direct message")
    await ann.page.get_by_label("To", exact=True).fill("p" * 33)
    await ann.is_told("1 character too many")
    await ann.click("Open")
    await expect(ann.page.get_by_role("dialog")).to_be_visible()


# Files


async def drop(
    someone: Person, x: float, y: float, *, path: str | None = None, text: str | None = None
) -> None:
    """Let go of a file, or of an address, as dragged in from elsewhere."""
    session = await someone.page.context.new_cdp_session(someone.page)
    items = [{"mimeType": kind, "data": text} for kind in ("text/plain", "text/uri-list") if text]
    data = {"items": items, "files": [path] if path else [], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        await session.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})
    await session.detach()


@pytest.mark.parametrize("is_in", [False, True])
async def test_a_dropped_file_does_not_replace_the_page(
    person: People, unique: Unique, tmp_path: Path, is_in: bool
) -> None:
    ann = await person(unique("Ann"))
    if is_in:
        await ann.login()
        await ann.composer.fill("draft")
    image = tmp_path / "picture.png"
    image.write_bytes(PIXEL)
    target = ann.composer if is_in else ann.page.get_by_label("Your name")
    for place in (target, ann.page.locator("main")):
        box = await place.bounding_box()
        assert box is not None
        await drop(ann, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, path=str(image))
        await ann.is_told(REFUSAL)
        await ann.page.get_by_role("button", name="Dismiss").first.click()
        await expect(ann.page.get_by_text(REFUSAL)).to_have_count(0)
        assert ann.page.url == ann.address
    if is_in:
        await expect(ann.composer).to_have_value("draft")


async def test_a_file_dropped_on_a_dialog(person: People, unique: Unique, tmp_path: Path) -> None:
    ann = await (await person(unique("Ann"))).login()
    image = tmp_path / "picture.png"
    image.write_bytes(PIXEL)
    await ann.click("Room settings")
    box = await ann.page.get_by_role("dialog").bounding_box()
    assert box is not None
    await drop(ann, box["x"] + 40, box["y"] + 100, path=str(image))
    # In the dialog, as nothing else can be seen and used now.
    await expect(ann.page.get_by_role("dialog").get_by_role("alert")).to_have_text(REFUSAL)
    await ann.click("Dismiss")
    assert ann.page.url == ann.address


async def test_an_address_that_is_dropped_is_text_and_does_not_replace_the_page(
    person: People, unique: Unique
) -> None:
    ann = await (await person(unique("Ann"))).login()
    address = ann.address + "?elsewhere"
    for place in (ann.log, ann.composer):
        box = await place.bounding_box()
        assert box is not None
        await drop(ann, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, text=address)
    await expect(ann.composer).to_have_value(address)
    assert ann.page.url == ann.address
    await expect(ann.page.locator(".toast")).to_have_count(0)


async def test_pasted_files_are_refused_and_text_is_pasted(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    await ann.composer.focus()
    assert await ann.page.evaluate(PASTE, ["picture.png", "image/png", None]) is True
    await ann.is_told(REFUSAL)
    # Text goes its usual way, also with the picture that office programs add.
    assert await ann.page.evaluate(PASTE, [None, None, "text"]) is False
    assert await ann.page.evaluate(PASTE, ["clip.png", "image/png", "text"]) is False


# Links


async def test_links(person: People, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    await ann.create_room(unique("Tea"))
    cases = {
        "https://en.wikipedia.org/wiki/Chat_(disambiguation)": "https://en.wikipedia.org/wiki/Chat_(disambiguation)",
        "(see https://example.org/a)": "https://example.org/a",
        "(https://example.org/a_(b))": "https://example.org/a_(b)",
        "www.example.org, too": "https://www.example.org/",
        "(www.example.org).": "https://www.example.org/",
        "https://example.org/?q=a,b;c&d=(e)!": "https://example.org/?q=a,b;c&d=(e)",
        "https://example.org/path/?": "https://example.org/path/",
        "“https://example.org/x”…": "https://example.org/x",
        "HTTP://EXAMPLE.ORG/A": "http://example.org/A",
        "http://localhost:8000/x#y.": "http://localhost:8000/x#y",
        "**https://example.org/b**": "https://example.org/b",
        "שלום https://example.org/c.": "https://example.org/c",
    }
    for text, address in cases.items():
        await ann.say(text)
        link = ann.log.locator(".bubble > p").filter(has_text=text).last.get_by_role("link")
        assert await link.evaluate("link => link.href") == address, text
    # The texts are what was written.
    await expect(ann.log.locator(".bubble > p")).to_have_text(list(cases))
    for text in ("setup.py example.com", "javascript:alert(1)", "www.", "https://", "a@example.org"):
        await ann.say(text)
        await ann.sees(text)
    await expect(ann.log.get_by_role("link")).to_have_count(len(cases))


# Right to left


async def punctuation_is_left(someone: Person, selector: str, text: str) -> bool:
    """Whether the last character of a text stands left of its first one."""
    found: bool = await someone.page.evaluate(
        """([selector, text]) => {
          for (const element of document.querySelectorAll(selector)) {
            const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
            for (let node = walker.nextNode(); node; node = walker.nextNode()) {
              const start = node.data.indexOf(text);
              if (start < 0) continue;
              const left = (offset) => {
                const range = document.createRange();
                range.setStart(node, offset);
                range.setEnd(node, offset + 1);
                return range.getBoundingClientRect().left;
              };
              return left(start + text.length - 1) < left(start);
            }
          }
          throw new Error(`${text} is not in ${selector}`);
        }""",
        [selector, text],
    )
    return found


async def test_right_to_left(person: People, unique: Unique) -> None:
    name, room, text = f"שרה {unique('')} כהן!", f"חדר {unique('')} תה?", "שלום לכולם!"
    ann = await (await person(unique("Ann"))).login()
    sara = await (await person(name)).login()
    await ann.create_room(room)
    await sara.open_room(room)
    await sara.composer.fill(text)
    assert await sara.composer.evaluate("area => getComputedStyle(area).direction") == "rtl"
    await sara.composer.press("Enter")
    for someone in (ann, sara):
        await someone.sees(text)
        assert await punctuation_is_left(someone, ".bubble > p", text)
        for selector in ("main h1", ".beginning", ".sidebar .row .name"):
            assert await punctuation_is_left(someone, selector, room), selector
        assert await punctuation_is_left(someone, ".people .name", name)
    assert await punctuation_is_left(sara, ".sidebar .me strong", name)
    assert await punctuation_is_left(ann, ".bubble .author", name)
    assert await punctuation_is_left(ann, ".note", name)
    # The bubble, too: lines begin on the right, and the time stands on the left.
    bubble, time = (ann.log.locator(selector) for selector in (".bubble", ".bubble time"))
    outer, inner = await bubble.last.bounding_box(), await time.last.bounding_box()
    assert outer and inner and inner["x"] - outer["x"] < outer["width"] / 2
    words = await ann.log.locator(".bubble > p").last.bounding_box()
    assert words and words["x"] - (inner["x"] + inner["width"]) > 8
    # Each line has its own direction.
    await ann.say("שלום!\nand English, too!\nתודה!")
    await sara.sees("and English, too!")
    assert not await punctuation_is_left(sara, ".bubble > p", "and English, too!")
    assert await punctuation_is_left(sara, ".bubble > p", "תודה!")
    # What is left to right stays so, in the same conversation and the same page.
    await ann.say("hello, everybody!")
    await sara.sees("hello, everybody!")
    assert not await punctuation_is_left(sara, ".bubble > p", "hello, everybody!")
    # Dialogs, lists of names, fields, and what is told.
    await ann.click("Room settings")
    assert await punctuation_is_left(ann, "dialog h2", room)
    field = ann.page.get_by_label("Block: name")
    await field.fill(name)
    assert await field.evaluate("field => getComputedStyle(field).direction") == "rtl"
    await ann.page.get_by_label("Invite: name").fill(name)
    await ann.click("Invite")
    await expect(ann.page.get_by_label("Invited people").get_by_role("listitem")).to_have_text(name)
    assert await punctuation_is_left(ann, ".chips li", name)
    await ann.click("Close")
    await ann.click(f"Remove {name}")
    assert await punctuation_is_left(ann, "dialog h2", name)
    await ann.click("Remove from room")
    await expect(ann.page.locator(".toast")).to_be_visible()
    assert await punctuation_is_left(ann, ".toast", name)
    await expect(sara.page.locator(".closed")).to_be_visible()
    assert await punctuation_is_left(sara, ".closed p", room)
