"""The example back end in Node.js, with a service that a file describes and real clients; and the code of the
guide that checks signatures, in Python and in Node.js."""

import asyncio
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chat_service.webhooks.back_end import headers_for
from tests.docs.blocks import ROOT, blocks_of
from tests.e2e.clients import Client, PythonClients
from tests.e2e.processes import Process, port_in, run
from tests.support.patience import PATIENCE
from tests.webhooks.back_ends import SECRET

pytestmark = pytest.mark.e2e

OLD = "an older secret of thirty-two bytes or more"

FILE = """
[service]
port = 0
close_timeout = 5

[webhooks]
connect_url = "{url}connect"
refresh_url = "{url}refresh"
message_url = "{url}message"
events_url = "{url}events"
events = ["message", "join", "leave", "connect", "disconnect"]
circuit_seconds = 0.1

[[rooms]]
name = "lobby"
"""


class Clients(PythonClients):
    """Clients of the service on a port."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._url = f"http://127.0.0.1:{port}"

    async def login(self, token: str) -> Client:
        """A client that connects with a token."""
        return await self.connect(self._url, token, transports=["websocket"], auth={"token": token})


@pytest.fixture
async def node() -> AsyncIterator[tuple[Process, str]]:
    """The example and its address. It knows two secrets, as in the middle of a rotation."""
    env = {"PORT": "0", "WEBHOOK_SECRETS": f"old:{OLD.replace(' ', '-')} new:{SECRET}"}
    async with run("node", "example/webhook_backend.js", env=env) as process:
        port = port_in(await process.wait_for("listens at"))
        yield process, f"http://127.0.0.1:{port}/"


def serve(tmp_path: Path, url: str, secrets: str) -> Any:
    """``chat-service serve`` with webhooks."""
    path = tmp_path / "chat.toml"
    path.write_text(FILE.format(url=url), "utf-8")
    command = (sys.executable, "-m", "chat_service", "serve", "--config", path)
    return run(*command, env={"CHAT_WEBHOOK_SECRETS": secrets})


async def test_the_example_decides_and_gets_events(tmp_path: Path, node: tuple[Process, str]) -> None:
    back_end, url = node
    async with serve(tmp_path, url, f"new:{SECRET}") as server:
        port = port_in(await server.wait_for("listens at"))
        clients = Clients(port)
        try:
            await talk(clients)
        finally:
            await clients.close()
        await back_end.wait_for('"kind":"disconnect"')
        server.send_signal(2)
        assert await server.wait() == 0, server.errors
    lines = [json.loads(line) for line in back_end.output.splitlines()[1:]]
    room = [event for event in lines if event.get("room") == "lobby"]
    assert [event["kind"] for event in room] == ["join", "message", "message", "leave"]
    texts = [event["message"]["textMessage"] for event in room if event["kind"] == "message"]
    assert texts == ["hello", "**** it"]
    assert [event["kind"] for event in lines if "room" not in event] == ["connect", "disconnect"]
    assert SECRET not in server.output + server.errors + back_end.output


async def talk(clients: "Clients") -> None:
    """Everything that the example decides."""
    alice: Client = await clients.login("token-of-alice")
    name, data = await alice.wait_for("loginConfirmed")
    assert (name, data["source"]) == ("alice", "node")
    assert await alice.call("loginRefresh", {"token": "token-of-alice"}) > time.time() + 3000
    assert "The token is not valid" in str(await alice.error("loginRefresh", {"token": "token-of-bob"}))
    await alice.call("roomJoin", "lobby")
    assert await alice.call("roomMessage", "lobby", {"textMessage": "hello"}) == 1
    error = await alice.error("roomMessage", "lobby", {"textMessage": "buy now"})
    assert error == "ChatServiceError: This looks like spam"
    assert await alice.call("roomMessage", "lobby", {"textMessage": "damn it"}) == 2
    stranger = await clients.login("made up")
    assert await stranger.wait_for("loginRejected") == ["ChatServiceError: The token is not valid"]


async def test_a_wrong_secret_is_a_dead_back_end(tmp_path: Path, node: tuple[Process, str]) -> None:
    _, url = node
    async with serve(tmp_path, url, f"new:{SECRET[::-1]}") as server:
        clients = Clients(port_in(await server.wait_for("listens at")))
        try:
            stranger = await clients.login("token-of-alice")
            [error] = await stranger.wait_for("loginRejected")
            assert error == "ChatServiceError: The back end does not answer, try again later"
        finally:
            await clients.close()
        async with asyncio.timeout(PATIENCE):
            while "webhook connect: status 401" not in server.errors:
                await asyncio.sleep(0.01)


# Signatures


async def status_of(url: str, body: bytes, headers: dict[str, str]) -> int:
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        status = answer.status
    # The connector closes its sockets in a later turn.
    await asyncio.sleep(0)
    return status


def cases() -> list[tuple[bytes, dict[str, str], bool]]:
    """Bodies and headers, and whether they are genuine."""
    body = b'{"id":"1","type":"message","message":{"textMessage":"x"}}'
    now, new, old = int(time.time()), {"new": SECRET.encode()}, {"old": OLD.replace(" ", "-").encode()}
    good = headers_for(new, "1", now, body)
    signature = good["Chat-Webhook-Signature"]
    return [
        (body, good, True),
        (body, headers_for(old, "1", now, body), True),
        (body, headers_for({"unknown": b"x", **new}, "1", now, body), True),
        (body, headers_for(new, "1", now - 200, body), True),
        (body, headers_for(new, "1", now - 400, body), False),
        (body, headers_for(new, "1", now + 400, body), False),
        (body, headers_for({"new": b"another"}, "1", now, body), False),
        (body, headers_for({"old": SECRET.encode()}, "1", now, body), False),
        (body.replace(b"x", b"y"), good, False),
        (body, {**good, "Chat-Webhook-Timestamp": str(now - 1)}, False),
        (body, {**good, "Chat-Webhook-Timestamp": "soon"}, False),
        (body, {**good, "Chat-Webhook-Signature": signature[:-2]}, False),
        (body, {**good, "Chat-Webhook-Signature": "new="}, False),
        (body, {**good, "Chat-Webhook-Signature": "new=zz"}, False),
        (body, {"Content-Type": "application/json"}, False),
    ]


async def test_the_example_accepts_only_signed_requests(node: tuple[Process, str]) -> None:
    _, url = node
    for body, headers, is_genuine in cases():
        status = await status_of(f"{url}message", body, headers)
        assert status == (200 if is_genuine else 401), headers
    good = {"new": SECRET.encode()}
    now = int(time.time())
    assert await status_of(f"{url}message", b"{", headers_for(good, "1", now, b"{")) == 400
    assert await status_of(f"{url}nothing", b"{}", headers_for(good, "1", now, b"{}")) == 404


async def test_the_example_answers_a_repeat_as_before(node: tuple[Process, str]) -> None:
    back_end, url = node
    body = json.dumps({"id": "1", "type": "events", "events": [{"id": "e1", "kind": "message"}]}).encode()
    again = json.dumps({"id": "2", "type": "events", "events": [{"id": "e1"}, {"id": "e2"}]}).encode()
    for sent in (body, body, again):
        headers = headers_for({"new": SECRET.encode()}, "1", int(time.time()), sent)
        assert await status_of(f"{url}events", sent, headers) == 200
    await back_end.wait_for('"e2"')
    assert [json.loads(line)["id"] for line in back_end.output.splitlines()[1:]] == ["e1", "e2"]


GUIDE = ROOT / "docs" / "guide" / "webhooks.md"
SECRETS = {"old": OLD.replace(" ", "-"), "new": SECRET}


def block(language: str, text: str) -> str:
    """The block of the guide in a language that has a text."""
    [found] = [block.text for block in blocks_of(GUIDE) if block.language == language and text in block.text]
    return found


def test_the_python_code_of_the_guide_checks_signatures(tmp_path: Path) -> None:
    path = tmp_path / "signatures.py"
    path.write_text(block("python", "def is_genuine("), "utf-8")
    spec = importlib.util.spec_from_file_location("signatures", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for body, headers, is_genuine in cases():
        given = {name.lower(): value for name, value in headers.items()}
        assert module.is_genuine(SECRETS, given, body) is is_genuine, headers


def test_the_javascript_code_of_the_guide_checks_signatures(tmp_path: Path) -> None:
    made = cases()
    given = [
        [body.decode(), {name.lower(): value for name, value in headers.items()}] for body, headers, _ in made
    ]
    check = f"""
const secrets = new Map(Object.entries({json.dumps(SECRETS)}));
const cases = {json.dumps(given)};
console.log(JSON.stringify(cases.map(([body, headers]) => isGenuine(secrets, headers, Buffer.from(body)))));
"""
    path = tmp_path / "check.mjs"
    path.write_text(block("javascript", "function isGenuine(") + check, "utf-8")
    done = subprocess.run(["node", path], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [is_genuine for _, _, is_genuine in made]
