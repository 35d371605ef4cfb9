"""Runs a service in a process or thread: event loop, signals, what it prints, and the exit code."""

import asyncio
import gc
import ipaddress
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Protocol

from chat_service.contracts.capabilities import HasTitle
from chat_service.version import __version__

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: How long a process may take to end after a second Ctrl+C.
INTERRUPT_SECONDS: Final = 3.0

NESTED = (
    "run() starts an event loop, but this thread already runs one: use `async with service:`, or "
    "`await service.start()` and later `await service.close()`"
)


class Runnable(Protocol):
    """The part of a service needed to run it."""

    def on(self, event: str, listener: Callable[..., Any]) -> Any: ...

    async def start(self) -> None: ...

    async def drain(self) -> None: ...

    async def close(self) -> None: ...


class StopRequest:
    """A request to stop a server, by a signal or from any thread. Only the first one counts."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event: asyncio.Event | None = None
        self._is_asked = False
        #: Whether to drain first.
        self.wants_drain = False

    def ask(self, *, drain: bool = False) -> None:
        """Request the stop. May be called from any thread and at any time."""
        if self._is_asked:
            return
        self.wants_drain = drain
        self._is_asked = True
        if self._loop is not None and self._event is not None:
            try:
                self._loop.call_soon_threadsafe(self._event.set)
            except RuntimeError:
                # The loop is closed, so the server has ended.
                return

    async def wait(self) -> None:
        """Wait for a request; it may have been made before this call."""
        self._event, self._loop = asyncio.Event(), asyncio.get_running_loop()
        if not self._is_asked:
            await self._event.wait()

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """Request a stop on SIGINT, and on SIGTERM with a drain. A second signal ends the process: SIGINT by
        ``KeyboardInterrupt``, and within ``INTERRUPT_SECONDS`` even if that gets lost, as in callbacks of
        libraries that swallow it.

        Python's own handlers, not the loop's: they also run while a hook blocks the loop. Does nothing
        outside the main thread, where Python handles no signals.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _SIGNALS}
        last = threading.Timer(INTERRUPT_SECONDS, os._exit, (128 + signal.SIGINT,))
        last.daemon = True

        def on_signal(number: int, _: FrameType | None) -> None:
            signal.signal(signal.SIGINT, on_interrupt)
            signal.signal(signal.SIGTERM, before[signal.SIGTERM])
            self.ask(drain=number == signal.SIGTERM)

        def on_interrupt(number: int, frame: FrameType | None) -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            last.start()
            signal.default_int_handler(number, frame)

        for number in _SIGNALS:
            signal.signal(number, on_signal)
        try:
            yield
        finally:
            last.cancel()
            for number, handler in before.items():
                signal.signal(number, handler)


def refuse_nesting() -> None:
    """Raise ``RuntimeError`` if an event loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(NESTED)


def run(service: Runnable, request: StopRequest, on_started: Callable[[], None]) -> None:
    """Start, wait for a stop request or a close, close. See ``ChatService.run``."""
    refuse_nesting()
    try:
        with request.by_signals():
            run_loop(_run(service, request, on_started))
    except KeyboardInterrupt:
        sys.exit(130)


async def _run(service: Runnable, request: StopRequest, on_started: Callable[[], None]) -> None:
    # The service may also be closed in another way.
    service.on("closed", lambda _: request.ask())
    try:
        await service.start()
    except Exception as error:
        _fail("cannot start", error)
    if threading.current_thread() is threading.main_thread():
        tune_garbage_collector()
    on_started()
    await request.wait()
    try:
        if request.wants_drain:
            await service.drain()
        await service.close()
    except Exception as error:
        _fail("did not close cleanly", error)


def _fail(what: str, error: Exception) -> None:
    text = str(error) or type(error).__name__
    print(f"chat_service {what}: {text}", file=sys.stderr)
    # The command line needs the cause for its more specific exit codes.
    raise SystemExit(1) from error


#: Thresholds of the garbage collector (Python: 700 to 2,000 objects). Commands create few reference cycles,
#: and each collection pauses all clients.
GC_THRESHOLDS = (50_000, 20, 50)


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the fastest available event loop."""
    fill_descriptors()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def fill_descriptors() -> None:
    """Open closed standard descriptors. Otherwise the loop could get them, at which libuv aborts."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The system assigns the lowest free descriptor.
            os.open(os.devnull, os.O_RDWR)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop factory if it is installed, else None (asyncio's)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def tune_garbage_collector() -> None:
    """Exclude all existing objects from collection. Call this once everything permanent is created."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


#: Warning if users may choose any name.
NAMES_ONLY: Final = (
    "logins are by name only, and others than this machine can reach {where}: "
    "anybody who does can be any user there"
)


def announce(
    addresses: Sequence[tuple[str, int]], *, store: object, namespace: str, workers: int = 1
) -> None:
    """Print a service's address, store and version, and how to stop it.

    ``addresses``: where it listens, empty if it is mounted. ``workers``: number of processes.
    """
    parts = [f"{__version__} {_where(addresses)}"]
    if workers > 1:
        parts.append(f"{workers} workers")
    title = store.title if isinstance(store, HasTitle) else type(store).__name__
    parts += [f"namespace {namespace}", f"store: {title}"]
    is_main = threading.current_thread() is threading.main_thread()
    say(", ".join(parts) + ("; Ctrl+C stops it" if is_main else "; stop() stops it"))


def say(line: str) -> None:
    """Print a line. A closed or full output does not stop the server."""
    stream = sys.stdout
    if stream is None:
        return
    try:
        encoding = stream.encoding or "ascii"
        text = f"chat_service {line}".encode(encoding, "backslashreplace").decode(encoding)
        print(text, file=stream, flush=True)
    except (OSError, ValueError):
        return


def http_url(host: str, port: int) -> str:
    """The URL of an address; for a wildcard address, one that works on this machine."""
    if is_every_address(host):
        return f"http://localhost:{port}/"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_every_address(host: str | None) -> bool:
    """Whether the host means all addresses of the machine."""
    return host in (None, "", "0.0.0.0", "::")  # noqa: S104 - nothing is bound here


def is_loopback(host: str | None) -> bool:
    """Whether the host is reachable only from this machine. Of names, only localhost counts."""
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _where(addresses: Sequence[tuple[str, int]]) -> str:
    if not addresses:
        return "is mounted"
    urls = ", ".join(dict.fromkeys(http_url(*address) for address in addresses))
    return f"listens at {urls}" + (" (every address)" if is_every_address(addresses[0][0]) else "")
