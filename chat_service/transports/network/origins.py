"""The origins from which browsers may connect (``cors_allowed_origins``), and the hosts that requests may
name (``allowed_hosts``), compared as browsers do.

An origin is a scheme, a host and a port. Browsers send it in lower case, with international names in
Punycode and without the default port. The configuration may use any equivalent form.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import idna

#: Ports that browsers omit.
DEFAULT_PORTS = {"http": 80, "https": 443}
#: The value for pages without an origin: local files, sandboxed frames.
OPAQUE = "null"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::(\d*))?")
#: Characters that are not allowed in a host, see the WHATWG URL standard; and the star of wildcards.
_FORBIDDEN = re.compile(r"[\x00-\x20#%*/:<>?@\[\\\]^|\x7f]")
_NUMBER = re.compile(r"\d+|0[xX][0-9a-fA-F]*")
#: Schemes of WebSocket addresses. No page has such an address.
_PAGES_OF = {"ws": "http", "wss": "https"}


class Origin(NamedTuple):
    """The parts of an origin in the form that browsers send. ``port``: 0 for the default port."""

    scheme: str
    host: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}" + (f":{self.port}" if self.port else "")


def read_origin(text: str) -> Origin:
    """Parse an origin in any form that a browser understands. Raises ``ValueError``."""
    found = _SCHEME.fullmatch(text)
    if found is None:
        raise ValueError("it has no scheme")
    scheme, rest = found[1].lower(), found[2]
    if scheme not in DEFAULT_PORTS:
        # Origins of apps and extensions ("capacitor://localhost"), which follow their own rules.
        if re.search(r"[\s/?#@*\\]", rest):
            raise ValueError("it has more than a scheme and a host")
        return Origin(scheme, rest)
    host_and_port = _HOST_AND_PORT.fullmatch(rest)
    if host_and_port is None:
        raise ValueError("it has more than a scheme, a host and a port")
    host, port = _read_host(host_and_port[1]), int(host_and_port[2] or 0)
    if port > 65535:
        raise ValueError(f"{port} is not a port")
    return Origin(scheme, host, 0 if port == DEFAULT_PORTS[scheme] else port)


def _read_host(text: str) -> str:
    """Normalise a host as browsers do. Raises ``ValueError``."""
    if text.startswith("["):
        if "%" in text:
            raise ValueError(f"{text!r} has a zone, which no page can have")
        return f"[{ipaddress.IPv6Address(text[1:-1]).compressed}]"
    host = text.lower()
    if not host.isascii():
        # Includes what browsers accept and IDNA 2008 does not, such as emoji.
        mapped = idna.uts46_remap(host, std3_rules=False)
        labels = (
            label if label.isascii() else "xn--" + label.encode("punycode").decode()
            for label in mapped.split(".")
        )
        host = ".".join(labels)
    if not host or host.startswith(".") or ".." in host or _FORBIDDEN.search(host):
        raise ValueError(f"{text!r} is not a host")
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            # As in browsers, "127.1" and "0x7f.0.0.1" are addresses, too.
            return socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))
        except OSError:
            raise ValueError(f"{text!r} is not an address") from None
    return host


class AllowedOrigins:
    """The allowed origins. Raises ``ValueError`` for a value that cannot match anything a browser sends."""

    def __init__(self, allowed: str | Sequence[str] | None = None) -> None:
        """``allowed``: see ``cors_allowed_origins``. None: the origin to which the request was sent."""
        values = [allowed] if isinstance(allowed, str) else allowed
        self._is_own = values is None
        self.allows_all = False
        self._exact: set[str] = set()
        #: The scheme, the end of the host with its leading dot, and the port of each wildcard.
        self._subdomains: list[Origin] = []
        for value in values or ():
            self._add(value)

    def __repr__(self) -> str:
        wildcards = [_shown(origin) for origin in self._subdomains]
        shown = "own" if self._is_own else "*" if self.allows_all else sorted((*self._exact, *wildcards))
        return f"<AllowedOrigins {shown}>"

    def _add(self, value: str) -> None:
        if value == "*":
            self.allows_all = True
        elif value == OPAQUE:
            self._exact.add(OPAQUE)
        else:
            try:
                origin = _read_allowed(value)
            except ValueError:
                raise ValueError(_explain(value)) from None
            if origin.host.startswith("."):
                self._subdomains.append(origin)
            else:
                self._exact.add(str(origin))

    def allows(self, origin: str, own: Iterable[str] = ()) -> bool:
        """Whether a client with this ``Origin`` header may connect.

        ``own``: the origins to which the request may have been sent. They are allowed unless others are
        configured.
        """
        if self.allows_all or origin in self._exact:
            return True
        try:
            asked = read_origin(origin)
        except ValueError:
            return False
        if self._is_own:
            return any(asked == _origin_or_none(text) for text in own)
        return str(asked) in self._exact or any(
            asked.host.endswith(host) and len(asked.host) > len(host) and asked[::2] == (scheme, port)
            for scheme, host, port in self._subdomains
        )


def own_origins(
    scheme: str, host: str | None, forwarded_proto: str | None = None, forwarded_host: str | None = None
) -> list[str]:
    """The origins to which a request may have been sent.

    ``forwarded_proto``, ``forwarded_host``: what a proxy says about the request that it received, in
    ``X-Forwarded-Proto`` and ``X-Forwarded-Host``.
    """
    if not host:
        return []
    found = [f"{scheme}://{host}"]
    if forwarded_proto or forwarded_host:
        found.append(f"{_first(forwarded_proto or scheme)}://{_first(forwarded_host or host)}")
    return found


def _first(values: str) -> str:
    return values.partition(",")[0].strip()


def _origin_or_none(text: str) -> Origin | None:
    try:
        return read_origin(text)
    except ValueError:
        return None


def _read_allowed(value: str) -> Origin:
    """Parse a configured origin. The host of a wildcard begins with a dot. Raises ``ValueError``."""
    scheme, separator, rest = value.partition("://")
    is_wildcard = rest.startswith("*.")
    if is_wildcard and scheme.lower() not in DEFAULT_PORTS:
        raise ValueError("a wildcard needs http or https")
    origin = read_origin(scheme + separator + rest.removeprefix("*."))
    if origin.scheme in _PAGES_OF:
        raise ValueError("pages have no such scheme")
    if origin.host.endswith("."):
        raise ValueError(f"{origin.host!r} is not the host of a page")
    if not is_wildcard:
        return origin
    if origin.host.startswith("[") or origin.host[-1].isdigit():
        raise ValueError("an address has no subdomains")
    return origin._replace(host="." + origin.host)


def _shown(origin: Origin) -> str:
    return str(origin._replace(host="*" + origin.host) if origin.host.startswith(".") else origin)


def _explain(value: str) -> str:
    """Why an origin cannot match anything, and the nearest form that can."""
    if "@" in value:
        # It may be a password.
        return "an origin has no user or password: give scheme, host and port alone"
    problem = f"{value!r} never matches what browsers send"
    parts = [part for part in re.split(r"[\s,;]+", value) if part]
    forms = [_nearest(part) for part in parts]
    if not forms or None in forms:
        return f"{problem}: write scheme, host and port, such as 'https://chat.example.org'"
    return f"{problem}: write {forms[0]!r}" if len(forms) == 1 else f"{problem}: write {forms}"


def _nearest(text: str) -> str | None:
    """The allowed origin that was probably meant, or None if unclear."""
    text = text.strip("\"'<>[]()") if not text.startswith("[") else text.strip("\"'<>()")
    if set(text) <= set("*:/"):
        return "*" if "*" in text else None
    if text.lower() == OPAQUE:
        return OPAQUE
    found = re.fullmatch(r"([A-Za-z][A-Za-z0-9+.\-]*):/*(?!\d+(?:/|$))(.*)", text)
    scheme, rest = (found[1].lower(), found[2]) if found is not None else ("", text.lstrip("/"))
    if scheme in ("about", "blob", "data", "javascript"):
        return OPAQUE
    scheme = _PAGES_OF.get(scheme, scheme)
    rest = re.split(r"[/?#\\]", rest, maxsplit=1)[0] if scheme != "file" else ""
    if scheme in ("", *DEFAULT_PORTS):
        host, _, port = rest.rpartition(":") if re.search(r":(\d+|\*)$", rest) else (rest, "", "")
        host = host.rstrip(".")
        if host.startswith("*") and not host.startswith("*."):
            host = "*." + host.lstrip("*.")
        is_local = host in ("localhost", "[::1]") or bool(re.fullmatch(r"[\d.]+", host))
        scheme = scheme or ("http" if is_local or port == "80" else "https")
        rest = f"{host}:{port}" if port.isdigit() else host
    try:
        origin = _read_allowed(f"{scheme}://{rest}")
    except ValueError:
        return None
    return _shown(origin)


_PORT = re.compile(r":\d*$")


class AllowedHosts:
    """The hosts that requests may name. Raises ``ValueError`` for a host that cannot occur in a request.

    With DNS rebinding, an attacker's host name suddenly resolves to this server, so their page has the same
    origin as its requests. Only the host name shows that the requests are not for us.
    """

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
