"""Runs commands and scripts on the right node, retrying those that Redis certainly did not execute."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any

from chat_service.concurrency.deadlines import current_patience
from chat_service.concurrency.eager import in_task
from chat_service.concurrency.running import Background
from chat_service.errors import ConfigurationError, StoreError, StoreRefusedError, StoreTimeoutError
from chat_service.stores.redis.dialing import NO_LOGIN
from chat_service.stores.redis.link import Encodable, Link, RedisReplyError, pack_command
from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.stores.redis.scripts import Script
from chat_service.stores.redis.topology import Topology
from chat_service.stores.redis.urls import Address

logger = logging.getLogger("chat_service")

#: Time in seconds between attempts of a command that Redis temporarily refuses.
RETRY_PAUSE = 0.05
#: Time in seconds without retries after a command was refused until its timeout.
IMPATIENCE = 1.0
#: Time in seconds for what follows a change that Redis refused until its timeout.
ANSWERED_GRACE = 0.25
#: The first Redis version with sharded pub/sub.
OLDEST_VERSION = (7, 0)

#: Error replies that prove the command was not executed; it may work on another node or later.
_ELSEWHERE = frozenset({"MOVED", "ASK"})
_SOON = frozenset({"TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "BUSY", "NOREPLICAS"})
#: Error replies of a Redis that refuses changes for lack of memory, disk or replicas. Nothing was changed.
_REFUSED = frozenset({"OOM", "MISCONF", "NOREPLICAS", "READONLY"})
#: Error replies of a Redis that currently refuses all commands.
_OCCUPIED = frozenset({"LOADING", "BUSY"})
#: Error reply of a script about a room of which a change is unfinished. It has done nothing.
_UNFINISHED = "UNFINISHED"
#: Error replies after which ``run`` knows what to do.
_REPEATED = _ELSEWHERE | _SOON | {"NOSCRIPT", _UNFINISHED}

_MULTI, _EXEC = pack_command(("MULTI",)), pack_command(("EXEC",))


class RedisClient:
    """Sends commands to a single server, a Sentinel master or a cluster. A command's keys are all in one
    slot.

    Every command ends within ``command_timeout``. A command that Redis did not execute is retried. If the
    reply was lost, its outcome is unknown, so it is not retried and raises ``StoreTimeoutError``. If Redis
    currently refuses changes it raises ``StoreRefusedError``.
    """

    def __init__(self, options: RedisOptions) -> None:
        self._options = options
        # A command with nearly all of its time left needs no timer besides the link's timeout.
        self._ample = options.command_timeout * 0.9
        #: Background tasks of everything that uses this client.
        self.background = Background()
        self.topology = Topology(options, background=self.background)
        #: Commands without a reply in time or never accepted, and commands with an error reply.
        self.timeouts = 0
        self.errors = 0
        # Until then refused commands are not retried, because one was refused until its timeout.
        self._impatient_until = 0.0
        #: Finishes the unfinished change of the room whose first key this is.
        self.finish_change: Callable[[str], Awaitable[None]] | None = None

    async def open(self) -> None:
        """Connect, and check that this Redis is suitable. Raises ``ConfigurationError``, ``StoreError``."""
        self.topology.check()
        if self._options.cluster:
            # Check the server in the url first, since only a cluster can answer about slots.
            await self._check_node(self.topology.connector.address)
        await self.topology.refresh()
        await self._check_node(await self.topology.address_of("{probe}"))

    @property
    def is_cluster(self) -> bool:
        """Whether this is a cluster."""
        return self._options.cluster

    async def _check_node(self, address: Address) -> None:
        """Raises ``ConfigurationError`` if Redis is too old or its mode differs from the options."""
        link = await self.topology.open_link(address)
        version, mode = await _ask_what_it_is(link, address)
        if mode == "sentinel":
            raise ConfigurationError(
                f"Redis at {address} is a Sentinel: set store_options sentinels and sentinel_service"
            )
        found = re.match(r"(\d+)\.(\d+)", version)
        if version and (found is None or (int(found[1]), int(found[2])) < OLDEST_VERSION):
            oldest = ".".join(map(str, OLDEST_VERSION))
            raise ConfigurationError(
                f"Redis at {address} has version {version}; {oldest} or newer is required"
            )
        is_cluster = mode == "cluster"
        if mode and is_cluster != self._options.cluster:
            is_or_not = "is" if is_cluster else "is not"
            raise ConfigurationError(
                f"Redis at {address} {is_or_not} a cluster node: set store_options cluster={is_cluster}"
            )

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self.topology.close()

    async def run(
        self, script: Script, keys: Sequence[str], *args: Encodable, is_patient: bool = True
    ) -> Any:
        """Run a script by its digest, loading it on a server that lacks it. Raises ``StoreError``.

        If a change of the room is unfinished, it is finished first. ``is_patient``: whether to retry while
        Redis is busy or refuses changes.
        """
        packed = pack_command(("EVALSHA", script.digest, len(keys), *keys, *args))
        link = self._ready_link(keys[0])
        try:
            if link is None:
                return await self._insist(keys[0], packed, 0, [], is_patient=is_patient)
            try:
                # As in ``_send``, whose coroutine would be as expensive as this whole attempt.
                return await link.submit_packed(packed)
            except (RedisReplyError, StoreTimeoutError) as error:
                refusals = self._weigh(error, is_patient)
            return await self._insist(keys[0], packed, 0, refusals, is_patient=is_patient)
        except RedisReplyError as error:
            refusal = error
        # A room may get one long change after another.
        until = monotonic() + self.seconds_left()
        while True:
            if refusal.kind == "NOSCRIPT":
                packed = pack_command(("EVAL", script.text, len(keys), *keys, *args))
            elif refusal.kind == _UNFINISHED and self.finish_change is not None and monotonic() < until:
                packed = pack_command(("EVALSHA", script.digest, len(keys), *keys, *args))
                await self.finish_change(keys[0])
            else:
                raise self._failure(f"script {script.name}", refusal) from None
            try:
                return await self._send(keys[0], packed, is_patient=is_patient)
            except RedisReplyError as error:
                refusal = error

    async def run_each(self, script: Script, groups: Sequence[Sequence[str]], *args: Encodable) -> list[Any]:
        """Run a script once for each group of keys, which may be on different nodes. Raises ``StoreError``.

        All are sent together, so this takes one round trip per node if the nodes of the keys are known.
        """
        # Timeouts need a task.
        await in_task()
        try:
            async with asyncio.timeout(self.seconds_left()):
                return await self._run_each(script, groups, args)
        except TimeoutError:
            self.timeouts += 1
            raise _refused([]) from None

    async def _run_each(
        self, script: Script, groups: Sequence[Sequence[str]], args: Sequence[Encodable]
    ) -> list[Any]:
        topology, answers = self.topology, dict[int, Any]()
        sent: dict[int, asyncio.Future[Any]] = {}
        for number, keys in enumerate(groups):
            address = topology.address_known(keys[0])
            link = None if address is None else topology.link_known(address)
            if link is not None:
                packed = pack_command(("EVALSHA", script.digest, len(keys), *keys, *args))
                sent[number] = link.submit_packed(packed)
        for number, answer in zip(
            sent, await asyncio.gather(*sent.values(), return_exceptions=True), strict=True
        ):
            if not isinstance(answer, BaseException):
                answers[number] = answer
            elif not isinstance(answer, RedisReplyError):
                self.timeouts += 1
                topology.forget()
                raise answer
            elif answer.kind not in _REPEATED:
                raise self._failure(f"script {script.name}", answer)
        left = [number for number in range(len(groups)) if number not in answers]
        # One per node, which finds the node and loads the script there; then the others.
        first = list({topology.address_known(groups[number][0]): number for number in left}.values())
        for part in (first, [number for number in left if number not in first]):
            done = await asyncio.gather(*(self.run(script, groups[number], *args) for number in part))
            answers.update(zip(part, done, strict=True))
        return [answers[number] for number in range(len(groups))]

    async def call(self, key: str, *command: Encodable) -> Any:
        """Run a command on the node of a key. Raises ``StoreError``."""
        try:
            return await self.command(key, *command)
        except RedisReplyError as error:
            raise self._failure(str(command[0]), error) from None

    async def read(self, key: str, *commands: tuple[Encodable, ...]) -> list[Any]:
        """Run several reads in one slot atomically, in one round trip. Raises ``StoreError``.

        This uses a transaction because returning a long reply from a script costs Redis several times as
        much. When out of memory, Redis runs reading scripts but refuses transactions: ``StoreRefusedError``.
        """
        packed = b"".join([_MULTI, *map(pack_command, commands), _EXEC])
        try:
            answers: list[Any] = await self._send(key, packed, 1 + len(commands))
        except RedisReplyError as error:
            raise self._failure(str(commands[0][0]), error) from None
        for answer in answers:
            if isinstance(answer, RedisReplyError):
                self.errors += 1
                raise StoreError(f"a transaction: {answer}")
        return answers

    def _failure(self, what: str, error: RedisReplyError) -> StoreError:
        self.errors += 1
        if error.kind == _UNFINISHED:
            return StoreTimeoutError(f"{what}: a change of the room is not finished yet")
        if error.kind in _REFUSED:
            return StoreRefusedError(f"Redis refuses changes: {error}")
        return StoreError(f"{what}: {error}")

    async def command(self, key: str, *command: Encodable) -> Any:
        """``call`` that raises error replies as ``RedisReplyError``."""
        return await self._send(key, pack_command(command))

    async def _send(self, key: str, packed: bytes, before: int = 0, *, is_patient: bool = True) -> Any:
        link, refusals = self._ready_link(key), list[RedisReplyError]()
        if link is not None:
            try:
                return await link.submit_packed(packed, before)
            except (RedisReplyError, StoreTimeoutError) as error:
                refusals = self._weigh(error, is_patient)
        return await self._insist(key, packed, before, refusals, is_patient=is_patient)

    def _ready_link(self, key: str) -> Link | None:
        """The open link to the node of a key, if there is time to wait for the link's own timeout.

        This is the usual case, which needs no timer.
        """
        patience = current_patience.get()
        if patience is not None and patience.left <= self._ample:
            return None
        topology = self.topology
        address = topology.address_known(key)
        return None if address is None else topology.link_known(address)

    def _weigh(self, error: RedisReplyError | StoreTimeoutError, is_patient: bool) -> list[RedisReplyError]:
        """What a first attempt raised, as the refusals so far; raised again if another one is useless."""
        if isinstance(error, RedisReplyError):
            if error.kind not in _ELSEWHERE and error.kind not in _SOON:
                raise error
            if not self._is_useless(error, is_patient):
                return [error]
            error = _refused([error])
        self.timeouts += 1
        self.topology.forget()
        raise error from None

    async def _insist(
        self, key: str, packed: bytes, before: int, refusals: list[RedisReplyError], *, is_patient: bool
    ) -> Any:
        """Send a command until a node executes it, for as long as there is time."""
        topology, patience = self.topology, current_patience.get()
        # Timeouts need a task.
        await in_task()
        seconds = self.seconds_left()
        if seconds <= 0:
            self.timeouts += 1
            raise _refused(refusals)
        try:
            async with asyncio.timeout(seconds):
                return await self._persist(key, packed, before, refusals, is_patient=is_patient)
        except TimeoutError:
            self.timeouts += 1
            topology.forget()
            if refusals and refusals[-1].kind in _REFUSED:
                self._impatient_until = monotonic() + IMPATIENCE
            if refusals and patience is not None:
                # Redis answers: it may do the next step, or the next command, which only reads.
                patience.excuse(ANSWERED_GRACE)
            raise _refused(refusals) from None
        except StoreError:
            self.timeouts += 1
            raise

    def _is_useless(self, refusal: RedisReplyError, is_patient: bool) -> bool:
        """Whether retrying is pointless, because another command was refused until its timeout."""
        if not is_patient:
            return refusal.kind in _REFUSED or refusal.kind in _OCCUPIED
        if refusal.kind not in _REFUSED or monotonic() > self._impatient_until:
            return False
        self._impatient_until = monotonic() + IMPATIENCE
        return True

    def seconds_left(self) -> float:
        """Maximum time in seconds for an operation that starts now."""
        patience = current_patience.get()
        longest = self._options.command_timeout
        return longest if patience is None else min(patience.left, longest)

    async def nodes(self) -> list[Address]:
        """The current nodes that hold keys: all masters of a cluster, or the single server."""
        await self.topology.refresh()
        return sorted(self.topology.masters())

    async def call_node(self, address: Address, *command: Encodable) -> Any:
        """Run a command without keys on a node. Raises ``StoreError``."""
        await in_task()
        try:
            async with asyncio.timeout(self._options.command_timeout):
                link = await self.topology.open_link(address)
                return await link.submit(*command)
        except TimeoutError:
            self.timeouts += 1
            raise StoreTimeoutError(f"Redis at {address} did not accept the command in time") from None
        except RedisReplyError as error:
            raise self._failure(str(command[0]), error) from None

    async def _persist(
        self, key: str, packed: bytes, before: int, refusals: list[RedisReplyError], *, is_patient: bool
    ) -> Any:
        """Send a command until a node executes it, following redirections and waiting for nodes.

        ``refusals`` collects the error replies, so that the last one is known if time runs out.
        """
        address = self.topology.address_known(key) or self.topology.connector.address
        while True:
            asking = False
            refusal = refusals[-1] if refusals else None
            if refusal is not None and refusal.kind in _ELSEWHERE:
                address = _redirection(refusal, address)
                asking = refusal.kind == "ASK"
                if not asking:
                    self.topology.moved(key, address)
            else:
                if refusal is not None:
                    await asyncio.sleep(RETRY_PAUSE)
                    if refusal.kind != "TRYAGAIN":
                        self.topology.forget()
                address = await self.topology.address_of(key)
            link = await self.topology.open_link(address)
            if asking:
                link.submit("ASKING").add_done_callback(_ignore)
            try:
                return await link.submit_packed(packed, before)
            except RedisReplyError as error:
                if error.kind not in _ELSEWHERE and error.kind not in _SOON:
                    raise
                refusals[:] = [error]
                if self._is_useless(error, is_patient):
                    self.topology.forget()
                    raise _refused(refusals) from None
            except StoreTimeoutError:
                self.topology.forget()
                raise


async def _ask_what_it_is(link: Link, address: Address) -> tuple[str, str]:
    """The version and mode of a node, empty if the user may not ask."""
    try:
        info: bytes = await link.submit("INFO")
    except RedisReplyError as error:
        if error.kind in NO_LOGIN:
            raise StoreError(f"Redis at {address} refused the login: {error}") from None
    else:
        lines = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
        # Valkey has its own names for some fields.
        mode = lines.get("redis_mode") or lines.get("server_mode") or "standalone"
        is_cluster = lines.get("cluster_enabled") == "1"
        return lines.get("redis_version", "unknown"), "cluster" if is_cluster else mode
    try:
        answer = await link.submit("HELLO")
    except RedisReplyError:
        return "", ""
    fields = dict(zip(answer[::2], answer[1::2], strict=True))
    return fields.get(b"version", b"").decode(), fields.get(b"mode", b"").decode()


def _refused(refusals: list[RedisReplyError]) -> StoreTimeoutError:
    """The error of a command that was never executed, from the last refusal if any."""
    text = ": ".join(["Redis did not accept the command in time", *map(str, refusals)])
    kind = refusals[-1].kind if refusals else ""
    if kind in _REFUSED:
        return StoreRefusedError(text)
    failure = StoreTimeoutError(text)
    failure.is_answered = kind in _OCCUPIED
    return failure


def _redirection(error: RedisReplyError, asked: Address) -> Address:
    """The target of ``MOVED`` or ``ASK``. A missing host means the host of the asked node."""
    host, _, port = str(error).rsplit(" ", 1)[1].rpartition(":")
    return Address(host or asked.host, int(port))


def _ignore(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
