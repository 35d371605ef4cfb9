"""A chat client in Python: logs in, joins the room `default`, talks and reads the history.

    python example/client.py alice              talk: every line that is typed is sent
    python example/client.py alice --once       one short conversation, then the end

It connects to a server that was started with `make run`, on the port PORT (8000) of this machine.
"""

import argparse
import asyncio
import os
import sys
from typing import Any
from urllib.parse import urlencode

import socketio

NAMESPACE = "/chat-service"
ROOM = "default"


class CommandError(Exception):
    """The error that the service returned instead of a result."""


class ChatClient:
    """One connection to the service."""

    def __init__(self) -> None:
        self._sio = socketio.AsyncClient()
        #: Set when the service has accepted or refused the login.
        self._login: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._login_confirmed = False
        for event, handler in (
            ("loginConfirmed", self._on_login_confirmed),
            ("loginRejected", self._on_login_rejected),
            ("roomMessage", self._on_room_message),
            ("roomUserJoined", lambda room, user: print(f"* {user} joined {room}", flush=True)),
            ("roomUserLeft", lambda room, user: print(f"* {user} left {room}", flush=True)),
            ("disconnect", lambda reason: print(f"* disconnected: {reason}", flush=True)),
        ):
            self._sio.on(event, handler, namespace=NAMESPACE)

    async def login(self, url: str, user: str) -> None:
        """Connect, and return when the login is confirmed. Raises ``CommandError`` when it is refused."""
        await self._sio.connect(f"{url}?{urlencode({'userName': user})}", namespaces=[NAMESPACE])
        await self._login

    async def call(self, command: str, *args: Any) -> Any:
        """Run a command and return its result. Raises ``CommandError``."""
        ack: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()
        await self._sio.emit(
            command, args, namespace=NAMESPACE, callback=lambda *values: ack.set_result(values)
        )
        error, *results = await ack
        if error is not None:
            raise CommandError(error)
        return results[0]

    async def disconnect(self) -> None:
        await self._sio.disconnect()

    def _on_login_confirmed(self, user: str, auth_data: dict[str, Any]) -> None:
        print(f"* logged in as {user}, socket {auth_data['id']}", flush=True)
        # After a lost connection there is a login again, and the room has to be joined again.
        if self._login_confirmed:
            self._sio.start_background_task(self.call, "roomJoin", ROOM)
        else:
            self._login_confirmed = True
            self._login.set_result(None)

    def _on_login_rejected(self, error: str) -> None:
        if not self._login.done():
            self._login.set_exception(CommandError(error))

    def _on_room_message(self, room: str, message: dict[str, Any]) -> None:
        print(f"{message['author']}: {message['textMessage']}  (#{message['id']} in {room})", flush=True)


async def read_history(client: ChatClient) -> None:
    """Print the newest messages, the oldest of them first."""
    messages = await client.call("roomRecentHistory", ROOM)
    print(f"* {len(messages)} messages in the history", flush=True)
    for message in reversed(messages[:10]):
        print(f"  #{message['id']} {message['author']}: {message['textMessage']}", flush=True)


async def talk(client: ChatClient) -> None:
    """Send every line that is typed, until the end of the input."""
    print("* type a message, or Ctrl+D to leave", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip():
            await client.call("roomMessage", ROOM, {"textMessage": line.strip()})


async def run(user: str, url: str, once: bool) -> None:
    """The whole conversation."""
    client = ChatClient()
    try:
        await client.login(url, user)
        joined = await client.call("roomJoin", ROOM)
        print(f"* joined {ROOM} with {joined} of this user's sockets", flush=True)
        if once:
            number = await client.call("roomMessage", ROOM, {"textMessage": f"Hello from {user} in Python"})
            print(f"* the message has the id {number}", flush=True)
            await read_history(client)
            await client.call("roomLeave", ROOM)
        else:
            await read_history(client)
            await talk(client)
    finally:
        await client.disconnect()


def main() -> None:
    """Read the arguments and run; the exit code is 1 when something went wrong."""
    parser = argparse.ArgumentParser(description="Talks in the room `default` of the example server.")
    parser.add_argument("user", nargs="?", default="python-user", help="name of the user")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")))
    parser.add_argument("--once", action="store_true", help="a short conversation without typing")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.user, f"http://127.0.0.1:{options.port}", options.once))
    except (CommandError, socketio.exceptions.ConnectionError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
