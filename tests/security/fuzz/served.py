"""A service under attack, in a thread with its own, monitored event loop."""

import asyncio
import gc
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from chat_service import ChatService
from chat_service.contracts.bus import RoomEvent
from chat_service.hooks import Login
from chat_service.stores.memory.room import CHANGES_KEPT
from tests.security.fuzz.exchange import descriptors
from tests.security.fuzz.grammar import LARGEST, NAMESPACE
from tests.support.parts import parts_of
from tests.support.patience import PATIENCE

T = TypeVar("T")


class WatchedLoop(asyncio.SelectorEventLoop):
    """Notes the processor time of its longest turn. What other programs take does not count, nor does the
    garbage collector, which runs for all threads of the process in whichever it happens to."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self._collecting = 0.0
        self._collected = 0.0

    def collects(self, phase: str, _: Any) -> None:
        """A callback of ``gc``."""
        if threading.get_ident() == self._thread_id:  # type: ignore[attr-defined]
            if phase == "start":
                self._collecting = time.thread_time()
            else:
                self._collected += time.thread_time() - self._collecting

    def _run_once(self) -> None:
        begun, collected = time.thread_time(), self._collected
        super()._run_once()  # type: ignore[misc]
        turn = time.thread_time() - begun - (self._collected - collected)
        if turn > self.longest:
            self.longest = turn


class Notes(logging.Handler):
    """What the service logs: errors, and why connections end."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.errors: list[str] = []
        self.reasons: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self.errors.append(self.format(record))
        elif isinstance(record.args, tuple) and "connection %s" in str(record.msg):
            # "connection %s ends: %s", "closing connection %s because of a bad packet: %s"
            self.reasons[str(record.args[0])] = record.getMessage()


async def _on_connect(service: ChatService, socket_id: Any) -> Login:
    name = service.transport.get_handshake_data(socket_id).query["userName"]
    return Login(name, ephemeral=name.startswith("fuzz"))


class Served:
    """One service for each serializer."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.services: dict[str, ChatService] = {}
        #: Why the sessions of connections ended, as the transport has it.
        self.ends: dict[str, str] = {}
        self.loop = WatchedLoop()
        self._thread = threading.Thread(target=self._run, name="attacked service")

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(
            lambda _, context: self.notes.errors.append(
                f"{context.get('message')}: {context.get('exception')!r}"
            )
        )
        self.loop.run_forever()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the service's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def __enter__(self) -> Self:
        logger = logging.getLogger("chat_service")
        logging.getLogger().addHandler(self.notes)
        self._level = logger.level
        logger.setLevel(logging.DEBUG)
        self._thread.start()
        for serializer in ("json", "msgpack"):
            self.services[serializer] = self.call(self._start(serializer))
        gc.callbacks.append(self.loop.collects)
        return self

    async def _start(self, serializer: str) -> ChatService:
        service = ChatService(
            host="127.0.0.1",
            port=0,
            enable_rooms_management=True,
            enable_direct_messages=True,
            enable_userlist_updates=True,
            enable_access_lists_updates=True,
            command_rate=None,
            room_list_size_limit=200,
            direct_list_size_limit=200,
            history_max_size=100,
            history_max_bytes=2 * LARGEST,
            hooks={"on_connect": _on_connect, "room_messages_checker": lambda message: None},
            transport_options={
                "serializer": serializer,
                "max_message_size": LARGEST,
                # On a busy machine the other clients, which share this process, answer late.
                "ping_timeout": 10 * PATIENCE,
            },
        )
        await service.start()
        await service.add_room("room")
        await service.add_room("whitelisted", whitelist_only=True, whitelist=["raw"], owner="raw")
        hub = service.transport.get_server().eio.hub
        on_end = hub.on_end

        def noted(peer: Any, reason: str) -> Any:
            self.ends[peer.sid] = reason
            return on_end(peer, reason)

        hub.on_end = noted
        return service

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            gc.callbacks.remove(self.loop.collects)
            for service in self.services.values():
                self.call(service.close())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()
            logging.getLogger().removeHandler(self.notes)
            logging.getLogger("chat_service").setLevel(self._level)

    def end_abandoned(self, serializer: str, kept: str) -> None:
        """End polling sessions whose clients have only asked for them: they would end at the ping timeout."""
        self.call(self._end_abandoned(serializer, kept))

    async def _end_abandoned(self, serializer: str, kept: str) -> None:
        engine = self.services[serializer].transport.get_server().eio
        for sid in [sid for sid in engine.sockets if sid != kept]:
            await engine.disconnect(sid)

    # What it holds

    def census(self) -> Counter[str]:
        """Everything that belongs to clients, and the tasks and descriptors of the process."""
        return self.call(self._census())

    async def _census(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for name, service in self.services.items():
            server = service.transport.get_server()
            parts = parts_of(service)
            found[f"{name}: Engine.IO sessions"] = len(server.eio.sockets)
            found[f"{name}: environs"] = len(server.environ)
            found[f"{name}: announced attachments"] = parts.transport._dispatcher.announced  # type: ignore[attr-defined]
            rooms = server.manager.rooms
            found[f"{name}: namespaces"] = len(rooms)
            found[f"{name}: sockets"] = len(rooms.get(NAMESPACE, {}).get(None, {}))
            found[f"{name}: pending"] = len(server.manager.pending_connect) + len(
                server.manager.pending_disconnect
            )
            found[f"{name}: users' sockets"] = len(await service.get_instance_sockets())
        found["tasks"] = len(asyncio.all_tasks()) - 1
        found["descriptors"] = descriptors()
        return found

    def objects(self) -> Counter[str]:
        """Objects of the product and of the loop that exist, by their types.

        Without the changes that rooms keep for clients that come back, whose number has a bound.
        """
        gc.collect()
        kinds = (type(item) for item in gc.get_objects())
        found = Counter(
            f"{kind.__module__}.{kind.__qualname__}"
            for kind in kinds
            if str(kind.__module__).startswith(("chat_service", "asyncio", "socketio", "aiohttp", "_asyncio"))
        )
        found[f"{RoomEvent.__module__}.{RoomEvent.__qualname__}"] -= self.call(self._count_changes())
        return found

    async def _count_changes(self) -> int:
        kept = 0
        for service in self.services.values():
            for room in parts_of(service).store.backend.rooms.values():  # type: ignore[attr-defined]
                changes = len(room._changes)
                assert changes <= CHANGES_KEPT
                kept += changes
        return kept


def grown(before: Counter[str], after: Counter[str], slack: int = 0) -> str:
    """What there is more of, by more than ``slack``, as a text; empty for nothing."""
    return ", ".join(
        f"{name}: {before[name]} -> {count}"
        for name, count in sorted(after.items())
        if count > before[name] + slack
    )


#: Reads the service's counters again and again, until a condition holds.
Look = Callable[[], str]


def wait_for_nothing(look: Look) -> str:
    """Look until there is nothing to complain of, or patience ends."""
    deadline = time.monotonic() + PATIENCE
    pause = 0.0005
    while (complaint := look()) and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(0.05, pause * 2)
    return complaint
