"""The part of options about who may connect: origins, hosts, proxies, and the sizes of heads."""

from collections.abc import Callable, Sequence
from typing import Any

from chat_service.option_group import OptionGroup, is_text
from chat_service.transports.socketio.engine.gate import Gate
from chat_service.transports.socketio.engine.opening import HeadLimits
from chat_service.transports.socketio.hosts import AllowedHosts
from chat_service.transports.socketio.origins import AllowedOrigins
from chat_service.transports.socketio.proxies import FORWARDED_HEADERS, TrustedProxies, read_networks


class GateOptions(OptionGroup):
    """Checks the fields of these names, which subclasses have."""

    __slots__ = ()

    cors_allowed_origins: str | Sequence[str] | None
    allowed_hosts: str | Sequence[str] | None
    trusted_proxies: Sequence[str] | None
    forwarded_header: str
    max_request_line_size: int
    max_header_size: int
    fingerprint_cookie: str | None

    def check_gate(self) -> None:
        """Check the fields. Raises ``ConfigurationError``."""
        self.check_count("a number of bytes", "max_request_line_size", "max_header_size")
        self._check_proxies()
        # The library takes an empty list of origins as permission for all.
        self._check_names("cors_allowed_origins", AllowedOrigins, 'an origin, a list of origins, "*" or None')
        self._check_names("allowed_hosts", AllowedHosts, "a host, a list of hosts or None")
        cookie = self.fingerprint_cookie
        self.check("fingerprint_cookie", cookie is None or is_text(cookie), "the name of a cookie, or None")

    def _check_names(self, name: str, read: Callable[[Any], object], expected: str) -> None:
        """Check a text, a list of texts or None, which ``read`` refuses with ``ValueError``."""
        given = getattr(self, name)
        is_list = isinstance(given, list | tuple) and bool(given) and all(map(is_text, given))
        self.check(name, given is None or is_text(given) or is_list, expected)
        try:
            read(given)
        except ValueError as error:
            raise self.error(str(error), name) from None

    def _check_proxies(self) -> None:
        names = self.trusted_proxies
        is_list = isinstance(names, list | tuple) and all(map(is_text, names))
        self.check("trusted_proxies", names is None or is_list, "a list of addresses and networks, or None")
        try:
            read_networks(names or ())
        except ValueError as error:
            raise self.error(str(error), "trusted_proxies") from None
        expected = " or ".join(map(repr, FORWARDED_HEADERS))
        self.check("forwarded_header", self.forwarded_header in FORWARDED_HEADERS, expected)

    @property
    def proxies(self) -> TrustedProxies | None:
        """The proxies to trust about addresses; None if there are none."""
        names = self.trusted_proxies
        return None if names is None else TrustedProxies(names, self.forwarded_header)

    def make_gate(self) -> Gate:
        """The checks of requests."""
        return Gate(
            origins=AllowedOrigins(self.cors_allowed_origins),
            hosts=AllowedHosts(self.allowed_hosts),
            limits=HeadLimits(self.max_request_line_size, self.max_header_size),
            proxies=self.proxies,
        )
