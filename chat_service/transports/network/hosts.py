"""Which hosts requests may name: ``allowed_hosts``.

With DNS rebinding, an attacker's host name suddenly resolves to this server, so their page has the same
origin as its requests. Only the host name shows that the requests are not for us.
"""

import re
from collections.abc import Sequence

from chat_service.transports.network.origins import read_origin

_PORT = re.compile(r":\d*$")


class AllowedHosts:
    """The hosts that requests may name. Raises ``ValueError`` for a host that cannot occur in a request."""

    def __init__(self, allowed: str | Sequence[str] | None = None) -> None:
        """``allowed``: the value of ``allowed_hosts``. None allows all hosts."""
        values = [allowed] if isinstance(allowed, str) else allowed
        self._allows_all = values is None or "*" in values
        self._exact: set[str] = set()
        #: Suffixes of hosts, with their leading dots.
        self._ends: list[str] = []
        for value in values or ():
            if value != "*":
                self._add(value)

    def __repr__(self) -> str:
        shown = sorted((*self._exact, *(f"*{end}" for end in self._ends)))
        return f"<AllowedHosts {'*' if self._allows_all else shown}>"

    def _add(self, value: str) -> None:
        is_wildcard = value.startswith("*.")
        host = _host_of(value.removeprefix("*."))
        if host is None or "://" in value or (_PORT.search(value) and not value.endswith("]")):
            raise ValueError(
                f"{value!r} is not a host: write a name alone, such as 'chat.example.org' or '*.example.org'"
            )
        if is_wildcard:
            self._ends.append(f".{host}")
        else:
            self._exact.add(host)

    def allows(self, host: str | None, forwarded: str | None = None) -> bool:
        """Whether a request with this ``Host`` header is for us.

        ``forwarded``: the header ``X-Forwarded-Host``, in which proxies name the requested host. Anyone can
        send it, so it can only cause a refusal.
        """
        if self._allows_all:
            return True
        if host is None or not self._allows(host):
            return False
        return forwarded is None or self._allows(forwarded.partition(",")[0].strip())

    def _allows(self, given: str) -> bool:
        host = _host_of(given)
        return host is not None and (
            host in self._exact or any(host.endswith(end) and len(host) > len(end) for end in self._ends)
        )


def _host_of(given: str) -> str | None:
    """The host of a ``Host`` header, as browsers write it and without the port."""
    try:
        return read_origin(f"http://{given}").host.rstrip(".") or None
    except ValueError:
        return None
