"""Create the pictures of the web chat in docs/images: .venv/bin/python tools/screenshots.py [DIRECTORY]

`make setup` installs its requirements: Pillow, Playwright and a browser.
"""

import asyncio
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image, ImageDraw
from playwright.async_api import Browser, Page, async_playwright

from chat_service.cli.assembly import build_service
from chat_service.cli.settings import Settings
from chat_service.demo import Demo
from chat_service.web_login import PasswordFile
from tests.browser.conftest import CHROMIUM, FLAGS

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
ROOM = "Harbour Café"
#: The colour that is saved as transparent.
NOTHING = (255, 0, 255)
#: The conversation, before and after a break.
TALK = (
    ("Priya", "Morning! The new espresso machine is here."),
    ("Priya", "It only took them three weeks."),
    ("Tomás", "Finally. Who knows how to set it up?"),
    ("Ines", "I do. Give me ten minutes and a screwdriver."),
    ("Ada", "I can open the side door for you, the front one sticks again."),
    ("Ines", "Perfect, I am on my way."),
    ("Tomás", "The manual is here, if anybody likes reading: https://example.org/manual"),
    ("Jonas", "Put me down for the first cup."),
    ("Ada", "You always are. Tasting at eleven, everybody?"),
    ("Priya", "Yes!"),
)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
OTHERS = ("Announcements", "Deliveries", "Garden", "Night shift")


class Stage:
    """The people in the pictures, with a page for each."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address

    async def person(self, name: str, *, width: int = 1180, height: int = 740, scheme: str = "light") -> Page:
        context = await self._browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=1.5,
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


def save(image: Image.Image, path: Path) -> None:
    """Write a picture with a palette: a third of the size without a visible difference."""
    small = image.quantize(256, kmeans=8, dither=Image.Dither.NONE)
    palette = small.getpalette() or []
    colours = [tuple(palette[place : place + 3]) for place in range(0, len(palette), 3)]
    clear: dict[str, Any] = {"transparency": colours.index(NOTHING)} if NOTHING in colours else {}
    small.save(path, optimize=True, **clear)
    print(f"{path.name}: {path.stat().st_size // 1024} KiB")


async def react(page: Page, text: str, emoji: str) -> None:
    """React to the message with a text."""
    message = page.get_by_role("log").locator("li").filter(has_text=text)
    await message.locator(".bubble").hover()
    await message.get_by_role("button", name=f"React with {emoji}").click()
    await message.get_by_role("group", name="Reactions").wait_for()
    await page.mouse.move(0, 0)


async def shoot(page: Page) -> Image.Image:
    return Image.open(io.BytesIO(await page.screenshot())).convert("RGB")


def side_by_side(images: Sequence[Image.Image], gap: int = 48, radius: int = 36) -> Image.Image:
    """Phones in a row on a transparent background."""
    width, height = images[0].size
    row = Image.new("RGB", (len(images) * (width + gap) - gap, height), NOTHING)
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, width - 1, height - 1), radius, fill=255)
    for position, image in enumerate(images):
        ImageDraw.Draw(image).rounded_rectangle(
            (0, 0, width - 1, height - 1), radius, outline="#8a90a0", width=2
        )
        row.paste(image, (position * (width + gap), 0), mask)
    return row


async def scene(demo: Demo, stage: Stage, directory: Path) -> None:
    service = demo.service
    await service.add_room(ROOM, owner="Ada", adminlist=["Priya"])
    for name in OTHERS:
        await service.add_room(name, owner="Priya", whitelist_only=name == "Night shift", whitelist=["Tomás"])
    ada = await stage.person("Ada")
    people = {name: await stage.person(name) for name in ("Priya", "Tomás", "Ines", "Jonas")}
    phone = await stage.person("Ada", width=390, height=780)
    priya_too = await stage.person("Priya", width=390, height=780)
    for page in (ada, *people.values()):
        await open_row(page, ROOM)
    for page in (phone, priya_too):
        await open_row(page, ROOM)
    await phone.get_by_role("button", name="All conversations").click()
    await open_row(phone, "Deliveries")
    await phone.get_by_role("button", name="All conversations").click()
    await open_row(phone, ROOM)
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
    for name in ("Jonas", "Ines"):
        await react(people[name], "Tasting at eleven", "👍")
    await react(people["Tomás"], "Put me down", "😂")
    await people["Tomás"].get_by_role("button", name="Message Ada").click()
    await say(people["Tomás"], "Could you bring the blue mugs?")
    await ada.locator(".row.has-unread").nth(1).wait_for()
    await ada.get_by_text("Yes!", exact=True).wait_for()
    save(await shoot(ada), directory / "chat-light.png")
    await in_the_dark(ada, directory)
    await on_phones(stage, phone, directory)


async def in_the_dark(ada: Page, directory: Path) -> None:
    """Offline, with a pending message."""
    await ada.emulate_media(color_scheme="dark")
    await ada.context.set_offline(True)
    await ada.locator(".connection-bar").wait_for()
    await say(ada, "I bring the good biscuits.")
    await ada.get_by_text("Sending…").wait_for()
    save(await shoot(ada), directory / "chat-dark.png")
    await ada.context.set_offline(False)


async def on_phones(stage: Stage, phone: Page, directory: Path) -> None:
    """The conversations, a conversation, and its settings in dark mode."""
    await phone.get_by_text("I bring the good biscuits.").wait_for()
    await phone.mouse.move(0, 0)
    talk = await shoot(phone)
    await phone.get_by_role("button", name="Room settings").click()
    await phone.get_by_label("Invite: name").fill("Yusuf")
    await phone.get_by_role("button", name="Invite", exact=True).click()
    await phone.get_by_text("Yusuf", exact=True).wait_for()
    await phone.get_by_label("Block: name").fill("Spam bot")
    await phone.get_by_role("button", name="Block", exact=True).click()
    await phone.get_by_text("Spam bot", exact=True).wait_for()
    await phone.emulate_media(color_scheme="dark")
    await phone.evaluate("document.activeElement.blur()")
    settings = await shoot(phone)
    await phone.emulate_media(color_scheme="light")
    await phone.keyboard.press("Escape")
    await phone.get_by_role("button", name="All conversations").click()
    save(side_by_side([await shoot(phone), talk, settings]), directory / "chat-phone.png")


async def at_the_door(browser: Browser, directory: Path) -> None:
    """The login by password, and in dark mode a refused one."""
    with TemporaryDirectory() as folder:
        users, config = Path(folder) / "users.txt", Path(folder) / "chat.toml"
        PasswordFile(users).set_password("Priya", "correct horse battery")
        config.write_text(f'[login]\ntype = "password"\nusers_file = "{users}"\n')
        async with build_service(Settings.read(str(config), {}).overridden(port=0)) as service:
            pictures = []
            for scheme in SCHEMES:
                context = await browser.new_context(
                    viewport={"width": 560, "height": 560}, device_scale_factor=1.5, color_scheme=scheme
                )
                page = await context.new_page()
                await page.goto(f"http://127.0.0.1:{service.port}/")
                await page.get_by_label("Name").fill("Priya")
                await page.get_by_label("Password").fill("correct horse")
                if scheme == "dark":
                    await page.get_by_role("button", name="Log in").click()
                    await page.get_by_text("is wrong").wait_for()
                pictures.append(await shoot(page))
                await context.close()
            save(side_by_side(pictures), directory / "chat-login.png")


async def main(directory: Path) -> None:
    async with Demo("127.0.0.1", 0) as demo, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        await scene(demo, Stage(browser, f"http://127.0.0.1:{demo.port}/"), directory)
        await at_the_door(browser, directory)
        await browser.close()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
