"""Make the pictures of the web chat in docs/images: python tools/screenshots.py [DIRECTORY]"""

import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from chat_service.demo import Demo
from tests.browser.conftest import FLAGS

ROOM = "Harbour Café"
#: What people say in it, before and after a break.
TALK = (
    ("Mara", "Morning! The new espresso machine is here."),
    ("Mara", "It only took them three weeks."),
    ("Tomás", "Finally. Who knows how to set it up?"),
    ("Ines", "I do. Give me ten minutes and a screwdriver."),
    ("Ada", "I can open the side door for you, the front one sticks again."),
    ("Ines", "Perfect, I am on my way."),
    ("Tomás", "The manual is here, if anybody likes reading: https://example.org/manual"),
    ("Jonas", "Put me down for the first cup."),
    ("Ada", "You always are. Tasting at eleven, everybody?"),
    ("Mara", "Yes!"),
)
OTHERS = ("Announcements", "Deliveries", "Garden", "Night shift")


class Stage:
    """The people of the pictures, each with a page of their own."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address

    async def person(self, name: str, *, width: int = 1180, height: int = 740, scheme: str = "light") -> Page:
        context = await self._browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=2 if width < 500 else 1.5,
            color_scheme="dark" if scheme == "dark" else "light",
            has_touch=width < 500,
            locale="en-GB",
            reduced_motion="reduce",
        )
        page = await context.new_page()
        await page.goto(self._address)
        await page.get_by_label("Your name").fill(name)
        await page.get_by_role("button", name="Enter").click()
        await page.locator(".talk").wait_for()
        return page


async def open_row(page: Page, name: str) -> None:
    label = page.locator(".name").get_by_text(name, exact=True)
    await page.get_by_role("navigation").get_by_role("button").filter(has=label).click()
    await page.get_by_role("main").get_by_role("heading", name=name, exact=True).wait_for()


async def say(page: Page, text: str) -> None:
    await page.locator(".composer textarea").fill(text)
    await page.keyboard.press("Enter")
    await page.locator(".own .bubble > p").get_by_text(text).first.wait_for()


def save(shot: bytes, path: Path) -> None:
    """Write a picture with a palette: a third of the size, and no difference to see."""
    path.write_bytes(shot)
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size // 1024} KiB")


async def scene(demo: Demo, stage: Stage, directory: Path) -> None:
    service = demo.service
    await service.add_room(ROOM, owner="Ada", adminlist=["Mara"])
    for name in OTHERS:
        await service.add_room(name, owner="Mara", whitelist_only=name == "Night shift", whitelist=["Tomás"])
    ada = await stage.person("Ada")
    people = {name: await stage.person(name) for name in ("Mara", "Tomás", "Ines", "Jonas")}
    phone = await stage.person("Ada", width=390, height=780)
    mara_too = await stage.person("Mara", width=390, height=780)
    for page in (ada, *people.values()):
        await open_row(page, ROOM)
    for page in (phone, mara_too):
        await page.get_by_role("button", name="All conversations").click()
        await open_row(page, ROOM)
    await open_row(ada, "Deliveries")
    await open_row(people["Jonas"], "Deliveries")
    await open_row(people["Ines"], "Garden")
    await open_row(ada, ROOM)
    await open_row(people["Ines"], ROOM)
    await say(people["Jonas"], "The oat milk comes at nine.")
    await say(people["Jonas"], "Twelve boxes, please count them.")
    await open_row(people["Jonas"], ROOM)
    people["Ada"] = ada
    for name, text in TALK:
        await say(people[name], text)
    await people["Tomás"].get_by_role("button", name="Message Ada").click()
    await say(people["Tomás"], "Could you bring the blue mugs?")
    # Nobody has just come or gone in the picture.
    await ada.locator(".row.has-unread").nth(1).wait_for()
    await ada.get_by_text("Yes!", exact=True).wait_for()
    dark = await stage.person("Ada", scheme="dark")
    await dark.close()
    save(await ada.screenshot(), directory / "chat-light.png")

    await ada.emulate_media(color_scheme="dark")
    await ada.get_by_role("button", name="Room settings").click()
    await ada.get_by_label("Invite: name").fill("Yusuf")
    await ada.get_by_role("button", name="Invite", exact=True).click()
    await ada.get_by_text("Yusuf", exact=True).wait_for()
    save(await ada.screenshot(), directory / "chat-dark.png")
    await ada.keyboard.press("Escape")
    save(await phone.screenshot(), directory / "chat-phone.png")


async def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    async with Demo("127.0.0.1", 0) as demo, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        await scene(demo, Stage(browser, f"http://127.0.0.1:{demo.port}/"), directory)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"))
