"""OpenID Connect, against a real provider on loopback: the way there and back, and what is refused."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chat_service import ConfigurationError
from chat_service.cli.login_settings import LoginSettings
from chat_service.testing import wait_until
from tests.web_login.conftest import Site, Sites
from tests.web_login.provider import CLIENT_ID, CLIENT_SECRET, Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as made:
        yield made


def login(provider: Provider, **more: Any) -> str:
    lines = [f"{name} = {value}" for name, value in more.items()]
    return "\n".join(
        [
            '[login]\ntype = "oidc"',
            f'oidc_issuer = "{provider.issuer}"',
            f'oidc_client_id = "{CLIENT_ID}"',
            *lines,
            '[[rooms]]\nname = "default"',
        ]
    )


@pytest.fixture
async def made(site: Sites, provider: Provider) -> Site:
    found = await site(login(provider), {"CHAT_LOGIN_OIDC_CLIENT_SECRET": CLIENT_SECRET})
    provider.client.redirect_uris.add(f"{found.address}/login/oidc/callback")
    return found


async def follow(site: Site, url: str) -> str:
    """Where a browser is sent."""
    async with site.browser.get(url, allow_redirects=False) as answer:
        assert answer.status in (302, 303), await answer.text()
        return answer.headers["Location"]


async def go(site: Site) -> str:
    """To the provider and back. Returns the address of the callback, which has not been asked."""
    return await follow(site, await follow(site, f"{site.address}/login/oidc"))


async def test_the_way_there_and_back(made: Site, provider: Provider, connect: Any) -> None:
    assert (await made.state())["kinds"] == ["oidc"]
    callback = await go(made)
    assert callback.startswith(f"{made.address}/login/oidc/callback?")
    [asked] = provider.asked
    assert asked["response_type"] == "code" and asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43 and len(asked["state"]) > 20 and len(asked["nonce"]) > 20
    pending = made.cookie("chat-pending")
    assert pending["httponly"] and pending["samesite"] == "Lax"
    assert await follow(made, callback) == "/"
    assert made.cookie("chat-pending") is None and made.cookie()["samesite"] == "Strict"
    assert (await made.state())["user"] == "alice"
    socket = await connect(made, {"ticket": await made.ticket()})
    assert socket.events[0][:2] == ("loginConfirmed", "alice")
    # A callback is good once.
    assert await follow(made, callback) == "/?problem=badLogin"
    await made.post("logout")
    assert (await made.state())["user"] is None
    await wait_until(lambda: socket.is_over, "the end of the socket")


async def test_a_callback_belongs_to_the_browser_that_has_asked(made: Site, provider: Provider) -> None:
    """Otherwise somebody could log others in as themselves."""
    callback = await go(made)
    made.browser.cookie_jar.clear()
    assert await follow(made, callback) == "/?problem=badLogin"
    await go(made)  # another login, with another state
    assert await follow(made, callback) == "/?problem=badLogin"
    assert made.cookie() is None and len(provider.codes) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("state=", "state=x"),
        lambda url: url.partition("&state=")[0],
        lambda url: url.partition("?")[0],
        lambda url: url + "&iss=https%3A%2F%2Fevil.example",
    ],
    ids=["state", "no state", "nothing", "iss"],
)
async def test_changed_callbacks(made: Site, change: Any) -> None:
    assert await follow(made, change(await go(made))) == "/?problem=badLogin"
    assert made.cookie() is None and made.cookie("chat-pending") is None


async def test_who_refuses_at_the_provider(made: Site, provider: Provider) -> None:
    provider.user = None
    callback = await go(made)
    assert parse_qs(urlsplit(callback).query)["error"] == ["access_denied"]
    assert await follow(made, callback) == "/?problem=badLogin"


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "another"},
        {"iss": "https://evil.example"},
        {"aud": ["another"]},
        {"aud": ["chat", "another"], "azp": "another"},
        {"exp": 1_000_000_000},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"preferred_username": 5},
        {"preferred_username": ""},
    ],
    ids=["nonce", "iss", "aud", "azp", "exp", "at_hash", "number", "empty"],
)
async def test_wrong_id_tokens(
    made: Site, provider: Provider, wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    provider.wrong = wrong
    assert await follow(made, await go(made)) == "/?problem=providerFailed"
    assert made.cookie() is None
    assert f"logins: {provider.issuer} gives no valid answer" in caplog.text


async def test_names_that_cannot_be_used(made: Site, provider: Provider) -> None:
    provider.claims = {"preferred_username": "a:b"}
    assert await follow(made, await go(made)) == "/?problem=badLogin"


async def test_keys_are_rotated(made: Site, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await follow(made, await go(made)) == "/"
    monkeypatch.setattr("chat_service.web_login.oidc.KEYS_AGAIN", 0)
    provider.rotate_key()
    assert await follow(made, await go(made)) == "/"
    # A key that the provider does not publish is a forgery.
    provider.rotate_key(publish=False)
    assert await follow(made, await go(made)) == "/?problem=providerFailed"


async def test_a_wrong_verifier_is_refused_by_the_provider(made: Site, provider: Provider) -> None:
    """That is, the verifier is sent: a stolen code is of no use."""
    callback = await go(made)
    [code] = provider.codes.values()
    code.code_challenge = "x" * 43
    assert await follow(made, callback) == "/?problem=providerFailed"


async def test_an_unreachable_provider(made: Site, provider: Provider) -> None:
    callback = await go(made)
    await asyncio.to_thread(provider.close)
    assert await follow(made, callback) == "/?problem=providerFailed"
    metrics = {
        tuple(sample.labels.values()): sample.value
        for family in made.service.operations.registry.collect()
        for sample in family.samples
        if sample.name == "chat_page_logins_total"
    }
    assert metrics == {("oidc", "failed"): 1}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "oidc needs oidc_issuer and oidc_client_id"),
        ({"oidc_issuer": "http://id.example.org", "oidc_client_id": "x"}, "oidc_issuer: expected an https"),
        (
            {"oidc_issuer": "https://id.example.org", "oidc_client_id": "x", "oidc_scopes": ("email",)},
            'oidc_scopes: "openid" is missing',
        ),
    ],
)
def test_settings_that_are_refused(given: Any, message: str) -> None:
    from chat_service.cli.assembly import make_page

    with pytest.raises(ConfigurationError, match=message):
        make_page(LoginSettings(type="oidc", **given))
