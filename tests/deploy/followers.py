"""Clients that follow a room across lost connections, as described in the guide."""

import asyncio
from typing import Any

from tests.deploy.site import token
from tests.e2e.clients import NodeClient, NodeProcess
from tests.support.wire_errors import wire_error

ROOM = "lobby"
#: What a command gets that comes before the login, or before the room is joined again.
TOO_EARLY = (wire_error("noLogin"), wire_error("notJoined", ROOM))


class Follower:
    """Keeps all messages of the room that it got, live or from the history, by id."""

    def __init__(self, client: NodeClient) -> None:
        self.client = client
        self.messages: dict[int, str] = {}
        #: Ids in the order in which they came live.
        self.live: list[int] = []
        self.logins = 0
        #: Set while it is joined.
        self.joined = asyncio.Event()
        self._task = asyncio.create_task(self._follow())

    @classmethod
    async def connect(cls, node: NodeProcess, url: str, user: str, *transports: str) -> "Follower":
        client = await node.connect(
            url, user, transports=transports, auth={"token": token(user)}, query={},
            reconnection=True, reconnectionDelay=50, reconnectionDelayMax=200,
        )  # fmt: skip
        return cls(client)

    async def _follow(self) -> None:
        read = 0
        while True:
            if read == len(self.client.events):
                await asyncio.sleep(0.005)
                continue
            event, args = self.client.events[read]
            read += 1
            if event == "disconnect":
                self.joined.clear()
            elif event == "loginConfirmed":
                self.logins += 1
                await self._catch_up()
            elif event == "roomMessage":
                self._take(args[1])
                self.live.append(args[1]["id"])

    async def _catch_up(self) -> None:
        if await self.ask("roomJoin", ROOM) is None:
            return
        while True:
            known = max(self.messages, default=0)
            answer = await self.ask("roomHistoryGet", ROOM, known, 100)
            if answer is None:
                return
            for message in answer[0]:
                self._take(message)
            if len(answer[0]) < 100:
                self.joined.set()
                return

    def _take(self, message: dict[str, Any]) -> None:
        self.messages[message["id"]] = message["textMessage"]

    async def ask(self, command: str, *args: Any) -> list[Any] | None:
        """The results of a command; None when the connection was lost before its ack came, or before it."""
        ends = len(self.client.received("disconnect"))
        asked = asyncio.create_task(self.client.emit(command, *args))
        while not asked.done():
            if len(self.client.received("disconnect")) > ends:
                # Sent over the connection that is gone: there will be no ack.
                asked.cancel()
                await asyncio.gather(asked, return_exceptions=True)
                return None
            await asyncio.sleep(0.005)
        error, *results = asked.result()
        if error in TOO_EARLY:
            # The library keeps what is sent while it is not connected, and sends it before the login is done.
            return None
        assert error is None, f"{command}: {error}"
        return results

    async def say(self, text: str) -> int:
        """Send a message until it is acknowledged; one that is in the history already is not sent twice."""
        while True:
            await self.joined.wait()
            answer = await self.ask("roomMessage", ROOM, {"textMessage": text})
            if answer is not None:
                return int(answer[0])
            await self.joined.wait()
            found = [number for number, said in self.messages.items() if said == text]
            if found:
                return found[0]

    async def stop(self) -> None:
        self._task.cancel()
        result = (await asyncio.gather(self._task, return_exceptions=True))[0]
        assert isinstance(result, asyncio.CancelledError), result
        await self.client.disconnect()
