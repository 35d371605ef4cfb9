"""``chat-service check``: checks a file, and the requirements of a service on Redis."""

import asyncio
import ssl
import statistics
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from chat_service.cli import output
from chat_service.cli.failures import CliError, ExitCode, describe
from chat_service.cli.findings import Finding, Verdict
from chat_service.cli.parameters import json_option, subcommand, takes_target
from chat_service.cli.target import Target, run_async
from chat_service.contracts.bus import Envelope, Notify, Topic, TopicKind
from chat_service.errors import ConfigurationError, StoreError, StoreTimeoutError
from chat_service.open_files import connections_within, open_files_limit

if TYPE_CHECKING:
    from chat_service.stores.redis import RedisStore
    from chat_service.stores.redis.urls import Address
    from chat_service.webhooks.webhook_options import WebhookOptions

#: Number of round trips measured at each node.
PINGS: Final = 20
#: Median round trip in milliseconds above which there is a warning.
SLOW_MS: Final = 10.0
#: Clock difference from Redis in seconds above which there is a warning.
SKEW_SECONDS = 1.0
#: Maximum time in seconds to wait for an envelope.
BUS_PATIENCE: Final = 5.0
#: Seconds that a connection to a back end may take.
BACK_END_PATIENCE: Final = 5.0
#: The hooks of webhooks, and their events, by their addresses.
ADDRESSES: Final = ("connect", "refresh", "message", "events")


_NOT_TOLD: Final = (Verdict.WARNING, "unknown: the Redis user may not run INFO")


class _Ear:
    """A ``BusListener`` that waits for one envelope."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def on_envelope(self, topic: Topic, envelope: Envelope) -> None:
        self.heard.set()

    def on_interruption(self, topic: Topic) -> None:
        """The check fails if it takes longer than this."""


async def check_store(store: "RedisStore") -> list[Finding]:
    """Open a store and run all checks. A failed check does not stop the others.

    Raises what ``store.open`` raises.
    """
    ear = _Ear()
    began = time.monotonic()
    await store.open(ear)
    try:
        took = (time.monotonic() - began) * 1000
        nodes = await store.client.nodes()
        where = ", ".join(map(str, nodes))
        findings = [Finding(name="connection", verdict=Verdict.OK, detail=f"{where}, {took:.0f} ms")]
        infos = {node: await _info(store, node) for node in nodes}
        steps: list[tuple[str, Callable[[], Coroutine[Any, Any, tuple[Verdict, str]]]]] = [
            ("version", lambda: _version(infos)),
            ("mode", lambda: _mode(store, infos)),
            ("memory policy", lambda: _memory(infos)),
            ("persistence", lambda: _persistence(infos)),
            ("permissions", lambda: _permissions(store)),
            ("bus", lambda: _bus(store, ear)),
            ("latency", lambda: _latency(store, nodes)),
            ("clock", lambda: _clock(store, nodes)),
        ]
        for name, step in steps:
            findings.append(await _finding(name, step))
        return findings
    finally:
        await store.close()


async def _finding(name: str, step: Callable[[], Coroutine[Any, Any, tuple[Verdict, str]]]) -> Finding:
    try:
        verdict, detail = await step()
    except Exception as error:
        verdict, detail = Verdict.FAILED, str(error) or type(error).__name__
    return Finding(name=name, verdict=verdict, detail=detail)


async def _info(store: "RedisStore", node: "Address") -> dict[str, str]:
    """The ``INFO`` of a node; empty if the user may not run it."""
    try:
        return _fields(await store.client.call_node(node, "INFO"))
    except StoreTimeoutError:
        raise
    except StoreError:
        return {}


def _fields(info: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)


async def _version(infos: "dict[Address, dict[str, str]]") -> tuple[Verdict, str]:
    if not all(infos.values()):
        return _NOT_TOLD
    # Opening the store has checked the version of one node.
    versions = sorted({fields.get("redis_version", "unknown") for fields in infos.values()})
    shown = ", ".join(versions)
    return (Verdict.OK, shown) if len(versions) == 1 else (Verdict.WARNING, f"nodes differ: {shown}")


async def _mode(store: "RedisStore", infos: "dict[Address, dict[str, str]]") -> tuple[Verdict, str]:
    replicas = [int(fields.get("connected_slaves", "0")) for fields in infos.values()]
    if store.options.cluster:
        without = sum(count == 0 for count in replicas)
        detail = f"cluster of {len(infos)} masters, {sum(replicas)} replicas"
        return (
            (Verdict.WARNING, f"{detail}; {without} masters without one") if without else (Verdict.OK, detail)
        )
    if store.options.sentinels:
        return Verdict.OK, f"Sentinel, {sum(replicas)} replicas"
    return Verdict.OK, f"one server, {sum(replicas)} replicas"


async def _memory(infos: "dict[Address, dict[str, str]]") -> tuple[Verdict, str]:
    if not all(infos.values()):
        return _NOT_TOLD
    policies = sorted({fields.get("maxmemory_policy", "unknown") for fields in infos.values()})
    limits = {fields.get("maxmemory", "0") for fields in infos.values()}
    shown = ", ".join(policies)
    if policies == ["noeviction"]:
        return Verdict.OK, shown
    # Without a memory limit nothing is evicted.
    verdict = Verdict.WARNING if limits == {"0"} else Verdict.FAILED
    return verdict, f"{shown}: Redis will evict rooms and users when memory is full; set noeviction"


async def _persistence(infos: "dict[Address, dict[str, str]]") -> tuple[Verdict, str]:
    if not all(infos.values()):
        return _NOT_TOLD
    if all(fields.get("aof_enabled") == "1" for fields in infos.values()):
        return Verdict.OK, "append-only file"
    return (
        Verdict.WARNING,
        "no append-only file: a restart of Redis loses everything since its last snapshot",
    )


async def _permissions(store: "RedisStore") -> tuple[Verdict, str]:
    """Try everything that a service does."""
    await store.check_rights()
    return Verdict.OK, f"scripts, data and channels of {store.keys.prefix}:*"


async def _bus(store: "RedisStore", ear: _Ear) -> tuple[Verdict, str]:
    topic = Topic(TopicKind.INSTANCE, f"check-{uuid.uuid4().hex}")
    await store.bus.subscribe(topic)
    began = time.monotonic()
    await store.bus.publish(topic, Notify(event="check"))
    try:
        async with asyncio.timeout(BUS_PATIENCE):
            await ear.heard.wait()
    except TimeoutError:
        return Verdict.FAILED, f"a published message did not arrive within {BUS_PATIENCE:g} s"
    finally:
        await store.bus.unsubscribe(topic)
    return Verdict.OK, f"round trip in {(time.monotonic() - began) * 1000:.1f} ms"


async def _latency(store: "RedisStore", nodes: "list[Address]") -> tuple[Verdict, str]:
    medians = []
    longest = 0.0
    for node in nodes:
        trips = []
        for _ in range(PINGS):
            began = time.perf_counter()
            await store.client.call_node(node, "PING")
            trips.append((time.perf_counter() - began) * 1000)
        medians.append(statistics.median(trips))
        longest = max(longest, *trips)
    slowest = max(medians)
    detail = f"median {slowest:.2f} ms, longest {longest:.1f} ms" + (
        " of the slowest node" if len(nodes) > 1 else ""
    )
    return (Verdict.WARNING if slowest > SLOW_MS else Verdict.OK), detail


async def _clock(store: "RedisStore", nodes: "list[Address]") -> tuple[Verdict, str]:
    """Compare this machine's clock with those of Redis, because messages carry the time of the instances."""
    worst = 0.0
    for node in nodes:
        before = time.time()
        whole, micros = await store.client.call_node(node, "TIME")
        middle = (before + time.time()) / 2
        skew = middle - (int(whole) + int(micros) / 1e6)
        worst = max(worst, skew, key=abs)
    detail = f"{worst:+.3f} s from Redis"
    if abs(worst) > SKEW_SECONDS:
        return Verdict.WARNING, f"{detail}: messages may have wrong timestamps; synchronise the clocks"
    return Verdict.OK, detail


# The back end of webhooks


async def check_webhooks(options: "WebhookOptions") -> list[Finding]:
    """Connect to each address of a back end. No request is made: it could not tell it from a real one."""
    urls = [url for name in ADDRESSES if (url := options.url_of(name)) is not None]
    places = dict.fromkeys(urlsplit(url)[:2] for url in urls)
    return [await _finding("webhooks", partial(_reach, scheme, netloc, options)) for scheme, netloc in places]


async def _reach(scheme: str, netloc: str, options: "WebhookOptions") -> tuple[Verdict, str]:
    parts = urlsplit(f"{scheme}://{netloc}")
    tls = options.trust() or ssl.create_default_context() if scheme == "https" else None
    began = time.monotonic()
    try:
        async with asyncio.timeout(BACK_END_PATIENCE):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if tls else 80), ssl=tls
            )
    except TimeoutError:
        return Verdict.WARNING, f"{netloc} does not answer within {BACK_END_PATIENCE:g} s"
    except OSError as error:
        return Verdict.WARNING, f"{netloc} cannot be reached: {error.strerror or error}"
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return Verdict.OK, f"{netloc}, {(time.monotonic() - began) * 1000:.0f} ms"


def _open_files(transport: Mapping[str, Any]) -> list[Finding]:
    """Whether as many files may be open as there may be connections. Nothing without such a number."""
    wanted, files = transport.get("max_connections"), open_files_limit()
    possible = connections_within(files)
    if wanted is None or possible is None:
        return []
    if wanted <= possible:
        return [Finding(name="open files", verdict=Verdict.OK, detail=f"{files}, for {wanted} connections")]
    detail = (
        f"{files}: enough for {possible} connections, but max_connections is {wanted}; raise the limit "
        "(ulimit -n, LimitNOFILE)"
    )
    return [Finding(name="open files", verdict=Verdict.WARNING, detail=detail)]


# The command

#: The style of each verdict.
STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


@subcommand(
    "check",
    """
    chat-service check --config chat.toml        # the file, then its store
    chat-service check --url redis://localhost
    chat-service check --config chat.toml --public   # is it safe on the internet?
    chat-service check --config chat.toml --strict && chat-service serve --config chat.toml
    """,
)
@click.option("--strict", is_flag=True, help="Treat warnings as failures.")
@click.option("--public", is_flag=True, help="Also check whether the file is safe on the public internet.")
@json_option
@takes_target
@click.pass_context
def command(ctx: click.Context, target: Target, strict: bool, public: bool, as_json: bool) -> None:
    """Check a configuration and its store: connection, version, permissions, bus, latency, clocks; and
    whether the back end of webhooks can be reached.

    A few keys below PREFIX:{check:...} are written and removed immediately; nothing else is changed.
    """
    if public and target.settings is None:
        raise CliError(ExitCode.USAGE, "--public checks a file: add --config FILE")
    findings = []
    failure: int = ExitCode.FAILED
    if target.settings is not None:
        from chat_service.cli.assembly import find_faults

        path = target.settings.path
        for fault in find_faults(target.settings, target.faults):
            failure = ExitCode.CONFIGURATION
            detail = target.settings.placed(fault.text, fault.section)
            findings.append(Finding(name="configuration", verdict=Verdict.FAILED, detail=detail))
        if not findings:
            findings.append(Finding(name="configuration", verdict=Verdict.OK, detail=path))
            for section in (
                target.settings.transport_options,
                target.settings.websocket_options or {},
                target.settings.line_options or {},
            ):
                findings += _open_files(section)
            if public:
                from chat_service.cli.public_config import check_public

                findings += check_public(target.settings)
    if not target.is_readable:
        # The error is already in the list, and there is no store to check.
        pass
    elif target.store_type == "memory" and target.settings is not None:
        findings.append(
            Finding(name="store", verdict=Verdict.OK, detail="memory: lost when its process ends")
        )
    else:
        try:
            findings += run_async(check_store(target.make_store(is_strict=False)))
        except (StoreError, ConfigurationError) as error:
            # Nothing else can be checked then.
            findings.append(Finding(name="connection", verdict=Verdict.FAILED, detail=str(error)))
            if failure == ExitCode.FAILED:
                failure, _ = describe(error)
    if target.settings is not None and findings[0].verdict is Verdict.OK:
        from chat_service.webhooks.webhook_options import WebhookOptions

        options = WebhookOptions.from_mapping(target.settings.webhook_options)
        findings += asyncio.run(check_webhooks(options))
    verdicts = {finding.verdict for finding in findings}
    is_good = Verdict.FAILED not in verdicts and not (strict and Verdict.WARNING in verdicts)
    if as_json:
        items = [
            {"check": finding.name, "verdict": str(finding.verdict), "detail": finding.detail}
            for finding in findings
        ]
        output.print_json({"ok": is_good, "checks": items})
    else:
        rows = [
            (finding.name, output.text(finding.verdict, STYLES[finding.verdict]), finding.detail)
            for finding in findings
        ]
        output.print_table(("check", "verdict", "detail"), rows)
        if failure == ExitCode.CONFIGURATION and findings[0].verdict is Verdict.FAILED:
            more = sum(finding.name == findings[0].name for finding in findings) - 1
            raise CliError(failure, findings[0].detail + (f" (and {more} more)" if more else ""))
    ctx.exit(ExitCode.OK if is_good else failure)
