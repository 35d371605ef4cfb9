"""The lines that a server prints for the person who started it."""

import ipaddress
import sys
import threading
from collections.abc import Sequence
from typing import Final

from chat_service.contracts.capabilities import HasTitle
from chat_service.version import __version__

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
