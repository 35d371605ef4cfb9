"""One instance of the service as a process: options as JSON in the first argument.

Prints its port and its id when it is ready; ends when its standard input does.
"""

import asyncio
import json
import logging
import os
import sys
import threading
from typing import Any

from chat_service import ChatService


def _name_user(service: ChatService, socket_id: str) -> str | None:
    return service.transport.get_handshake_data(socket_id).query.get("userName")


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


async def serve(options: dict[str, Any]) -> None:
    service = ChatService(
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
        **options,
    )
    await service.start()
    print(json.dumps({"port": service.port, "id": service.instance_uid}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(serve(json.loads(sys.argv[1])))
