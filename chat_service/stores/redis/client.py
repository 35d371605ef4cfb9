"""Running commands and scripts: on the right node, again where Redis says that nothing was done."""

import asyncio
import logging
import re
from collections.abc import Sequence
from time import monotonic
from typing import Any

from chat_service.concurrency.background import Background
from chat_service.concurrency.eager import in_task
from chat_service.concurrency.patience import current as current_patience
from chat_service.errors import ConfigurationError, StoreError, StoreRefusedError, StoreTimeoutError
from chat_service.stores.redis.dialing import NO_LOGIN
from chat_service.stores.redis.link import Encodable, Link, RedisReplyError, pack_command
from chat_service.stores.redis.redis_options import RedisOptions
from chat_service.stores.redis.scripts import Script
from chat_service.stores.redis.topology import Topology
from chat_service.stores.redis.urls import Address

logger = logging.getLogger("chat_service")

#: Seconds between two tries of a command that Redis refused for the moment.
RETRY_PAUSE = 0.05
#: Seconds for which commands are not tried again after one was refused until its time was up.
IMPATIENCE = 1.0
#: Seconds for what follows a change that Redis refused until its time was over.
ANSWERED_GRACE = 0.25
#: The oldest Redis with sharded publish and subscribe.
OLDEST_VERSION = (7, 0)

#: Answers after which the command was surely not done, and may work elsewhere or soon.
_ELSEWHERE = frozenset({"MOVED", "ASK"})
_SOON = frozenset({"TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "BUSY", "NOREPLICAS"})
#: Answers of a Redis that takes no changes: no memory, no disk, no replicas. Nothing was done.
_REFUSED = frozenset({"OOM", "MISCONF", "NOREPLICAS", "READONLY"})
#: Answers of a Redis that does nothing for anybody at the moment.
_OCCUPIED = frozenset({"LOADING", "BUSY"})


_MULTI, _EXEC = pack_command(("MULTI",)), pack_command(("EXEC",))


class RedisClient:
    """Commands to one server, a Sentinel master or a cluster. All keys of a command are in one slot.

    Every command ends within ``command_timeout``. What Redis did not take is tried again; a command whose
    answer was lost is not, since nobody knows whether it was done: ``StoreTimeoutError``. A Redis that takes
    no changes for now: ``StoreRefusedError``.
    """

    def __init__(self, options: RedisOptions) -> None:
        self._options = options
        # The link alone watches the time of a command that has nearly all of it left.
        self._ample = options.command_timeout * 0.9
        #: The tasks of all that talks to this Redis.
        self.background = Background()
        self.topology = Topology(options, background=self.background)
        #: Commands that were not answered in time or not taken at all, and those answered by an error.
        self.timeouts = 0
        self.errors = 0
        # Until then no refused command is tried again: one was in vain, for all its time.
        self._impatient_until = 0.0

    async def open(self) -> None:
        """Connect and look whether this Redis will do. Raises ``ConfigurationError``, ``StoreError``."""
        self.topology.check()
        if self._options.cluster:
            # What the url names is asked first, since only a cluster knows of slots.
            await self._check_node(self.topology.connector.address)
        await self.topology.refresh()
        await self._check_node(await self.topology.address_of("{probe}"))

    @property
    def is_cluster(self) -> bool:
        """Whether it is a cluster."""
        return self._options.cluster

    async def _check_node(self, address: Address) -> None:
        """Raises ``ConfigurationError`` for a Redis that is too old, or not of the mode of the options."""
        link = await self.topology.open_link(address)
        version, mode = await _ask_what_it_is(link, address)
        if mode == "sentinel":
            raise ConfigurationError(
                f"Redis at {address} is a Sentinel: set store_options sentinels and sentinel_service"
            )
        found = re.match(r"(\d+)\.(\d+)", version)
        if version and (found is None or (int(found[1]), int(found[2])) < OLDEST_VERSION):
            oldest = ".".join(map(str, OLDEST_VERSION))
            raise ConfigurationError(f"Redis at {address} is version {version}; {oldest} or newer is needed")
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
        """Run a script by its digest; give it whole to a server that lost it. Raises ``StoreError``.

        ``is_patient``: whether to try again when Redis is occupied, or takes no changes.
        """
        try:
            packed = pack_command(("EVALSHA", script.digest, len(keys), *keys, *args))
            return await self._send(keys[0], packed, is_patient=is_patient)
        except RedisReplyError as error:
            if error.kind != "NOSCRIPT":
                raise self._failure(f"script {script.name}", error) from None
        try:
            packed = pack_command(("EVAL", script.text, len(keys), *keys, *args))
            return await self._send(keys[0], packed, is_patient=is_patient)
        except RedisReplyError as error:
            raise self._failure(f"script {script.name}", error) from None

    async def call(self, key: str, *command: Encodable) -> Any:
        """Run a command that concerns a key. Raises ``StoreError``."""
        try:
            return await self.command(key, *command)
        except RedisReplyError as error:
            raise self._failure(str(command[0]), error) from None

    async def read(self, key: str, *commands: tuple[Encodable, ...]) -> list[Any]:
        """Read several things of one slot at one moment, in one round trip. Raises ``StoreError``.

        A transaction, since a script that hands on a long answer costs Redis several times as much. A Redis
        that is out of memory takes none, but scripts that read: ``StoreRefusedError``.
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
        if error.kind in _REFUSED:
            return StoreRefusedError(f"Redis takes no changes: {error}")
        return StoreError(f"{what}: {error}")

    async def command(self, key: str, *command: Encodable) -> Any:
        """As ``call``, but what Redis answers as an error is raised as ``RedisReplyError``."""
        return await self._send(key, pack_command(command))

    async def _send(self, key: str, packed: bytes, before: int = 0, *, is_patient: bool = True) -> Any:
        topology = self.topology
        address = topology.address_known(key)
        link = topology.link_known(address) if address is not None else None
        patience = current_patience.get()
        if link is not None and (patience is None or patience.left > self._ample):
            try:
                # The usual case, without a timer of its own: the link watches the time.
                return await link.submit_packed(packed, before)
            except RedisReplyError as error:
                if error.kind not in _ELSEWHERE and error.kind not in _SOON:
                    raise
                refusals = [error]
                if self._is_useless(error, is_patient):
                    self.timeouts += 1
                    topology.forget()
                    raise _refused(refusals) from None
            except StoreTimeoutError:
                self.timeouts += 1
                topology.forget()
                raise
        else:
            refusals = []
        # Time-outs need one.
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
        """Whether a refused command need not be tried again: others were, all the time that they had."""
        if not is_patient:
            return refusal.kind in _REFUSED or refusal.kind in _OCCUPIED
        if refusal.kind not in _REFUSED or monotonic() > self._impatient_until:
            return False
        self._impatient_until = monotonic() + IMPATIENCE
        return True

    def seconds_left(self) -> float:
        """How long an operation may take that begins now."""
        patience = current_patience.get()
        longest = self._options.command_timeout
        return longest if patience is None else min(patience.left, longest)

    async def nodes(self) -> list[Address]:
        """The nodes that have keys, as they are now: every master of a cluster, else the one server."""
        await self.topology.refresh()
        return sorted(self.topology.masters())

    async def call_node(self, address: Address, *command: Encodable) -> Any:
        """Run a command that concerns no key at a node. Raises ``StoreError``."""
        await in_task()
        try:
            async with asyncio.timeout(self._options.command_timeout):
                link = await self.topology.open_link(address)
                return await link.submit(*command)
        except TimeoutError:
            self.timeouts += 1
            raise StoreTimeoutError(f"Redis at {address} did not take the command in time") from None
        except RedisReplyError as error:
            raise self._failure(str(command[0]), error) from None

    async def _persist(
        self, key: str, packed: bytes, before: int, refusals: list[RedisReplyError], *, is_patient: bool
    ) -> Any:
        """Follow redirections and wait for a node to be ready, until the command is done.

        ``refusals``: what nodes answered until now; the last one stands there when the time is up.
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
    """The version and the mode of a node; both empty when its user may ask for neither."""
    try:
        info: bytes = await link.submit("INFO")
    except RedisReplyError as error:
        if error.kind in NO_LOGIN:
            raise StoreError(f"Redis at {address} refused the login: {error}") from None
    else:
        lines = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
        # Valkey has names of its own beside some of those of Redis.
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
    """The failure of a command that nodes refused, if they answered at all, and that is not tried again."""
    text = ": ".join(["Redis did not take the command in time", *map(str, refusals)])
    kind = refusals[-1].kind if refusals else ""
    if kind in _REFUSED:
        return StoreRefusedError(text)
    failure = StoreTimeoutError(text)
    failure.is_answered = kind in _OCCUPIED
    return failure


def _redirection(error: RedisReplyError, asked: Address) -> Address:
    """Where ``MOVED`` or ``ASK`` points. Without a host it is where the node that was asked is."""
    host, _, port = str(error).rsplit(" ", 1)[1].rpartition(":")
    return Address(host or asked.host, int(port))


def _ignore(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
