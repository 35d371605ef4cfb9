"""The browser client that a service serves: on every carrier, and its types. tests/browser uses it."""

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from chat_service import ChatService
from chat_service.transports.network.opening import Opening
from chat_service.transports.socketio.neighbours import ClientFiles
from chat_service.transports.socketio.socketio_options import SocketIOOptions
from tests.e2e.test_mounting import running
from tests.e2e.test_mounting_asgi import uvicorn_server
from tests.support.world import name_by_query

ROOT = Path(__file__).parents[2]

TYPED = """
import { ChatClient, ChatError, type Stored } from "./client.js";
const client = new ChatClient("http://localhost:8000", { query: { userName: "alice" } });
client.room("lobby").on("message", (message) => { const text: unknown = message.textMessage; void text; });
const stored: Promise<number> = client.room("lobby").send({ textMessage: "hello" });
const error = new ChatError("noRoom", ["x"]);
// @ts-expect-error: there is no such command
client.commands.roomJump("lobby");
void stored; void error;
export type Kept = Stored<{ textMessage: string }>;
"""


@asynccontextmanager
async def serving(carrier: str, **options: Any) -> AsyncIterator[tuple[ChatService, int]]:
    app = web.Application()
    if carrier == "aiohttp":
        options["app"] = app
    service = ChatService(port=0, hooks={"on_connect": name_by_query}, transport_options=options)
    if carrier == "ASGI":
        async with uvicorn_server(service.asgi_app()) as (_, port):
            yield service, port
    elif carrier == "aiohttp":
        async with running(app) as port:
            yield service, port
    else:
        async with service:
            yield service, service.port or 0


@pytest.mark.covers("transport_option:client_path")
@pytest.mark.parametrize("carrier", ["own port", "aiohttp", "ASGI"])
async def test_the_files(carrier: str) -> None:
    origin = "https://app.example"
    async with (
        serving(carrier, cors_allowed_origins=origin, allowed_hosts="127.0.0.1") as (_, port),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
    ):
        async with http.get("/chat-service/client.js", headers={"Origin": origin}) as response:
            script, tag = await response.text(), response.headers["ETag"]
            assert response.status == 200
            assert response.content_type == "text/javascript"
            assert response.headers["Access-Control-Allow-Origin"] == origin
            assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert script.rstrip().endswith("//# sourceMappingURL=client.js.map")
        async with http.get("/chat-service/client.js.map") as response:
            found = json.loads(await response.text())
            assert any(name.endswith("clients/js/src/client.ts") for name in found["sources"])
            assert all(found["sourcesContent"])
        async with http.get("/chat-service/client.d.ts") as response:
            assert "export declare class ChatClient" in await response.text()
        async with http.get("/chat-service/client.js", headers={"If-None-Match": tag}) as response:
            assert (response.status, await response.read()) == (304, b"")
        async with http.head("/chat-service/client.js") as response:
            assert (response.status, response.headers["ETag"]) == (200, tag)
        async with http.post("/chat-service/client.js") as response:
            assert response.status == 405
        async with http.get("/chat-service/client.js", headers={"Host": "evil.example"}) as response:
            assert response.status == 400
        async with http.get("/chat-service/../client_files.py") as response:
            assert response.status == 404


@pytest.mark.covers("transport_option:client_path")
async def test_another_path_and_none() -> None:
    async with serving("own port", client_path="lib/chat.js") as (_, port), aiohttp.ClientSession() as http:
        for name in ("chat.js", "client.js", "client.js.map", "client.d.ts"):
            async with http.get(f"http://127.0.0.1:{port}/lib/{name}") as response:
                assert response.status == 200
    async with (
        serving("own port", client_path=None) as (_, port),
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/chat-service/client.js") as response,
    ):
        assert response.status == 404


def test_its_types(tmp_path: Path) -> None:
    shutil.copy(ROOT / "chat_service/transports/socketio/browser/client.d.ts", tmp_path)
    (tmp_path / "program.ts").write_text(TYPED)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    checked = subprocess.run(
        [ROOT / "node_modules/.bin/tsc", "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext",
         "--lib", "es2022,dom", "--types", "", "program.ts"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout


def test_a_client_that_was_not_built(tmp_path: Path) -> None:
    gate = SocketIOOptions().make_gate()
    opening = Opening("GET", "/chat-service/client.js", "", {})
    files = ClientFiles("/chat-service/client.js", tmp_path)
    answer = files.answer(gate, opening, opening.path)
    assert answer.status == 404 and b"was not built" in answer.body
