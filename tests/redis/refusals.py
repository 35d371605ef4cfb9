"""Makes Redis servers refuse changes in various ways."""

import contextlib
from collections.abc import Sequence

from redis.exceptions import ResponseError

from chat_service.testing import wait_until
from tests.support.redis_servers import RedisServer

#: Settings that make servers refuse, and settings that end it.
SETTINGS = {"OOM": ("maxmemory", 1, 0), "NOREPLICAS": ("min-replicas-to-write", 1, 0)}


class Refusal:
    """Makes all servers refuse changes for a while. ``kind``: the first word of their error."""

    def __init__(self, kind: str, servers: Sequence[RedisServer]) -> None:
        self.kind = kind
        self._servers = servers

    async def begin(self) -> None:
        for server in self._servers:
            with server.client() as admin:
                if self.kind in SETTINGS:
                    name, refusing, _ = SETTINGS[self.kind]
                    admin.config_set(name, refusing)
                else:
                    # A snapshot cannot overwrite a folder.
                    (server.folder / "dump.rdb").mkdir()
                    admin.config_set("save", "3600 1")
                    # Redis may have begun one by itself.
                    with contextlib.suppress(ResponseError):
                        admin.bgsave()
        if self.kind == "MISCONF":
            await wait_until(self._have_failed, "all snapshots have failed")

    async def end(self) -> None:
        """Idempotent."""
        for server in self._servers:
            with server.client() as admin:
                if self.kind in SETTINGS:
                    name, _, normal = SETTINGS[self.kind]
                    admin.config_set(name, normal)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        (server.folder / "dump.rdb").rmdir()
                    # Without configured snapshots their failure does not matter.
                    admin.config_set("save", "")

    def _have_failed(self) -> bool:
        states = []
        for server in self._servers:
            with server.client() as admin:
                state = admin.info("persistence")
                states.append((state["rdb_last_bgsave_status"], state["rdb_bgsave_in_progress"]))
        return set(states) == {("err", 0)}
