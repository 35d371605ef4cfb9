"""Writing: drafts, undelivered messages, long texts, files, links, right-to-left text."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.async_api import expect

from chat_service import ChatServiceError, CommandCall
from chat_service.demo import Demo
from chat_service.testing import wait_until
from tests.browser.conftest import MARKS, Demos, People, Unique
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


#: Stores in the page what an earlier one has left unsent: ``[user, room, messages]``.
LEAVE_UNSENT = """
([user, room, outgoing]) => {
  const unsent = JSON.stringify({ draft: "", outgoing });
  addEventListener("pagehide", () => sessionStorage.setItem(`chat:unsent:${user}:room:${room}`, unsent));
}
"""


class Gate:
    """Keeps a command from running as long as it is shut. It is refused if its connection is lost by then."""

    def __init__(self, demo: Demo, command: str) -> None:
        self.waiting = 0
        self.is_shut = False
        self._opened = asyncio.Event()
        demo.service.before(command)(self._wait)

    async def _wait(self, call: CommandCall) -> None:
        if self.is_shut:
            self.waiting += 1
            await self._opened.wait()
            if call.service.transport.get_socket(call.id) is None:
                raise ChatServiceError("notAllowed")

    @contextmanager
    def shut(self) -> Iterator[None]:
        self.is_shut = True
        try:
            yield
        finally:
            self.is_shut = False
            self._opened.set()


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
    await ann.is_told(f"Nobody named {peer} has been here.")
    await ann.page.reload()
    await ann.open_room(peer)
    await ann.is_told(f"Nobody named {peer} has been here.")
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


async def test_an_equal_text_does_not_stand_for_a_message_that_can_be_sent_again(
    person: People, unique: Unique
) -> None:
    """The equal text may come from another device of the same person."""
    ann = await (await person(unique("Ann"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    await ann.say("ok")
    await ann.sees("ok")
    await expect(ann.log.locator(".sending")).to_have_count(0)
    # As a page leaves it that was closed before it could send its own "ok".
    never_sent = {"text": "ok", "timestamp": int(time.time() * 1000), "after": 0, "sendKey": "never sent"}
    await ann.page.evaluate(LEAVE_UNSENT, [ann.name, room, [never_sent]])
    await ann.page.reload()
    await ann.open_room(room)
    await ann.say("end")
    await ann.sees("end")
    await expect(ann.log.locator(".failed, .waiting")).to_have_count(0)
    await expect(ann.log.locator(".bubble > p")).to_have_text(["ok", "ok", "end"])


async def test_an_equal_text_does_not_stand_for_a_message_without_an_answer(
    person: People, demos: Demos, unique: Unique
) -> None:
    """Both devices say the same while the first one waits for its answer."""
    demo = await demos()
    name = unique("Ann")
    ann = await (await person(name, at=demo)).login()
    await ann.say("hello")
    await ann.sees("hello")
    await expect(ann.log.locator(".sending")).to_have_count(0)
    gate = Gate(demo, "roomMessage")
    with gate.shut():
        await ann.say("ok")
        await expect(ann.log.get_by_text("Sending…")).to_be_visible()
        await wait_until(lambda: gate.waiting == 1, "the message has come in")
        gate.is_shut = False
        other = await (await person(name, at=demo)).login()
        await other.say("ok")
        await other.sees("ok")
        await expect(ann.log.locator(".bubble > p")).to_have_text(["hello", "ok"])
        await ann.page.reload()
    await expect(ann.log.locator(".bubble > p")).to_have_text(["hello", "ok", "ok"])
    await expect(ann.log.locator(".failed, .waiting")).to_have_count(0)
    await expect(other.log.locator(".bubble > p")).to_have_text(["hello", "ok", "ok"])


async def test_a_message_written_during_the_join_does_not_overtake_unsent_ones(
    person: People, demos: Demos, unique: Unique
) -> None:
    demo = await demos()
    ann = await (await person(unique("Ann"), at=demo)).login()
    gate = Gate(demo, "roomJoin")
    never_sent = [{"text": text, "timestamp": 1, "after": 0, "sentAt": None} for text in ("1", "2")]
    outgoing = [{**message, "sendKey": message["text"]} for message in never_sent]
    await ann.page.evaluate(LEAVE_UNSENT, [ann.name, "default", outgoing])
    with gate.shut():
        await ann.page.reload()
        await wait_until(lambda: gate.waiting == 1, "the join waits")
        await ann.open_room("default")
        await ann.say("3")
        await expect(ann.log.get_by_text("Sending…")).to_have_count(3)
    await expect(ann.log.locator(".failed, .waiting")).to_have_count(0)
    await expect(ann.log.locator(".bubble > p")).to_have_text(["1", "2", "3"])


async def test_a_message_is_not_sent_again_when_its_key_may_be_forgotten(
    person: People, demos: Demos, unique: Unique
) -> None:
    """The time of the first try counts, however often the page was loaded since."""
    demo = await demos()
    ann = await (await person(unique("Ann"), at=demo)).login()
    gate = Gate(demo, "roomMessage")
    now = int(time.time() * 1000)
    old = {"text": "old", "timestamp": now, "after": 0, "sendKey": "old", "sentAt": now - 250_000}
    young = {"text": "young", "timestamp": now, "after": 0, "sendKey": "young", "sentAt": now - 100_000}
    await ann.page.evaluate(LEAVE_UNSENT, [ann.name, "default", [old, young]])
    key = f"chat:unsent:{ann.name}:room:default"
    with gate.shut():
        for tries in (1, 2):
            await ann.page.reload()
            await ann.is_told("The page was closed before this was confirmed.")
            await wait_until(lambda: gate.waiting == tries, "it is sent again")  # noqa: B023
            kept = json.loads(await ann.page.evaluate("key => sessionStorage[key]", key))["outgoing"]
            assert {each["text"]: each["sentAt"] for each in kept} == {
                "old": old["sentAt"],
                "young": young["sentAt"],
            }
    await ann.click("Send again")
    await ann.sees("old")
    await expect(ann.log.locator(".failed, .waiting")).to_have_count(0)


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
    message = {"timestamp": int(time.time() * 1000), "after": 0}
    outgoing = [{**message, "text": text} for text in ("one", "two")]
    await ann.page.evaluate(LEAVE_UNSENT, [ann.name, room, outgoing])
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
    await expect(ann.page.locator(".excess[id]")).to_be_empty()
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
    person: People, demos: Demos, unique: Unique, tmp_path: Path, is_in: bool
) -> None:
    """Where files cannot be shared; see test_files.py."""
    ann = await person(unique("Ann"), at=await demos(uploads=False))
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


async def test_pasted_files_are_refused_and_text_is_pasted(
    person: People, demos: Demos, unique: Unique
) -> None:
    ann = await (await person(unique("Ann"), at=await demos(uploads=False))).login()
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
        shown = text.strip("*")  # Markdown: it is bold
        link = ann.log.locator(".bubble > p").filter(has_text=shown).last.get_by_role("link")
        assert await link.evaluate("link => link.href") == address, text
    # The texts are what was written, but for signs of Markdown.
    await expect(ann.log.locator(".bubble > p")).to_have_text([text.strip("*") for text in cases])
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
