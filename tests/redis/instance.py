"""A program that runs an instance over Redis, see ``processes.ServiceProcess``."""

import asyncio
import json
import signal
import sys
import time
from typing import Any

from chat_service import ChatService, Login, MembershipInfo


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def name_by_query(service: ChatService, socket_id: str) -> str | Login | None:
    """Users called guest… are ephemeral."""
    name = service.transport.get_handshake_data(socket_id).query.get("userName")
    return Login(name, ephemeral=True) if name is not None and name.startswith("guest") else name


async def answer(service: ChatService, line: dict[str, Any]) -> None:
    try:
        method = line["method"]
        if method == "instance_uid":
            result: Any = service.instance_uid
        elif method == "cpu":
            result = time.process_time()
        else:
            of_transport = method in ("emit_to_channel", "disconnect_socket")
            owner: Any = service.transport if of_transport else service
            result = await getattr(owner, method)(*line["args"], **line["keywords"])
    except Exception as error:
        say(id=line["id"], error=repr(error))
    else:
        say(id=line["id"], result=result)


async def main(options: dict[str, Any]) -> None:
    options = {"host": "127.0.0.1", "port": 0, "store": "redis", **options}

    def on_leave(service: ChatService, info: MembershipInfo) -> None:
        say(told=["on_leave", info.user_name, info.room_name])

    hooks: dict[str, Any] = {"on_connect": name_by_query, "on_leave": on_leave}
    service = ChatService(command_rate=None, hooks=hooks, **options)
    for event in ("store_consistency_failure", "transport_consistency_failure"):
        service.on(event, lambda error, info, event=event: say(told=[event, info.op_type]))
    service.cluster_bus.on("news", lambda *data: say(told=["news", *data]))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await service.start()
    say(id=0, result=[service.port, service.instance_uid])

    lines = asyncio.StreamReader(limit=1 << 24)
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    running = set()

    async def read() -> None:
        while line := await lines.readline():
            task = asyncio.create_task(answer(service, json.loads(line)))
            running.add(task)
            task.add_done_callback(running.discard)

    reading = asyncio.create_task(read())
    await stop.wait()
    reading.cancel()
    pipe.close()
    await service.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
