"""The login page of ``serve``: the form for each kind of login, in a real browser."""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
import pytest_asyncio
from playwright.async_api import expect

from chat_service import ChatService
from chat_service.cli.assembly import build_service
from chat_service.cli.settings import Settings
from chat_service.web_login import PasswordFile
from tests.browser.axe import violations
from tests.browser.conftest import MARKS, People
from tests.browser.person import Person

pytestmark = MARKS

PASSWORD = "correct horse battery"
KEY = "a key of thirty-two characters, or more"
ROOM = '\n[[rooms]]\nname = "default"\n'
#: What the browser itself writes when a login is refused.
REFUSED = re.compile(r"Failed to load resource: .* (401|429)")

Serve = Callable[[str], Awaitable[Any]]


@pytest_asyncio.fixture(loop_scope="session")
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Runs a service from the text of a file. They close after the pages of ``person``."""
    services: list[ChatService] = []

    async def make(text: str) -> Any:
        path = tmp_path / f"{len(services)}.toml"
        path.write_text(text + ROOM, "utf-8")
        service = build_service(Settings.read(str(path), {}).overridden(port=0))
        await service.start()
        services.append(service)
        return SimpleNamespace(port=service.port, service=service)

    yield make
    for service in services:
        await service.close()


@pytest.fixture
def users(tmp_path: Path) -> PasswordFile:
    file = PasswordFile(tmp_path / "users.txt")
    file.set_password("ann", PASSWORD)
    file.set_password("bob", PASSWORD)
    return file


def by_password(tmp_path: Path, more: str = "") -> str:
    return f'[login]\ntype = "password"\nusers_file = "{tmp_path}/users.txt"\n{more}'


def forgive(someone: Person) -> None:
    someone.problems[:] = [text for text in someone.problems if not REFUSED.search(text)]


async def log_in(someone: Person, password: str = PASSWORD) -> None:
    await someone.page.get_by_label("Name").fill(someone.name)
    await someone.page.get_by_label("Password").fill(password)
    await someone.click("Log in")


async def test_a_password(serve: Serve, person: People, users: PasswordFile, tmp_path: Path) -> None:
    site = await serve(by_password(tmp_path))
    ann, bob = await person("ann", at=site), await person("bob", at=site)
    await log_in(ann, "wrong password")
    await ann.is_told("The name or the password is wrong.")
    assert await violations(ann) == []
    forgive(ann)
    for each in (ann, bob):
        await log_in(each)
        await expect(each.heading("default")).to_be_visible()
    await ann.say("hello")
    await bob.sees("hello")
    # The session outlives a reload, and another tab of the browser has it, too.
    await ann.page.reload()
    await expect(ann.heading("default")).to_be_visible()
    tab = Person("ann", await ann.page.context.new_page(), ann.address)
    await tab.open()
    await expect(tab.heading("default")).to_be_visible()
    assert tab.problems == []
    # Scripts of the page cannot read it.
    assert await ann.page.evaluate("document.cookie") == ""


async def test_logging_out(serve: Serve, person: People, users: PasswordFile, tmp_path: Path) -> None:
    site = await serve(by_password(tmp_path))
    ann = await person("ann", at=site)
    await log_in(ann)
    await expect(ann.heading("default")).to_be_visible()
    tab = Person("ann", await ann.page.context.new_page(), ann.address)
    await tab.open()
    await expect(tab.heading("default")).to_be_visible()
    await sign_out(ann)
    await expect(ann.page.get_by_label("Password")).to_be_visible()
    await ann.page.reload()
    await expect(ann.page.get_by_label("Password")).to_be_visible()
    assert await ann.page.context.cookies() == []


async def sign_out(someone: Person) -> None:
    await someone.click("Your settings", exact=False)
    await someone.click("Sign out")


async def test_a_login_goes_on_while_the_page_is_open(
    serve: Serve, person: People, users: PasswordFile, tmp_path: Path
) -> None:
    """The page renews the logins of its socket, and learns that its session has ended."""
    site = await serve(by_password(tmp_path, "session_ttl = 2\n[service]\nlogin_expiry_grace = 5"))
    ann = await person("ann", at=site)
    await log_in(ann)
    await expect(ann.heading("default")).to_be_visible()
    renewed = 0
    while renewed < 2:
        async with ann.page.expect_response("**/login/ticket") as answer:
            pass
        renewed += (await answer.value).ok
    await ann.say("still here")
    await ann.sees("still here")
    users.remove("ann")
    await ann.is_told("Your session has ended. Please log in again.")
    await expect(ann.page.get_by_label("Password")).to_be_visible()
    forgive(ann)


async def test_a_token_of_another_page(serve: Serve, person: People) -> None:
    site = await serve(f'[login]\ntype = "jwt"\nsecret = "{KEY}"\npage = true')
    ann = await person("ann", at=site)
    await ann.page.get_by_label("Token").fill("no token")
    await ann.click("Enter with a token")
    await ann.is_told("This token is not valid, or it has expired.")
    forgive(ann)
    token = jwt.encode({"sub": "ann", "exp": time.time() + 3600}, KEY, algorithm="HS256")
    await ann.page.goto("about:blank")
    await ann.page.goto(f"{ann.address}#token={token}")
    # It is not used before somebody agrees, and does not stay in the address.
    await expect(ann.page.get_by_role("button", name="Enter as ann")).to_be_visible()
    assert token not in ann.page.url
    await ann.click("Enter as ann")
    await expect(ann.heading("default")).to_be_visible()


async def test_a_provider(serve: Serve, person: People) -> None:
    from tests.web_login.provider import CLIENT_ID, CLIENT_SECRET, Provider

    with Provider() as provider:
        provider.claims = {"preferred_username": "ann"}
        site = await serve(
            f'[login]\ntype = "oidc"\noidc_issuer = "{provider.issuer}"\noidc_client_id = "{CLIENT_ID}"\n'
            f'oidc_client_secret = "{CLIENT_SECRET}"\noidc_label = "the office"'
        )
        ann = await person("ann", at=site)
        provider.client.redirect_uris.add(f"{ann.address}login/oidc/callback")
        link = ann.page.get_by_role("link", name="Log in with the office")
        provider.user = None
        await link.click()
        await ann.is_told("You were not logged in.")
        assert ann.page.url == ann.address
        provider.user = "ann"
        await link.click()
        await expect(ann.heading("default")).to_be_visible()
        ann.problems[:] = [text for text in ann.problems if provider.issuer not in text]
