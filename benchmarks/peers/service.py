"""chat_service for the benchmarks: rooms `room0`, `room1`, …; the query contains the user name.

    python service.py '{"port": 0, "rooms": 1, "redis": null, "profile": null}'

Prints "ready PORT". SIGUSR2 collects garbage. With ``profile``, the name of a file, SIGUSR1 starts cProfile,
and the next SIGUSR1 ends it and writes the results.
"""

import asyncio
import cProfile
import gc
import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from chat_service import ChatService

CONFIG: dict[str, Any] = json.loads(sys.argv[1])


async def on_connect(service: ChatService, socket_id: str) -> str | None:
    return service.transport.get_handshake_data(socket_id).query.get("userName")


async def on_start(service: ChatService) -> None:
    for number in range(CONFIG["rooms"]):
        name = f"room{number}"
        # The first of two instances creates the rooms.
        if not await service.has_room(name):
            await service.add_room(name, owner="admin")


def watch_signals() -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR2, gc.collect)
    if CONFIG.get("profile"):
        calls = profile(CONFIG["profile"])
        loop.add_signal_handler(signal.SIGUSR1, next, calls)


def profile(file: str) -> Iterator[None]:
    """Each step starts a profile, or ends it and writes the file."""
    while True:
        profiler = cProfile.Profile()
        profiler.enable()
        yield
        profiler.disable()
        profiler.dump_stats(f"{file}.part")
        os.replace(f"{file}.part", file)
        yield


service = ChatService(
    command_rate=None,
    host="127.0.0.1",
    port=CONFIG["port"],
    store="redis" if CONFIG.get("redis") else "memory",
    store_options={"url": CONFIG["redis"], "cluster": CONFIG.get("cluster", False)}
    if CONFIG.get("redis")
    else {},
    # Without "ping", no pings are sent during a measurement.
    transport_options={"ping_interval": CONFIG.get("ping", 600.0), "ping_timeout": 600.0},
    hooks={"on_connect": on_connect, "on_start": on_start},
)


@service.on("ready")
def ready() -> None:
    watch_signals()
    print(f"ready {service.port}", flush=True)


# Print only the line above: the benchmark does not read any further.
service.run(announce=False)
