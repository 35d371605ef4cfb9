"""Create the pictures of the console: .venv/bin/python tools/console_screenshots.py [DIRECTORY]

The service has 10,000 rooms, one of them with 5,000 members, and users who send messages.
"""

import asyncio
import contextlib
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.async_api import Browser, async_playwright, expect

from chat_service.testing import InProcessClient
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.operator import MEMBERS, ROOMS, Operator, Stage, fill, make_operator, open_stage
from tests.http_api.programs import TOKENS
from tools.screenshots import IMAGES, save, shoot, side_by_side

ROOM = "Harbour festival"
CITIES = ("Aarhus", "Bergen", "Cork", "Delft", "Esbjerg", "Faro", "Genoa", "Hull", "Izmir", "Kiel")
TOPICS = ("Arrivals", "Customs", "Deliveries", "Engine room", "Help desk", "Night shift", "Pilots", "Weather")
FIRST = ("Ada", "Bo", "Carla", "Dimitri", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kaya", "Lucía")
LAST = ("Abel", "Brandt", "Costa", "Dogan", "Eriksen", "Fischer", "Greco", "Haugen", "Ito", "Jansen", "Kaya")
#: Texts that users send in turn.
TEXTS = ("Ferry 3 is in.", "Gate B is open.", "Who has the keys?", "Two more boxes, please.", "On my way.")
#: Seconds of activity before the picture of the rates.
TALK = 16


def room_names() -> list[str]:
    """A name for each room but the large one."""
    numbers = itertools.product(range(1, 200), CITIES, TOPICS)
    return [f"{city} {topic} {number}" for number, city, topic in itertools.islice(numbers, ROOMS - 1)]


def member_names() -> list[str]:
    """A name for each member."""
    numbers = itertools.product(range(1, 100), FIRST, LAST)
    return [f"{first} {last} {number}" for number, first, last in itertools.islice(numbers, MEMBERS)]


async def talk(clients: list[InProcessClient]) -> None:
    """Send messages at a varying rate until cancelled."""
    for number in itertools.count():
        client = clients[number % len(clients)]
        await client.call("roomMessage", ROOM, {"textMessage": TEXTS[number % len(TEXTS)]})
        await asyncio.sleep(0.05 + 0.04 * (number // 40 % 3))


async def operator(browser: Browser, stage: Stage, *, phone: bool = False, scheme: str = "light") -> Operator:
    size = {"width": 390, "height": 740} if phone else {"width": 1180, "height": 740}
    someone = await make_operator(
        browser, stage.address_at(), viewport=size, device_scale_factor=1.5, color_scheme=scheme
    )
    return await someone.sign_in(TOKENS["admin"])


async def scene(browser: Browser, stage: Stage, directory: Path) -> None:
    clients = [await stage.transport.login(name) for name in ("Priya", "Tomás", "Ines")]
    for client in clients:
        await client.call("roomJoin", ROOM)
    desk = await operator(browser, stage, scheme="dark")
    talking = asyncio.create_task(talk(clients))
    await asyncio.sleep(TALK)
    save(await shoot(desk.page), directory / "console-dark.png")
    talking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await talking
    await desk.page.emulate_media(color_scheme="light")
    await desk.show(f"rooms/{ROOM}")
    await expect(desk.grid("Members")).to_have_attribute("aria-rowcount", str(MEMBERS + len(clients) + 1))
    await expect(desk.page.get_by_text("Live", exact=True)).to_be_visible()
    await desk.page.mouse.move(0, 0)
    save(await shoot(desk.page), directory / "console-light.png")
    phone = await operator(browser, stage, phone=True)
    await phone.show("rooms")
    await expect(phone.grid("Rooms")).to_have_attribute("aria-busy", "false")
    await phone.page.mouse.move(0, 0)
    pictures = [await shoot(phone.page)]
    await phone.show(f"rooms/{ROOM}/messages")
    await expect(phone.page.get_by_role("log")).to_be_visible()
    pictures.append(await shoot(phone.page))
    await phone.page.emulate_media(color_scheme="dark")
    await phone.show("users/Tomás")
    await phone.click("Ban")
    await phone.page.get_by_label("Reason").fill("Sells boats in every room")
    await phone.page.evaluate("document.activeElement.blur()")
    pictures.append(await shoot(phone.page))
    save(side_by_side(pictures), directory / "console-phone.png")


async def main(directory: Path) -> None:
    async with open_stage() as stage, async_playwright() as playwright:
        await fill(stage.service, ROOM, room_names(), member_names())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        await scene(browser, stage, directory)
        await browser.close()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    target.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(target))
