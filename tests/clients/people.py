"""The two clients behind one interface with the same calls and results."""

import asyncio
import re
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from chat_service import ChatServiceError
from chat_service.client import (
    ChatClient,
    ConnectFailedError,
    EphemeralEvent,
    Gap,
    NotConnectedError,
    OutboxError,
    OutcomeUnknownError,
)
from tests.e2e.clients import NodeProcess, to_json
from tests.support.patience import PATIENCE

#: What the JavaScript client calls errors of the client itself.
LOCAL_ERRORS = {
    ConnectFailedError: "connectFailed",
    NotConnectedError: "disconnected",
    OutcomeUnknownError: "unconfirmed",
    OutboxError: "outboxFull",
}

#: ``{"value": …}``, or ``{"error": code}`` with the ``args`` of an error of the service.
Outcome = dict[str, Any]


class Person(Protocol):
    """A user's client. ``log``: what a room's stream gave, or the notifications that ``listen`` asked for."""

    async def login(self, url: str, auth: Mapping[str, Any], options: Mapping[str, Any]) -> Outcome: ...
    async def status(self) -> dict[str, Any]: ...
    async def call(self, command: str, *args: Any) -> Outcome: ...
    async def call_all(self, command: str, *args: Any) -> Outcome: ...
    async def join(self, room: str, recent: int = 0) -> Outcome: ...
    async def leave(self, room: str) -> Outcome: ...
    async def send(self, room: str, message: Mapping[str, Any], key: str | None = None) -> Outcome: ...
    async def send_event(self, room: str, name: str, data: Any = None) -> Outcome: ...
    async def mark_read(self, room: str, message_id: int | None = None) -> Outcome: ...
    async def unread(self, room: str) -> Outcome: ...
    async def begin(
        self, name: str, room: str, message: Mapping[str, Any], key: str | None = None
    ) -> None: ...
    async def outcome(self, name: str) -> Outcome: ...
    async def listen(self, event: str) -> None: ...
    async def log(self, name: str) -> list[list[Any]]: ...
    async def close(self) -> None: ...


class JavaScriptPerson:
    """``clients/js`` in the Node process."""

    def __init__(self, node: NodeProcess, name: str) -> None:
        self._node = node
        self._name = name

    async def _ask(self, op: str, **fields: Any) -> Any:
        return await self._node.ask(op, who=self._name, **fields)

    async def login(self, url: str, auth: Mapping[str, Any], options: Mapping[str, Any]) -> Outcome:
        names = {"outbox_limit": "outboxLimit", "outbox_max_age": "outboxMaxAge"}
        given = {"timeout": PATIENCE * 1000, **{names[name]: value for name, value in options.items()}}
        return dict(await self._ask("login", url=url, auth=auth, options=given))

    async def status(self) -> dict[str, Any]:
        return dict(await self._ask("status"))

    async def call(self, command: str, *args: Any) -> Outcome:
        return dict(await self._ask("call", command=command, args=to_json(args)))

    async def call_all(self, command: str, *args: Any) -> Outcome:
        return dict(await self._ask("callAll", command=command, args=to_json(args)))

    async def join(self, room: str, recent: int = 0) -> Outcome:
        outcome = await self._ask("join", room=room, recent=recent)
        return {"value": None} if "value" in outcome else dict(outcome)

    async def leave(self, room: str) -> Outcome:
        outcome = await self._ask("leave", room=room)
        return {"value": None} if "value" in outcome else dict(outcome)

    async def send(self, room: str, message: Mapping[str, Any], key: str | None = None) -> Outcome:
        return dict(await self._ask("send", room=room, message=to_json(dict(message)), key=key))

    async def send_event(self, room: str, name: str, data: Any = None) -> Outcome:
        return dict(await self._ask("sendEvent", room=room, name=name, data=to_json(data)))

    async def mark_read(self, room: str, message_id: int | None = None) -> Outcome:
        return dict(await self._ask("markRead", room=room, upTo=message_id))

    async def unread(self, room: str) -> Outcome:
        return dict(await self._ask("unread", room=room))

    async def begin(self, name: str, room: str, message: Mapping[str, Any], key: str | None = None) -> None:
        await self._ask("begin", name=name, room=room, message=to_json(dict(message)), key=key)

    async def outcome(self, name: str) -> Outcome:
        return dict(await self._ask("outcome", name=name))

    async def listen(self, event: str) -> None:
        await self._ask("listen", event=event)

    async def log(self, name: str) -> list[list[Any]]:
        return list(await self._ask("log", name=name))

    async def close(self) -> None:
        await self._ask("close")


class PythonPerson:
    """``chat_service.client`` in the test's own loop."""

    def __init__(self) -> None:
        self._made: ChatClient | None = None
        self._logs: dict[str, list[list[Any]]] = {}
        self._sent: dict[str, asyncio.Task[Outcome]] = {}
        self._readers: list[asyncio.Task[None]] = []

    @property
    def _client(self) -> ChatClient:
        assert self._made is not None, "not logged in"
        return self._made

    async def login(self, url: str, auth: Mapping[str, Any], options: Mapping[str, Any]) -> Outcome:
        await self.close()
        logins = 0
        given = dict(auth)
        failing = given.pop("failing", [])

        async def credentials() -> dict[str, Any]:
            nonlocal logins
            logins += 1
            if logins in failing:
                raise RuntimeError("there are no credentials now")
            return {**given, "login": logins}

        self._made = ChatClient(
            url, auth=credentials, timeout=PATIENCE, reconnect_delay=0.02, max_reconnect_delay=0.05, **options
        )

        async def connect() -> str:
            return (await self._client.connect()).user_name

        return await _outcome(connect())

    async def status(self) -> dict[str, Any]:
        login = self._client.login
        return {"online": self._client.is_online, "socket": login and login.id}

    async def call(self, command: str, *args: Any) -> Outcome:
        outcome = await self.call_all(command, *args)
        return {"value": outcome["value"][0]} if "value" in outcome else outcome

    async def call_all(self, command: str, *args: Any) -> Outcome:
        """By the typed method of the command, which takes the options as keywords."""
        options = args[-1] if args and isinstance(args[-1], Options) else {}
        plain = args[:-1] if options else args
        method = getattr(self._client.commands, _snake_case(command))
        outcome = await _outcome(method(*plain, **{_snake_case(name): options[name] for name in options}))
        if "value" in outcome:
            value = outcome["value"]
            values = value if isinstance(value, tuple) else (value,)
            # Without the option there is no second value.
            outcome["value"] = [value for index, value in enumerate(values) if not index or value is not None]
        return outcome

    async def join(self, room: str, recent: int = 0) -> Outcome:
        async def join() -> None:
            joined = await self._client.join(room, recent=recent)
            log = self._logs.setdefault(room, [])

            @joined.on_gap
            def note(gap: Gap) -> None:
                log.append(["restarted"] if gap.epoch_changed else ["gap", gap.first, gap.last])

            @joined.on_event
            def hear(event: EphemeralEvent) -> None:
                log.append(["event", event["author"], event["name"], event["data"]])

            async def read() -> None:
                async for message in joined:
                    content = message.get("parts", message.get("textMessage"))
                    log.append([message["id"], message["author"], content])
                log.append(["end"])

            self._readers.append(asyncio.create_task(read()))

        return await _outcome(join())

    async def leave(self, room: str) -> Outcome:
        return await _outcome(self._client.room(room).leave())

    async def send(self, room: str, message: Mapping[str, Any], key: str | None = None) -> Outcome:
        return await _outcome(self._client.room(room).send(message, key=key))

    async def send_event(self, room: str, name: str, data: Any = None) -> Outcome:
        return await _outcome(self._client.room(room).send_event(name, data))

    async def mark_read(self, room: str, message_id: int | None = None) -> Outcome:
        return await _outcome(self._client.room(room).mark_read(message_id))

    async def unread(self, room: str) -> Outcome:
        return await _outcome(self._client.room(room).unread())

    async def begin(self, name: str, room: str, message: Mapping[str, Any], key: str | None = None) -> None:
        self._sent[name] = asyncio.create_task(self.send(room, message, key))
        # The task has to begin, since the order of the calls is that of the messages.
        await asyncio.sleep(0)

    async def outcome(self, name: str) -> Outcome:
        return await self._sent[name]

    async def listen(self, event: str) -> None:
        log = self._logs.setdefault(event, [])
        self._client.on(event, lambda *args: log.append(list(args)))

    async def log(self, name: str) -> list[list[Any]]:
        return self._logs.get(name, [])

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self._readers, *self._sent.values())


class Options(dict[str, Any]):
    """The options object at the end of a command's arguments."""


async def _outcome(work: Awaitable[Any]) -> Outcome:
    try:
        return {"value": await work}
    except ChatServiceError as error:
        return {"error": error.code, "args": list(error.arguments)}
    except tuple(LOCAL_ERRORS) as error:
        return {"error": LOCAL_ERRORS[type(error)]}


def _snake_case(name: str) -> str:
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)
