"""A room server on plain python-socketio and aiohttp, the way their documentation writes one.

It does not check or store anything, so it shows the cost of python-socketio itself. See service.py for the
argument.
"""

import asyncio
import gc
import json
import signal
import sys
import time
from typing import Any
from urllib.parse import parse_qs

import socketio
from aiohttp import web

CONFIG: dict[str, Any] = json.loads(sys.argv[1])
NAMESPACE = "/chat-service"

server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=600, ping_timeout=600)
last_ids: dict[str, int] = {}
users: dict[str, str] = {}


async def connect(sid: str, environ: dict[str, Any]) -> None:
    users[sid] = parse_qs(environ["QUERY_STRING"])["userName"][0]
    await server.emit("loginConfirmed", (users[sid], {"id": sid}), to=sid, namespace=NAMESPACE)


async def room_join(sid: str, room: str) -> tuple[None, int]:
    await server.enter_room(sid, room, namespace=NAMESPACE)
    return None, 1


async def room_message(sid: str, room: str, message: dict[str, Any]) -> tuple[None, int]:
    number = last_ids[room] = last_ids.get(room, 0) + 1
    message.update(id=number, timestamp=int(time.time() * 1000), author=users[sid])
    await server.emit("roomMessage", (room, message), room=room, namespace=NAMESPACE)
    return None, number


for event, handler in (("connect", connect), ("roomJoin", room_join), ("roomMessage", room_message)):
    server.on(event, handler, namespace=NAMESPACE)


async def main() -> None:
    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", CONFIG["port"]).start()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, gc.collect)
    print(f"ready {CONFIG['port']}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
