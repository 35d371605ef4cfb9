"""A chat client in Python: logs in, joins the room `default`, talks and reads the history.

    python example/client.py alice              talk: each typed line is sent
    python example/client.py alice --once       have one short conversation, then exit

It connects to a server started with `make run`, on the port PORT (8000) of this machine. It requires
the extra `client`. After a lost connection it reconnects by itself and continues where it was.
"""

import argparse
import asyncio
import os
import sys

from chat_service.client import ChatClient, ChatClientError, ChatServiceError, ClientRoom

ROOM = "default"


async def show(room: ClientRoom) -> None:
    """Print each message as it arrives."""
    room.on_gap(lambda gap: print(f"* messages are missing: {gap}", flush=True))
    async for message in room:
        print(f"{message['author']}: {message['textMessage']}  (#{message['id']} in {room.name})", flush=True)


async def read_history(client: ChatClient) -> None:
    """Print the newest messages, oldest first."""
    messages, _ = await client.commands.room_recent_history(ROOM)
    print(f"* {len(messages)} messages in the history", flush=True)
    for message in reversed(messages[:10]):
        print(f"  #{message['id']} {message['author']}: {message['textMessage']}", flush=True)


async def talk(room: ClientRoom) -> None:
    """Send each typed line, until the end of the input."""
    print("* type a message, or Ctrl+D to leave", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip():
            await room.send({"textMessage": line.strip()})


async def run(user: str, url: str, once: bool) -> None:
    """The whole conversation."""
    client = ChatClient(url, query={"userName": user})
    client.on("roomUserJoined", lambda room, name: print(f"* {name} joined {room}", flush=True))
    client.on("roomUserLeft", lambda room, name: print(f"* {name} left {room}", flush=True))
    login = await client.connect()
    try:
        print(f"* logged in as {login.user_name}, socket {login.id}", flush=True)
        room = await client.join(ROOM)
        print(f"* joined {ROOM}", flush=True)
        showing = asyncio.create_task(show(room))
        if once:
            number = await room.send({"textMessage": f"Hello from {user} in Python"})
            print(f"* the message has the id {number}", flush=True)
            await read_history(client)
            await room.leave()
        else:
            await read_history(client)
            await talk(room)
            showing.cancel()
        await asyncio.wait([showing])
    finally:
        await client.close()


def main() -> None:
    """Read the arguments and run. Returns exit code 1 on an error."""
    parser = argparse.ArgumentParser(description="Talks in the room `default` of the example server.")
    parser.add_argument("user", nargs="?", default="python-user", help="name of the user")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "8000")))
    parser.add_argument("--once", action="store_true", help="a short conversation without typing")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.user, f"http://127.0.0.1:{options.port}", options.once))
    except (ChatServiceError, ChatClientError) as error:
        sys.exit(f"error: {type(error).__name__}: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
