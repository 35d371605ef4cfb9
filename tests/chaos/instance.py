"""One instance of the service as a process: options as JSON in the first argument.

Prints its port and its id when it is ready. Closes on SIGTERM, and ends at once with its standard input. A
line ``clock SECONDS`` there sets its wall clock wrong.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from typing import Any

from chat_service import ChatService
from chat_service.clock import SystemClock


class WrongClock(SystemClock):
    """The clock of the machine, with an error."""

    def __init__(self) -> None:
        self.error_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.error_ms


CLOCK = WrongClock()


def _name_user(service: ChatService, socket_id: str) -> str | None:
    return service.transport.get_handshake_data(socket_id).query.get("userName")


def _obey() -> None:
    for line in sys.stdin:
        CLOCK.error_ms = round(float(line.split()[1]) * 1000)
    os._exit(0)


async def serve(options: dict[str, Any]) -> None:
    service = ChatService(
        command_rate=None,
        host="127.0.0.1",
        port=0,
        store="redis",
        hooks={"on_connect": _name_user},
        enable_rooms_management=True,
        enable_direct_messages=True,
        enable_userlist_updates=True,
        enable_access_lists_updates=True,
        use_raw_error_objects=True,
        transport_options={"ping_interval": 2.0, "ping_timeout": 4.0},
        clock=CLOCK,
        **options,
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await service.start()
    print(json.dumps({"port": service.port, "id": service.instance_uid}), flush=True)
    await ended.wait()
    await service.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
    threading.Thread(target=_obey, daemon=True).start()
    asyncio.run(serve(json.loads(sys.argv[1])))
