"""Sharing files and images in a room: attaching, pasting, dropping, progress, errors, and how they look."""

import asyncio
import base64
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Route, expect

from chat_service import ChatServiceError
from chat_service.demo import Demo
from chat_service.testing import wait_until
from tests.browser.conftest import MARKS, Demos, People, Unique
from tests.browser.person import Person
from tests.browser.test_writing import drop
from tests.uploads.sharing import SVG, picture

pytestmark = MARKS

#: Pastes an image, given in base64, where the focus is.
PASTE = """
([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/png" }));
  document.activeElement.dispatchEvent(
    new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }),
  );
}
"""


def of_kind(name: str, content: bytes, kind: str) -> Any:
    return {"name": name, "mimeType": kind, "buffer": content}


def chooser(person: Person) -> Locator:
    return person.page.locator(".composer input[type=file]")


def pending(person: Person) -> Locator:
    return person.page.get_by_role("list", name="Files of the next message").get_by_role("listitem")


def files(person: Person) -> Locator:
    return person.log.get_by_role("list", name="Files").get_by_role("listitem")


async def together(person: People, unique: Unique, **options: Any) -> tuple[Person, Person]:
    ann, ben = [await (await person(unique(name), **options)).login() for name in ("Ann", "Ben")]
    room = unique("Tea")
    await ann.create_room(room)
    await ben.open_room(room)
    await expect(ann.page.get_by_role("button", name="Attach files")).to_be_visible()
    return ann, ben


async def test_an_image_is_shared(person: People, unique: Unique) -> None:
    ann, ben = await together(person, unique)
    await chooser(ann).set_input_files(of_kind("cup.png", picture(800, 400), "image/png"))
    await expect(pending(ann)).to_contain_text("cup.png")
    await ann.composer.fill("our cup")
    await ann.click("Send")
    await expect(pending(ann)).to_have_count(0)
    for each in (ann, ben):
        image = each.message("our cup").get_by_role("img", name="cup.png")
        await expect(image).to_be_visible()
        await each.page.wait_for_function("(image) => image.complete", arg=await image.element_handle())
        # The address in the text is for clients that show no images.
        await expect(each.message("our cup").locator(".markdown, .bubble > p")).to_have_text("our cup")
        box = await image.bounding_box()
        assert box is not None and (round(box["width"]), round(box["height"])) == (320, 160)
    link = ben.message("our cup").get_by_role("link")
    assert re.search(r"^/uploads/[\w-]{32}/cup\.png$", str(await link.get_attribute("href")))
    assert (await link.get_attribute("target"), await link.get_attribute("rel")) == (
        "_blank",
        "noopener noreferrer",
    )
    # After a reload, too, and without any text.
    room = str(await ben.page.get_by_role("main").get_attribute("aria-label"))
    await ben.page.reload()
    await ben.open_room(room)
    await expect(ben.message("our cup").get_by_role("img", name="cup.png")).to_be_visible()
    await chooser(ben).set_input_files(of_kind("pot.gif", picture(20, 20, "GIF"), "image/gif"))
    await expect(pending(ben)).to_have_class(re.compile("done"))
    await ben.composer.press("Enter")
    await expect(ann.log.get_by_role("img", name="pot.gif")).to_be_visible()


async def test_an_image_has_its_size_before_it_is_loaded(person: People, unique: Unique) -> None:
    """So nothing below it moves when it arrives."""
    ann, ben = await together(person, unique)
    waiting: list[Route] = []

    async def hold(route: Route) -> None:
        waiting.append(route)

    await ben.page.route("**/uploads/**", hold)
    await chooser(ann).set_input_files(of_kind("tall.png", picture(280, 560), "image/png"))
    await expect(pending(ann)).to_have_class(re.compile("done"))
    await ann.composer.press("Enter")
    await ann.say("below")
    below = ben.message("below")
    await expect(below).to_be_visible()
    await wait_until(lambda: len(waiting) > 0, "the image is asked for")
    image = ben.log.get_by_role("img", name="tall.png")
    box, before = await image.bounding_box(), await below.bounding_box()
    assert box is not None and (round(box["width"]), round(box["height"])) == (140, 280)
    await asyncio.gather(*(route.continue_() for route in waiting))
    await ben.page.wait_for_function("(image) => image.naturalWidth > 0", arg=await image.element_handle())
    assert await below.bounding_box() == before


async def test_other_files_are_cards(person: People, unique: Unique) -> None:
    ann, ben = await together(person, unique)
    pdf = b"%PDF-1.4\n" + b"x" * 1500
    await chooser(ann).set_input_files(
        [of_kind("menu.pdf", pdf, "application/pdf"), of_kind("notes.txt", b"hot water", "text/plain")]
    )
    await expect(pending(ann).filter(has_text="1.5 KB")).to_have_count(1)
    await expect(pending(ann).filter(has_text="9 bytes")).to_have_count(1)
    await ann.composer.press("Enter")
    await expect(files(ben)).to_have_count(2)
    await expect(files(ben).first).to_contain_text("menu.pdf")
    async with ben.page.expect_download() as downloading:
        await files(ben).first.get_by_role("link").click()
    download = await downloading.value
    assert download.suggested_filename == "menu.pdf"
    assert Path(await download.path()).read_bytes() == pdf


async def test_files_are_dropped_and_pasted(person: People, unique: Unique, tmp_path: Path) -> None:
    ann, ben = await together(person, unique)
    path = tmp_path / "dropped.png"
    path.write_bytes(picture())
    box = await ann.log.bounding_box()
    assert box is not None
    session = await ann.page.context.new_cdp_session(ann.page)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    at = {"x": box["x"] + 50, "y": box["y"] + 50, "data": data}
    hint = ann.page.get_by_text("Drop files here to share them")
    await session.send("Input.dispatchDragEvent", {"type": "dragEnter", **at})
    await expect(hint).to_be_visible()
    # Leaving the window: its driver does not tell the page.
    await ann.page.evaluate(
        "() => document.body.dispatchEvent(new DragEvent('dragleave', { bubbles: true }))"
    )
    await expect(hint).to_have_count(0)
    await session.detach()
    await drop(ann, box["x"] + 50, box["y"] + 50, path=str(path))
    await expect(pending(ann)).to_have_count(1)
    await expect(hint).to_have_count(0)
    await ann.composer.focus()
    await ann.page.evaluate(PASTE, ["pasted.png", base64.b64encode(picture()).decode()])
    await expect(pending(ann).and_(ann.page.locator(".done"))).to_have_count(2)
    await ann.composer.press("Enter")
    await expect(files(ben)).to_have_count(2)
    assert ann.page.url.startswith(ann.address)


async def test_progress_and_cancel(person: People, demo: Demo, unique: Unique) -> None:
    ann, _ = await together(person, unique)
    held: list[Route] = []

    async def hold(route: Route) -> None:
        held.append(route)

    await ann.page.route("**/uploads", hold)
    await chooser(ann).set_input_files(
        [of_kind(f"{number}.png", picture(), "image/png") for number in range(3)]
    )
    await expect(ann.page.get_by_role("progressbar")).to_have_count(3)
    await ann.composer.fill("not yet")
    await expect(ann.page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    await ann.click("Cancel the upload of 0.png")
    await expect(pending(ann)).to_have_count(2)
    # The third one begins in its place.
    await wait_until(lambda: len(held) == 3, "the others are being uploaded")
    for route in held[1:]:
        await route.continue_()
    await expect(pending(ann).and_(ann.page.locator(".done"))).to_have_count(2)
    # A file that was removed is no longer on the server.
    assert demo.uploads is not None
    before, _ = await demo.uploads.records.totals()
    await ann.click("Remove 1.png")

    async def is_deleted() -> bool:
        assert demo.uploads is not None
        return (await demo.uploads.records.totals())[0] == before - 1

    await wait_until(is_deleted, "the file is deleted")
    await ann.click("Send")
    await expect(ann.message("not yet").get_by_role("img")).to_have_count(1)


async def test_errors_name_the_allowed_values(person: People, demos: Demos, unique: Unique) -> None:
    demo = await demos(uploads={"max_file_bytes": 50_000, "max_user_files": 1, "max_attachments": 3})
    ann, _ = await together(person, unique, at=demo)
    await chooser(ann).set_input_files(of_kind("big.png", b"x" * 50_001, "image/png"))
    await expect(ann.page.get_by_role("alert")).to_have_text(
        "This file is too large: files have up to 50 KB."
    )
    await ann.click("Remove big.png")
    await chooser(ann).set_input_files(of_kind("evil.png", SVG, "image/png"))
    await expect(ann.page.get_by_role("alert")).to_contain_text(
        "Allowed are PNG, JPEG, GIF, WEBP, AVIF, audio"
    )
    await ann.click("Remove evil.png")
    await chooser(ann).set_input_files([of_kind(f"{n}.png", picture(), "image/png") for n in range(4)])
    await expect(pending(ann)).to_have_count(3)
    await expect(ann.page.get_by_text("A message has up to 3 files.")).to_be_visible()
    await expect(ann.page.get_by_role("alert")).to_have_count(2)
    await expect(ann.page.get_by_role("alert").first).to_contain_text("You have no space left for files.")
    # What the server has refused appears in the browser's console, too.
    ann.problems[:] = [each for each in ann.problems if "Failed to load resource" not in each]


async def test_a_missing_file(person: People, demo: Demo, unique: Unique) -> None:
    ann, ben = await together(person, unique)
    await chooser(ann).set_input_files(of_kind("cup.png", picture(), "image/png"))
    await expect(pending(ann)).to_have_class(re.compile("done"))
    await ann.composer.press("Enter")
    await expect(files(ben).get_by_role("img")).to_be_visible()
    assert demo.uploads is not None
    await demo.uploads.erase_user(ann.name)
    # Browsers may still have it.
    await ben.page.context.clear_cookies()
    fresh = await person(unique("Carl"))
    await fresh.login()
    room = await ann.page.get_by_role("main").get_attribute("aria-label")
    await fresh.open_room(str(room))
    await expect(files(fresh)).to_contain_text("No longer available")
    fresh.problems[:] = [each for each in fresh.problems if "Failed to load resource" not in each]


async def test_an_edit_keeps_the_files(person: People, unique: Unique) -> None:
    ann, ben = await together(person, unique)
    await chooser(ann).set_input_files(of_kind("cup.png", picture(), "image/png"))
    await expect(pending(ann)).to_have_class(re.compile("done"))
    await ann.say("a cup")
    await expect(ben.message("a cup").get_by_role("img", name="cup.png")).to_be_visible()
    await ann.composer.press("ArrowUp")
    await ann.say("the cup")
    await expect(ben.message("the cup").get_by_role("img", name="cup.png")).to_be_visible()
    await expect(ben.message("the cup")).to_contain_text("edited")


async def test_without_uploads_there_is_no_button(person: People, demos: Demos, unique: Unique) -> None:
    ann = await (await person(unique("Ann"), at=await demos(uploads=False))).login()
    await expect(ann.composer).to_be_visible()
    await ann.say("only text")
    await expect(ann.message("only text")).to_be_visible()
    await expect(ann.page.get_by_role("button", name="Attach files")).to_have_count(0)


async def test_messages_cannot_show_foreign_images(person: People, demo: Demo, unique: Unique) -> None:
    ann = await (await person(unique("Ann"))).login()
    room = unique("Tea")
    await ann.create_room(room)
    good = {"name": "x.png", "type": "image/png", "bytes": 5}
    for url in ("https://example.org/pixel.png", "javascript:alert(1)", "data:text/html,x"):
        message = {"textMessage": "x", "attachments": [{**good, "url": url}], "author": "server"}
        with pytest.raises(ChatServiceError) as refused:
            await demo.service.exec_user_command(True, "roomMessage", room, message)
        assert refused.value.code == "badArgument"
    await ann.say("end")
    await expect(ann.message("end")).to_be_visible()
    await expect(files(ann)).to_have_count(0)
