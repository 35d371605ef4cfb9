"""The example server and the two example clients, as a reader of the README runs them."""

import sys

import pytest

from tests.e2e.processes import example_server, run

pytestmark = pytest.mark.e2e

CLIENTS = {"js": ("node", "example/client.js"), "py": (sys.executable, "example/client.py")}


async def test_both_clients_have_a_short_conversation() -> None:
    async with example_server() as (_, port):
        for number, (kind, command) in enumerate(CLIENTS.items(), 1):
            async with run(*command, f"{kind}-user", "--once", "--port", str(port)) as client:
                assert await client.wait() == 0, client.errors
            lines = client.output.splitlines()
            assert lines[0].startswith(f"* logged in as {kind}-user, socket ")
            assert f"* the message has the id {number}" in lines
            assert f"* {number} messages in the history" in lines
            assert any(line.startswith(f"{kind}-user: Hello from {kind}-user") for line in lines)
            assert client.errors == ""


async def test_clients_talk_to_each_other() -> None:
    async with example_server() as (_, port):
        # The port can come from the environment, too.
        env = {"PORT": str(port)}
        async with run(*CLIENTS["js"], "ann", env=env) as ann, run(*CLIENTS["py"], "bob", env=env) as bob:
            for client in (ann, bob):
                await client.wait_for("type a message")
            await ann.write("hello\n\n")
            assert await bob.wait_for("ann: hello") == "ann: hello  (#1 in default)"
            await bob.write("  good day\nto you\n")
            assert await ann.wait_for("bob: to you") == "bob: to you  (#3 in default)"
            await bob.write("")
            assert await bob.wait() == 0
            await ann.wait_for("* bob left default")
            await ann.write("bye\n")
            await ann.write("")
            assert await ann.wait() == 0
            assert "ann: bye  (#4 in default)" in ann.output
            assert ann.errors == bob.errors == ""


@pytest.mark.parametrize("kind", CLIENTS)
async def test_client_reports_errors(kind: str) -> None:
    async with example_server() as (_, port):
        async with run(*CLIENTS[kind], "a:b", "--once", "--port", str(port)) as client:
            assert await client.wait() == 1
        assert client.errors.splitlines() == [
            "error: ChatServiceError: String a:b contains invalid characters"
        ]
    # Nothing listens there now.
    async with run(*CLIENTS[kind], "ann", "--once", "--port", str(port)) as client:
        assert await client.wait() == 1
    assert client.errors.startswith("error: ") and len(client.errors.splitlines()) == 1
