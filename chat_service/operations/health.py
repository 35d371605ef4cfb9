"""Readiness checks of the service, its store and its bus."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chat_service.contracts.bus import BusStatus
from chat_service.contracts.capabilities import MonitoredBus
from chat_service.domain.context import Context

#: Maximum time in seconds for the store to answer a check.
STORE_PATIENCE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check. ``text``: the problem, or "ok"."""

    name: str
    is_ok: bool
    text: str = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """The results of all checks."""

    checks: tuple[Check, ...]

    @property
    def is_ready(self) -> bool:
        """Whether the service should receive new clients."""
        return all(check.is_ok for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """The results as JSON data: ``{"status": "ready", "checks": {"store": "ok", …}}``."""
        return {
            "status": "ready" if self.is_ready else "unready",
            "checks": {check.name: check.text for check in self.checks},
        }


def bus_status(context: Context) -> BusStatus | None:
    """The status of the bus; None if it has no status or the store is not open."""
    if not context.is_open:
        return None
    bus = context.store.bus
    return bus.status() if isinstance(bus, MonitoredBus) else None


async def look(context: Context, phase: Callable[[], str]) -> Readiness:
    """Check everything that a service needs to serve clients. Never raises."""
    checks = [_service(context, phase())]
    if checks[0].is_ok:
        checks += [_lease(context), await _store(context), _bus(context)]
    return Readiness(checks=tuple(checks))


def _check(name: str, problem: str | None) -> Check:
    return Check(name=name, is_ok=problem is None, text=problem or "ok")


def _service(context: Context, phase: str) -> Check:
    if context.is_draining:
        return _check("service", "draining")
    return _check("service", None if phase == "running" else phase)


def _lease(context: Context) -> Check:
    return _check(
        "lease", None if context.lease is None or context.lease.is_valid() else "the lease has lapsed"
    )


async def _store(context: Context) -> Check:
    try:
        async with asyncio.timeout(STORE_PATIENCE):
            heartbeat = await context.store.instance_get_heartbeat(context.instance_id())
    except Exception as error:
        return _check("store", str(error) or type(error).__name__)
    return _check("store", None if heartbeat is not None else "the store does not know this instance")


def _bus(context: Context) -> Check:
    try:
        status = bus_status(context)
    except Exception as error:
        return _check("bus", str(error) or type(error).__name__)
    if status is None or status.is_hearing:
        return _check("bus", None)
    if status.lost_subscriptions:
        return _check("bus", f"lost subscriptions: {status.lost_subscriptions}")
    return _check("bus", f"no answer to a probe for {status.lag or 0:.1f} s")
