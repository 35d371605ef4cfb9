"""``chat-service recover``: recovery from outside, with the same steps as in a running service."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from chat_service.cli import output, parameters
from chat_service.cli.failures import CliError, ExitCode
from chat_service.cli.parameters import heartbeat_option, json_option, subcommand, takes_target
from chat_service.cli.target import Target, run_async
from chat_service.clock import SystemClock
from chat_service.concurrency.running import Background, end
from chat_service.errors import StoreError
from chat_service.types import InstanceId

if TYPE_CHECKING:
    from chat_service.contracts.store import Store
    from chat_service.domain.listing import InstanceStatus

#: Seconds between two progress updates.
LOOK = 0.2


class Recoverer:
    """Claims instances, as services do, and removes what they left behind. It is not an instance itself.

    ``heartbeat_timeout``: seconds after which a claim that is not renewed counts as abandoned.
    """

    def __init__(self, store: "Store", heartbeat_timeout: float, *, is_quiet: bool) -> None:
        self._store = store
        self._timeout = heartbeat_timeout
        self._is_quiet = is_quiet

    async def recover(self, instance_id: InstanceId, sockets: int, pulse: int) -> str:
        """Recover an instance if it still has this pulse.

        Returns "recovered"; "taken" if the instance is alive or is being recovered by another; or "failed".
        """
        from chat_service.domain.recovery import instance_recovery
        from chat_service.domain.removal import StoreUpkeep

        claimed = await self._claim(instance_id, pulse)
        if claimed is None:
            return "taken"
        upkeep = StoreUpkeep(store=self._store, clock=SystemClock())
        async with self._shown(instance_id, sockets, claimed):
            try:
                await instance_recovery(upkeep, instance_id)
            except Exception:
                # The claim expires, so that recovery is retried.
                return "failed"
        return "recovered"

    async def _claim(self, instance_id: InstanceId, pulse: int) -> int | None:
        return await self._store.instance_claim(instance_id, round(time.time() * 1000), pulse)

    @asynccontextmanager
    async def _shown(self, instance_id: InstanceId, sockets: int, pulse: int) -> AsyncIterator[None]:
        """Keep renewing the claim with this pulse, and show the progress."""
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
                    # An outage: if the recovery fails, it reports that itself.
                    with suppress(StoreError):
                        await look()

            looking = Background().keep("checking the progress of the recovery", look_on)
            try:
                yield
            finally:
                await end(looking)
            progress.update(task, completed=max(sockets, 1))


@subcommand(
    "recover",
    """
    chat-service recover --url redis://localhost               # all dead instances
    chat-service recover --config chat.toml --dry-run
    chat-service recover --config chat.toml 4f1c...            # a single one
    """,
)
@click.argument("instance", type=parameters.text, required=False)
@click.option("--dry-run", is_flag=True, help="Only list the dead instances.")
@click.option("--force", is_flag=True, help="Recover INSTANCE even if it seems to be alive.")
@heartbeat_option
@json_option
@takes_target
def command(
    target: Target,
    instance: str | None,
    dry_run: bool,
    force: bool,
    heartbeat_timeout: float | None,
    as_json: bool,
) -> None:
    """Remove what dead instances left behind (sockets, presence, memberships), and notify those affected.

    Running services do this automatically. Use this command if no service is running, or if services do not
    recover others (auto_recovery = false). An instance is dead if it has not sent a heartbeat for
    --heartbeat-timeout. Because clocks may be wrong, instances that seem to be dead are watched for that
    time first, and are left alone if they send a heartbeat.
    """
    if force and instance is None:
        raise CliError(ExitCode.USAGE, "--force requires an INSTANCE")
    timeout = target.heartbeat_timeout if heartbeat_timeout is None else heartbeat_timeout
    results = run_async(_recover(target, instance, timeout, dry_run=dry_run, force=force, quiet=as_json))
    if as_json:
        output.print_json({"instances": results})
    elif not results:
        output.note("no instance is dead")
    else:
        rows = [(item["id"], item["sockets"], item["result"]) for item in results]
        output.print_table(("instance", "sockets", "result"), rows, numbers=("sockets",))
    if any(item["result"] == "failed" for item in results):
        raise CliError(ExitCode.FAILED, "some sockets could not be removed: try again")


async def _recover(
    target: Target, only: str | None, timeout: float, *, dry_run: bool, force: bool, quiet: bool
) -> list[dict[str, Any]]:
    from chat_service.domain import listing

    async with target.open() as store:
        pulses = await store.instance_pulses()
        found = await listing.instances(store, round(time.time() * 1000), timeout)
        chosen = _dead(found) if only is None else [_find(found, only, force)]
        if chosen and not force:
            if not quiet:
                output.note(f"watching for {output.seconds(timeout)} whether they are dead")
            await asyncio.sleep(timeout)
            later = await store.instance_pulses()
            chosen = [item for item in chosen if later.get(item.id) == pulses.get(item.id, 0)]
            if only is not None and not chosen:
                raise CliError(ExitCode.FAILED, f"instance {only} is alive; use --force to recover it anyway")
        results = [{"id": item.id, "sockets": item.sockets, "result": "dead"} for item in chosen]
        if not dry_run:
            recoverer = Recoverer(store, timeout, is_quiet=quiet)
            for item, result in zip(chosen, results, strict=True):
                pulse = pulses.get(item.id, 0)
                result["result"] = await recoverer.recover(item.id, item.sockets, pulse)
        return results


def _dead(found: "list[InstanceStatus]") -> "list[InstanceStatus]":
    return [item for item in found if item.expires_in < 0]


def _find(found: "list[InstanceStatus]", wanted: str, force: bool) -> "InstanceStatus":
    matching = [item for item in found if item.id.startswith(wanted)]
    if not matching:
        raise CliError(ExitCode.NOT_FOUND, f"there is no instance {wanted}")
    if len(matching) > 1:
        raise CliError(ExitCode.NOT_FOUND, f"there are {len(matching)} instances with ids like {wanted}")
    item = matching[0]
    if item.expires_in >= 0 and not force:
        age = output.seconds(item.age)
        raise CliError(
            ExitCode.FAILED,
            f"instance {item.id} is {item.state}, heard of {age} ago; use --force to recover it anyway",
        )
    return item
