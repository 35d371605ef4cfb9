"""example/jwt_login.py, anonymous_listeners.py, and that every example runs as a program."""

import asyncio
import runpy
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import socketio

from chat_service import ChatService
from chat_service.testing import wait_until
from example import anonymous_listeners, jwt_login
from tests.examples.conftest import Login, Start, both_stores, one_store
from tests.support.patience import PATIENCE

#: Those that serve. The test of four_protocols.py runs it as a program, because it ends by itself.
EXAMPLES = sorted(set(Path("example").glob("*.py")) - {Path("example/four_protocols.py")})
SECRET = "a secret that is long enough for HS256"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_is_a_program(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[ChatService] = []
    monkeypatch.setattr(ChatService, "run", lambda service: started.append(service))
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    monkeypatch.setenv("JWT_SECRET", SECRET)
    if path.name == "client.py":
        with pytest.raises(SystemExit, match="0"):
            runpy.run_path(str(path), run_name="__main__")
    else:
        runpy.run_path(str(path), run_name="__main__")
        assert len(started) == 1


def token(user: str = "ann", *, seconds: float = 60, secret: str = SECRET, **claims: Any) -> dict[str, str]:
    claims = {"sub": user, "aud": "chat", "exp": int(time.time() + seconds), **claims}
    return {"token": jwt.encode(claims, secret, algorithm="HS256")}


@one_store
async def test_jwt_identifies_the_user_until_it_expires(start: Start, connect: Login, login: Login) -> None:
    service = await start(jwt_login.make_service, SECRET)
    client = await connect(service, "", auth=token("ann", aud="chat"))
    user, data = await client.wait_for("loginConfirmed")
    assert user == "ann" and data["expiresAt"] > time.time() * 1000

    unsigned = {"token": jwt.encode({"sub": "eve", "aud": "chat", "exp": time.time() + 60}, "", "none")}
    bad = [None, {}, {"token": 5}, {"token": "?"}, unsigned, token(secret=SECRET + "!"), token(seconds=-5)]
    for auth in [*bad, token(aud="shop"), token(sub=None)]:
        refused = await connect(service, "", auth=auth)
        assert await refused.wait_for("loginRejected") == ["ChatServiceError: The token is not valid"]


@one_store
async def test_jwt_can_be_renewed(start: Start, login: Login) -> None:
    service = await start(jwt_login.make_service, SECRET, login_expiry_grace=0)
    stays, leaves = [await login(service, "", auth=token("ann")) for _ in range(2)]
    # Tokens that end soon, at the same moment; one of the clients gets a newer one in time.
    short = token("ann", seconds=3)["token"]
    for client in (stays, leaves):
        assert await client.call("loginRefresh", short) < time.time() + 4
        await client.wait_for("loginExpiring")
    assert await stays.call("loginRefresh", token("ann")["token"]) > time.time() + 50
    refused = await stays.error("loginRefresh", token("bob")["token"])
    assert refused == "ChatServiceError: Action is not allowed"
    assert await stays.error("loginRefresh", "nonsense", "more") == "ChatServiceError: The token is not valid"
    assert await stays.error("loginRefresh") == "ChatServiceError: Expected 1 arguments, got 0"

    await leaves.wait_for("disconnect")
    assert len(await stays.call("listOwnSockets")) == 1
    assert stays.received("disconnect") == []


async def listener(service: ChatService) -> tuple[socketio.AsyncClient, list[Any]]:
    client = socketio.AsyncClient(reconnection=False)
    messages: list[Any] = []
    client.on("roomMessage", lambda room, message: messages.append(message), namespace="/public")
    await client.connect(
        f"http://127.0.0.1:{service.port}",
        namespaces=["/public"],
        transports=["websocket"],
        wait_timeout=int(PATIENCE),
    )
    return client, messages


@both_stores
async def test_anonymous_listeners_hear_everything_in_order(start: Start, login: Login) -> None:
    here = await start(anonymous_listeners.make_service)
    there = await start(anonymous_listeners.make_service)
    people = [await login(service, name) for service in (here, there) for name in ("ann", "bob")]
    for person in people:
        await person.call("roomJoin", "news")
    await people[0].call("roomMessage", "news", {"textMessage": "before"})

    first, heard_first = await listener(here)
    second, heard_second = await listener(there)
    try:
        error, before = await first.call("listen", "news", namespace="/public")
        assert error is None and [message["textMessage"] for message in before] == ["before"]

        async def talk(person: Any) -> None:
            for number in range(10):
                await person.call("roomMessage", "news", {"textMessage": str(number)})

        talking = asyncio.gather(*map(talk, people))
        # In the midst of it: nothing is missing between the answer and what follows, nothing is in both.
        error, recent = await second.call("listen", "news", namespace="/public")
        await talking
        await wait_until(lambda: bool(heard_first) and heard_first[-1]["id"] == 41, "all is heard here")
        await wait_until(lambda: [*recent, *heard_second][-1]["id"] == 41, "all is heard there")
        assert [message["id"] for message in heard_first] == list(range(2, 42))
        ids = [message["id"] for message in (*recent, *heard_second)]
        assert ids == list(range(ids[0], 42))
        assert {message["author"] for message in heard_first} == {"ann", "bob"}

        error, nothing = await first.call("listen", "private", namespace="/public")
        assert error == "there is no public room private" and nothing is None
    finally:
        await first.disconnect()
        await second.disconnect()
