"""The environment of a scenario: a service, a breakable network in front of it, and users with clients."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from chat_service import ChatService, ChatServiceError, CommandCall, MemoryBackend, MemoryStore
from chat_service.contracts.bus import Envelope, RoomEvent, Topic
from chat_service.testing import wait_until
from tests.clients.people import Outcome, Person
from tests.clients.scenarios import LOGIN_END, Scenario, Step
from tests.redis.proxy import Proxy
from tests.support.faults import FaultyStore, as_store
from tests.support.patience import PATIENCE
from tests.support.redis_servers import free_port

END = ["end"]


class Scene:
    """Does the steps of scenarios. ``make_person``: a client for a name, which is not logged in."""

    def __init__(self, scenario: Scenario, make_person: Callable[[str], Person]) -> None:
        self._scenario = scenario
        self._make_person = make_person
        self._people: dict[str, Person] = {}
        self._proxies: dict[str, Proxy] = {}
        #: How many calls of a command the store will not be able to answer.
        self._failing: dict[str, int] = {}
        #: Users whose logins are rejected, and with which error.
        self._rejected: dict[str, str] = {}
        #: How much of a log the steps have read, by person and log.
        self._read: dict[tuple[str, str], int] = {}
        #: The logins of a user, as the client has numbered them.
        self._logins: dict[str, list[int]] = {}
        self._stack = AsyncExitStack()
        self._store = FaultyStore(MemoryStore(MemoryBackend()))
        self._service = ChatService(
            host="127.0.0.1",
            port=0,
            store=as_store(self._store),
            hooks={
                "on_connect": self._on_connect,
                "on_refresh": lambda *_: LOGIN_END,
                "room_join_before": self._fail,
                "room_messages_checker": self._check_message,
                "room_message_before": self._before_message,
            },
            enable_rooms_management=True,
            enable_direct_messages=True,
            enable_direct_conversations=True,
            own_rooms_limit=10,
            # A catch-up needs several answers.
            history_max_get_messages=5,
        )

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._service)
        for name, options in self._scenario.rooms.items():
            await self._service.add_room(name, **options)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for person in self._people.values():
            await person.close()
        await self._stack.aclose()

    async def play(self) -> None:
        """Do all steps, and see that nothing has come besides what they have read."""
        for name in self._scenario.people:
            await self._log_in(name)
        for step in self._scenario.steps:
            try:
                async with asyncio.timeout(2 * PATIENCE):
                    await self._do(step)
            except Exception as error:
                error.add_note(f"in {step}")
                raise
        await self._expect_nothing_more()

    async def _do(self, step: Step) -> None:
        if step.who in ("server", "network"):
            await getattr(self, f"_{step.who}_{step.do}")(*step.args, **step.named)
        elif (own := getattr(self, f"_person_{step.do}", None)) is not None:
            await own(step.who, *step.args, **step.named)
        else:
            if step.do == "login":
                outcome = await self._log_in(step.who, **step.named)
            else:
                outcome = await getattr(self._people[step.who], step.do)(*step.args, **step.named)
            self._check(step, outcome)

    def _check(self, step: Step, outcome: Outcome | None) -> None:
        if step.expect is not None:
            assert outcome == step.expect, f"{step}: {outcome}"
        elif outcome is not None:
            assert "value" in outcome, f"{step}: {outcome}"

    async def _expect_nothing_more(self) -> None:
        """A message that follows everything comes right after what was read."""
        rooms = {room for _, room in self._read if room in self._scenario.rooms}
        for room in [*rooms]:
            try:
                await self._server_post(room, "the end")
            except ChatServiceError:
                # The room was deleted.
                rooms.remove(room)
        for (name, room), position in self._read.items():
            if room in rooms and await self._is_following(name, room, position):
                await self._more(name, room, position, 1)
                rest = (await self._people[name].log(room))[position:]
                assert [entry[-1] for entry in rest] == ["the end"], f"{name} in {room}: {rest}"

    async def _is_following(self, name: str, room: str, position: int) -> bool:
        log = await self._people[name].log(room)
        status = await self._people[name].status()
        return bool(status["online"]) and log[position - 1 : position] != [END]

    # People

    async def _log_in(self, name: str, *, nowhere: bool = False, **auth: Any) -> dict[str, Any]:
        if name not in self._people:
            self._people[name] = self._make_person(name)
            assert self._service.port is not None
            proxy = self._proxies[name] = Proxy(self._service.port)
            await self._stack.enter_async_context(proxy)
        port = free_port() if nowhere else self._proxies[name].port
        given = {"userName": name, **auth}
        return await self._people[name].login(f"http://127.0.0.1:{port}", given, self._scenario.options)

    async def _person_reads(self, name: str, log: str, expected: list[list[Any]]) -> None:
        """What has come since the last reading is this, in this order."""
        position = self._read.get((name, log), 0)
        await self._more(name, log, position, len(expected))
        found = (await self._people[name].log(log))[position : position + len(expected)]
        assert found == expected, f"{name} in {log}: {found}"
        self._read[name, log] = position + len(expected)

    async def _more(self, name: str, log: str, position: int, count: int) -> None:
        person = self._people[name]

        async def has_come() -> bool:
            return len(await person.log(log)) >= position + count

        try:
            await wait_until(has_come, f"{count} more for {name} in {log}")
        except TimeoutError as error:
            error.add_note(f"there is {(await person.log(log))[position:]}")
            raise

    async def _person_is_gone(self, name: str) -> None:
        await self._wait_for_status(name, lambda status: not status["online"])

    async def _wait_for_status(self, name: str, holds: Callable[[Mapping[str, Any]], bool]) -> None:
        async def is_so() -> bool:
            return holds(await self._people[name].status())

        await wait_until(is_so, f"the status of {name}")

    # The network

    async def _network_offline(self, name: str) -> None:
        """The connection is lost, and no new one is possible."""
        proxy = self._proxies[name]
        proxy.refuse = lambda writer: writer.close()
        proxy.cut()
        await self._wait_for_status(name, lambda status: not status["online"])

    async def _network_online(self, name: str) -> None:
        self._proxies[name].mend()
        await self._wait_for_status(name, lambda status: bool(status["online"]))

    async def _network_works(self, name: str) -> None:
        """As ``online``, for a client that may stay away."""
        self._proxies[name].mend()

    async def _network_cut(self, name: str) -> None:
        """The connection is lost, and the next one comes at once."""
        before = (await self._people[name].status())["socket"]
        self._proxies[name].mend()
        self._proxies[name].cut()
        await self._wait_for_status(name, lambda status: status["online"] and status["socket"] != before)

    async def _network_breaks(self, name: str) -> None:
        """As ``cut``, for a client that may stay away."""
        self._proxies[name].mend()
        self._proxies[name].cut()

    async def _network_deaf(self, name: str) -> None:
        """What the server sends is lost."""
        self._proxies[name].deaf = lambda connection: True

    # The server

    async def _server_post(self, room: str, *texts: str) -> None:
        for text in texts:
            message = {"textMessage": text, "author": "server"}
            await self._service.exec_user_command(True, "roomMessage", room, message)

    async def _server_command(self, command: str, *args: Any) -> None:
        await self._service.exec_user_command(True, command, *args)

    async def _server_api(self, method: str, *args: Any, **named: Any) -> None:
        await getattr(self._service, method)(*args, **named)

    async def _server_loses(self, last: int) -> None:
        """The bus loses the messages up to an id."""

        def loses(topic: Topic, envelope: Envelope) -> bool:
            return (
                isinstance(envelope, RoomEvent) and envelope.is_message and envelope.last_message_id <= last
            )

        self._store.loses = loses

    async def _server_fails(self, command: str, count: int) -> None:
        self._failing[command] = count

    async def _server_rejects(self, name: str, code: str) -> None:
        """The next logins of a user are rejected."""
        self._rejected[name] = code

    async def _server_stores(self, room: str, texts: list[str]) -> None:
        """In the end the room has these messages."""
        found: list[str] = []

        async def has() -> bool:
            answer = await self._service.exec_user_command(True, "roomHistoryGet", room, 0, 1000)
            found[:] = [message["textMessage"] for message in reversed(answer[0])]
            return len(found) >= len(texts)

        await wait_until(has, f"{texts} in {room}")
        assert found == texts

    async def _server_saw(self, name: str, logins: list[int]) -> None:
        assert self._logins[name] == logins

    # Hooks

    def _on_connect(self, service: ChatService, socket_id: str) -> str:
        auth = service.transport.get_handshake_data(socket_id).auth
        assert isinstance(auth, dict)
        code = auth.get("refused") or self._rejected.get(auth["userName"])
        if code:
            raise ChatServiceError(code)
        self._logins.setdefault(auth["userName"], []).append(auth["login"])
        return str(auth["userName"])

    def _fail(self, call: CommandCall) -> None:
        left = self._failing.get(call.command, 0)
        if left and not call.is_local_call:
            self._failing[call.command] = left - 1
            raise ChatServiceError("timeout")

    def _check_message(self, message: Any) -> None:
        if "textMessage" not in message and "parts" not in message:
            raise ChatServiceError("badArgument", 1, message)

    def _before_message(self, call: CommandCall) -> None:
        self._fail(call)
        if call.args[1].get("textMessage") == "coffee":
            raise ChatServiceError("teapot", call.args[0])
