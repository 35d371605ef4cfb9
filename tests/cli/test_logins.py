"""Logins of serve: a token that names the user until it expires, or the client's word."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from chat_service import ChatService, ConfigurationError
from chat_service.cli.assembly import make_login
from chat_service.cli.login_settings import LoginSettings
from chat_service.testing import InProcessTransport, wait_until
from tests.support.world import Instance

KEY = "a key of thirty-two characters, or more"
LONG = KEY * 2


@pytest.fixture
async def start() -> AsyncIterator[Any]:
    services: list[ChatService] = []

    async def start(**settings: Any) -> Instance:
        transport = InProcessTransport()
        login = make_login(LoginSettings(**settings))
        services.append(ChatService(transport=transport, hooks=login, login_expiry_grace=0))
        await services[-1].start()
        return Instance(services[-1], transport)

    yield start
    for service in services:
        await service.close()


def token(key: str = KEY, **claims: Any) -> str:
    return jwt.encode({"sub": "alice", **claims}, key, algorithm="HS256")


async def _login(instance: Instance, **handshake: Any) -> list[Any]:
    """What a login tells: the user and the data, or the error."""
    client = await instance.transport.connect(**handshake)
    told = ("loginConfirmed", "loginRejected")
    await wait_until(lambda: any(client.received(name) for name in told), "the login")
    ((args),) = [args for name in told for args in client.received(name)]
    await client.disconnect()
    return list(args)


async def test_tokens(start: Any) -> None:
    without_end = await start(type="jwt", secret=KEY, require_expiry=False)
    user, data = await _login(without_end, auth={"token": token()})
    assert (user, set(data)) == ("alice", {"id"})
    instance = await start(type="jwt", secret=KEY)
    end = int(time.time()) + 3600
    _, data = await _login(instance, auth={"token": token(exp=end)})
    assert data["expiresAt"] == end * 1000
    for auth in (
        {"token": token(key=KEY + "x")},
        {"token": token()},
        {"token": token(exp=1)},
        {"token": token(exp="soon")},
        {"token": jwt.encode({"aud": "x"}, KEY, algorithm="HS256")},
        {"token": jwt.encode({"sub": "alice"}, "", algorithm="none")},
        {"token": "no token"},
        {"token": 5},
        {},
        None,
        "text",
    ):
        (error,) = await _login(instance, auth=auth)
        assert error == "ChatServiceError: The token is not valid", auth


async def test_required_claims_of_a_token(start: Any) -> None:
    instance = await start(
        type="jwt",
        secret=LONG,
        source="query",
        field="ticket",
        algorithms=("HS512",),
        user_claim="name",
        audience="chat",
        issuer="shop",
    )
    good = {"name": "bob", "aud": "chat", "iss": "shop", "exp": time.time() + 60}
    ticket = jwt.encode(good, LONG[::-1], algorithm="HS512")
    assert (await _login(instance, query={"ticket": ticket}))[0] != "bob"
    ticket = jwt.encode(good, LONG, algorithm="HS256")
    assert (await _login(instance, query={"ticket": ticket}))[0] != "bob"
    for change in ({"aud": "shop"}, {"iss": "chat"}, {"name": 5}):
        ticket = jwt.encode({**good, **change}, LONG, algorithm="HS512")
        assert (await _login(instance, query={"ticket": ticket}))[0] != "bob"
    assert (await _login(instance, query={"ticket": jwt.encode(good, LONG, algorithm="HS512")}))[0] == "bob"


async def test_the_connection_is_closed_when_the_token_expires(start: Any) -> None:
    instance = await start(type="jwt", secret=KEY, leeway=1.2)
    client = await instance.transport.connect(auth={"token": token(exp=int(time.time()))})
    await client.wait_for("loginConfirmed")
    await wait_until(lambda: not instance.transport.is_connected(client.id), "the end of the token")


async def test_names_given_by_the_client(start: Any) -> None:
    instance = await start(type="name")
    assert (await _login(instance, auth={"userName": "alice"}))[0] == "alice"
    for auth in (None, {}, {"userName": None}, ["userName"]):
        assert "No login provided" in (await _login(instance, auth=auth))[0]
    assert "invalid characters" in (await _login(instance, auth={"userName": "a:b"}))[0]


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_secrets_shorter_than_their_hash(algorithm: str, size: int) -> None:
    """They could be guessed from one token."""
    wanted = {"type": "jwt", "algorithms": (algorithm,)}
    for secret in ("x", "x" * (size - 1), "é" * (size // 2 - 1) + "x"):
        with pytest.raises(ConfigurationError, match=f"secret: {algorithm} needs {size} bytes or more"):
            make_login(LoginSettings(secret=secret, **wanted))  # type: ignore[arg-type]
    for secret in ("x" * size, "é" * (size // 2)):
        make_login(LoginSettings(secret=secret, **wanted))  # type: ignore[arg-type]
    if size > 32:
        both = ("HS256", algorithm)
        with pytest.raises(ConfigurationError, match=algorithm):
            make_login(LoginSettings(type="jwt", secret="x" * 32, algorithms=both))


def test_invalid_keys(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("no key")
    for settings, message in (
        ({"secret": KEY, "algorithms": ("HS257",)}, r"\[login\] algorithms and key"),
        ({"secret": KEY, "algorithms": ("none",)}, r"\[login\] algorithms and key"),
        ({"public_key_file": str(tmp_path / "none")}, r"\[login\] key file .*No such file"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            make_login(LoginSettings(type="jwt", **settings))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pyjwt\[crypto\]"):
        make_login(LoginSettings(type="jwt", secret=KEY))


def key_set(*keys: tuple[str, Any]) -> str:
    made = [
        {**jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": name}
        for name, key in keys
    ]
    return json.dumps({"keys": made})


async def test_keys_of_a_set_are_rotated_while_it_runs(start: Any, tmp_path: Path) -> None:
    old, new = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    path = tmp_path / "keys.json"
    path.write_text(key_set(("old", old)))
    instance = await start(type="jwt", jwks_file=str(path), algorithms=("ES256",))
    exp = int(time.time()) + 60

    def signed(key: Any, name: str | None) -> dict[str, str]:
        headers = None if name is None else {"kid": name}
        return {"token": jwt.encode({"sub": "bob", "exp": exp}, key, algorithm="ES256", headers=headers)}

    assert (await _login(instance, auth=signed(old, "old")))[0] == "bob"
    assert (await _login(instance, auth=signed(old, None)))[0] == "bob"
    for auth in (signed(new, "old"), signed(new, "new"), signed(old, "other")):
        assert (await _login(instance, auth=auth))[0] == "ChatServiceError: The token is not valid"

    path.write_text(key_set(("new", new), ("old", old)))

    async def new_is_known() -> bool:
        return bool((await _login(instance, auth=signed(new, "new")))[0] == "bob")

    await wait_until(new_is_known, "the new keys")
    assert (await _login(instance, auth=signed(old, "old")))[0] == "bob"
    assert (await _login(instance, auth=signed(old, None)))[0] != "bob"
    # A file that is being written locks nobody out.
    path.write_text("{")
    await asyncio.sleep(1.1)
    assert (await _login(instance, auth=signed(new, "new")))[0] == "bob"


def test_invalid_key_sets(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = ec.generate_private_key(ec.SECP256R1())
    nameless = json.loads(key_set(("a", key), ("b", key)))
    for item in nameless["keys"]:
        del item["kid"]
    for text, message in (
        ("{}", "no JWK set"),
        ('{"keys": []}', "no JWK set"),
        (json.dumps(nameless), "several keys need a kid each"),
        ("{" + " " * 1_000_000, "larger than"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigurationError, match=message):
            make_login(LoginSettings(type="jwt", jwks_file=str(path), algorithms=("ES256",)))


async def test_a_login_is_refreshed_by_a_newer_token(start: Any) -> None:
    instance = await start(type="jwt", secret=KEY)
    end = int(time.time()) + 60
    client = await instance.transport.connect(auth={"token": token(exp=end)})
    await client.wait_for("loginConfirmed")
    assert await client.call("loginRefresh", token(exp=end + 60)) == end + 60
    assert await client.call("loginRefresh", {"token": token(exp=end + 90)}) == end + 90
    refused: list[Any] = [None, "x", {}, token(exp=1), token(exp=end, sub=5)]
    for bad in refused:
        assert await client.error("loginRefresh", bad) == "ChatServiceError: The token is not valid"
    assert (
        await client.error("loginRefresh", token(exp=end, sub="bob"))
        == "ChatServiceError: Action is not allowed"
    )
