"""A program that creates a service and forks processes, each of which starts it and reports in a line."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import Any

from chat_service import ChatService
from tests.redis.instance import name_by_query
from tests.support.parts import parts_of


async def serve(service: ChatService, store: Any) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await service.start()
    line = {
        "uid": service.instance_uid,
        "port": service.port,
        "pid": os.getpid(),
        "token": next(store._memberships.tokens),
    }
    os.write(1, (json.dumps(line) + "\n").encode())
    await stop.wait()
    await service.close()


def main(options: dict[str, Any], processes: int) -> None:
    service = ChatService(
        command_rate=None,
        hooks={"on_connect": name_by_query},
        host="127.0.0.1",
        port=0,
        store="redis",
        **options,
    )
    store = parts_of(service).store
    assert service.instance_uid == ""
    children = []
    for _ in range(processes):
        pid = os.fork()
        if pid == 0:
            asyncio.run(serve(service, store))
            os._exit(0)
        children.append(pid)

    def end(*_: Any) -> None:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    for pid in children:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
