"""Recovery of dead instances from outside, by the same steps as those of a running service."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from chat_service.cli import output
from chat_service.clock import SystemClock
from chat_service.concurrency.background import Background, end
from chat_service.contracts.store import Store
from chat_service.domain import recovery
from chat_service.domain.removal import StoreUpkeep
from chat_service.errors import StoreError
from chat_service.types import InstanceId

#: Seconds between two looks at how many sockets are left.
LOOK = 0.2


class Recoverer:
    """Claims instances, as survivors do, and removes what they left. It is not an instance itself.

    ``heartbeat_timeout``: seconds, after which a claim that is not renewed counts as given up.
    """

    def __init__(self, store: Store, heartbeat_timeout: float, *, is_quiet: bool) -> None:
        self._store = store
        self._timeout = heartbeat_timeout
        self._is_quiet = is_quiet
        self._upkeep = StoreUpkeep(store=store, clock=SystemClock())

    async def recover(self, instance_id: InstanceId, sockets: int, pulse: int) -> str:
        """Recover one instance, if it still has this pulse.

        Returns "recovered", "taken" when it was heard of or another one does it, or "failed".
        """
        claimed = await self._claim(instance_id, pulse)
        if claimed is None:
            return "taken"
        async with self._shown(instance_id, sockets, claimed):
            try:
                await recovery.instance_recovery(self._upkeep, instance_id)
            except Exception:
                # The claim lapses, so that it is tried again.
                return "failed"
        return "recovered"

    async def _claim(self, instance_id: InstanceId, pulse: int) -> int | None:
        return await self._store.instance_claim(instance_id, round(time.time() * 1000), pulse)

    @asynccontextmanager
    async def _shown(self, instance_id: InstanceId, sockets: int, pulse: int) -> AsyncIterator[None]:
        """Keep the claim, whose pulse is given, and show how far it is."""
        from rich.progress import Progress

        with Progress(
            console=output.console(stderr=True), disable=self._is_quiet, transient=True
        ) as progress:
            task = progress.add_task(f"recovering {instance_id[:8]}", total=max(sockets, 1))

            claimed, kept = time.monotonic(), pulse

            async def look() -> None:
                nonlocal claimed, kept
                if time.monotonic() - claimed > self._timeout / 3:
                    kept = await self._claim(instance_id, kept) or kept
                    claimed = time.monotonic()
                left = len(await self._store.instance_sockets(instance_id))
                progress.update(task, completed=sockets - left)

            async def look_on() -> None:
                while True:
                    await asyncio.sleep(LOOK)
                    # An outage: the recovery itself says so when it does not end.
                    with suppress(StoreError):
                        await look()

            looking = Background().keep("looking at the recovery", look_on)
            try:
                yield
            finally:
                await end(looking)
            progress.update(task, completed=max(sockets, 1))
