"""Options of webhooks: addresses, secrets, the policy for a dead back end, and all limits."""

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from chat_service.errors import ConfigurationError
from chat_service.option_group import OptionGroup, is_text
from chat_service.options import Options

#: Hooks that ask the back end and wait for its answer.
HOOKS: Final = ("connect", "refresh", "message")
#: All kinds of events.
EVENT_KINDS: Final = ("message", "join", "leave", "connect", "disconnect", "direct_message")
#: What can happen when the back end does not answer.
POLICIES: Final = ("refuse", "allow")
#: Minimum bytes of a secret: as many as a SHA-256 digest has.
MIN_SECRET: Final = 32
#: Maximum number of secrets: the current one, and one that is being replaced.
MAX_SECRETS: Final = 2

_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADER: Final = re.compile(r"[a-z0-9-]{1,100}")
_LINE: Final = '"id:secret"'


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WebhookOptions(OptionGroup):
    """Options of webhooks. An invalid value raises ``ConfigurationError``, whose text contains no secret."""

    group: ClassVar = "webhook_options"

    #: Secrets that sign requests: a mapping of ids to texts of at least 32 bytes, or a text of entries
    #: "id:secret". With two secrets, both sign, so that one can replace the other.
    secrets: Mapping[str, str] | str = field(default_factory=dict)
    #: Address that decides who a new socket belongs to. None: the back end is not asked.
    connect_url: str | None = None
    #: Without an answer, "refuse" rejects the login, and "allow" accepts the service's own decision.
    connect_on_failure: str = "refuse"
    #: Maximum time in seconds for the answer, including repeats; must be less than `login_timeout`.
    connect_timeout: float = 5.0
    #: Address that decides when a client renews its login. None: the back end is not asked.
    refresh_url: str | None = None
    #: Without an answer, "refuse" leaves the login's end as it was, and "allow" accepts the service's own
    #: decision.
    refresh_on_failure: str = "refuse"
    #: Maximum time in seconds for the answer, including repeats; must be less than `login_timeout`.
    refresh_timeout: float = 5.0
    #: Address that decides before a message is sent to a room. None: the back end is not asked.
    message_url: str | None = None
    #: Without an answer, "refuse" rejects the message, and "allow" sends it unchanged.
    message_on_failure: str = "refuse"
    #: Maximum time in seconds for the answer, including repeats; must be less than `hook_timeout`.
    message_timeout: float = 5.0
    #: Names of the connection's request headers that the connect hook passes on.
    forward_headers: tuple[str, ...] = ("origin", "user-agent")
    #: Maximum number of times a hook's request is repeated if the connection fails or the status is 429 or
    #: 5xx.
    retries: int = 1
    #: A file with the certificates (PEM) to trust at https:// addresses, instead of those of the system.
    ca_file: str | None = None
    #: Maximum bytes of an answer.
    max_answer_size: int = 65_536
    #: Maximum number of connections for hooks; further requests wait, within their timeout.
    max_connections: int = 100
    #: Number of failures in a row after which a hook's circuit opens and stops its requests for a while.
    circuit_failures: int = 5
    #: Time in seconds that a circuit stays open before a single request tests the back end.
    circuit_seconds: float = 10.0
    #: Time in seconds before the first repeat. It doubles with each further one, and varies randomly by half.
    backoff_first: float = 0.1
    #: Maximum time in seconds before a repeat.
    backoff_longest: float = 30.0
    #: Address that receives events. None: no events are sent.
    events_url: str | None = None
    #: Kinds of events to send: "message", "join", "leave", "connect", "disconnect", "direct_message".
    events: tuple[str, ...] = ("message", "join", "leave", "connect", "disconnect")
    #: Maximum time in seconds for one request with events.
    events_timeout: float = 10.0
    #: Maximum number of events in one request.
    events_batch: int = 100
    #: Maximum bytes of the events in one request; a single larger event is sent on its own.
    events_batch_bytes: int = 1_000_000
    #: Maximum number of concurrent requests with events, each for a different room or user.
    events_concurrency: int = 8
    #: Maximum number of waiting events; further ones are dropped and counted.
    events_queue: int = 10_000
    #: Maximum bytes of all waiting events.
    events_queue_bytes: int = 32_000_000
    #: Maximum number of waiting events of one room or user.
    events_room_queue: int = 1000
    #: Maximum time in seconds to deliver waiting events on close.
    events_close_timeout: float = 5.0

    def __post_init__(self) -> None:
        self.check_numbers(besides="retries")
        is_count = type(self.retries) is int and self.retries >= 0
        self.check("retries", is_count, "a whole number, 0 or more")
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name.endswith("_url") and value is not None:
                _check_url(item.name, value)
            elif item.name.endswith("_on_failure"):
                self.check(item.name, value in POLICIES, " or ".join(map(repr, POLICIES)))
        self._check_names("events", lambda name: name in EVENT_KINDS, f"a list of {', '.join(EVENT_KINDS)}")
        self._check_names(
            "forward_headers",
            lambda name: _HEADER.fullmatch(name) is not None,
            "a list of header names in lower case",
        )
        self.check("events", bool(self.events), "one kind or more")
        self.check("ca_file", self.ca_file is None or is_text(self.ca_file), "a path")
        self.trust()
        if not self.known_secrets() and self.is_on:
            raise self.error(
                "a secret is required to sign requests: `openssl rand -hex 32` prints a good one",
                "secrets",
            )

    def _check_names(self, name: str, is_known: Callable[[str], bool], expected: str) -> None:
        given: Any = getattr(self, name)
        is_list = isinstance(given, list | tuple)
        self.check(name, is_list and all(isinstance(it, str) and is_known(it) for it in given), expected)

    @property
    def is_on(self) -> bool:
        """Whether any address is set."""
        return self.events_url is not None or any(self.url_of(hook) is not None for hook in HOOKS)

    def url_of(self, hook: str) -> str | None:
        """The address of one of ``HOOKS``, or of "events"."""
        url: str | None = getattr(self, f"{hook}_url")
        return url

    def timeout_of(self, hook: str) -> float:
        """The timeout in seconds of one of ``HOOKS``."""
        return float(getattr(self, f"{hook}_timeout"))

    def lets_pass(self, hook: str) -> bool:
        """Whether one of ``HOOKS`` allows its subject when the back end does not answer."""
        return bool(getattr(self, f"{hook}_on_failure") == "allow")

    def trust(self) -> ssl.SSLContext | None:
        """The certificates to trust at https:// addresses; None for those of the system.

        Raises ``ConfigurationError`` for a file that cannot be used.
        """
        if self.ca_file is None:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            # An SSLError is an OSError, too, but its text consists of OpenSSL's internals.
            reason = "no certificates" if isinstance(error, ssl.SSLError) else error
            raise self.error(f"{self.ca_file}: {reason}", "ca_file") from None

    def known_secrets(self) -> dict[str, bytes]:
        """The secrets by their ids. Raises ``ConfigurationError`` for invalid ones."""
        return read_secrets(self.secrets)


def read_secrets(given: Any) -> dict[str, bytes]:
    """The secrets in an option. Raises ``ConfigurationError``, whose text contains no secret."""
    what = "webhook_options secrets"
    if isinstance(given, str):
        pairs = [entry.partition(":") for entry in given.split()]
        for number, (_, colon, _) in enumerate(pairs, 1):
            if not colon:
                raise ConfigurationError(f"{what}: entry {number} is not of the form {_LINE}")
        found: list[tuple[Any, Any]] = [(key_id, secret) for key_id, _, secret in pairs]
    elif isinstance(given, Mapping):
        found = list(given.items())
    else:
        kind = type(given).__name__
        raise ConfigurationError(
            f"{what}: expected a mapping of ids to secrets or entries {_LINE}, got a {kind}"
        )
    if len(found) > MAX_SECRETS or len(dict(found)) < len(found):
        raise ConfigurationError(f"{what}: expected at most {MAX_SECRETS}, with different ids")
    for key_id, secret in found:
        if not isinstance(key_id, str) or _KEY_ID.fullmatch(key_id) is None:
            raise ConfigurationError(f"{what}: an id has 1 to 64 letters, digits, dots, dashes, underscores")
        if not isinstance(secret, str) or len(secret.encode("utf-8", "surrogatepass")) < MIN_SECRET:
            raise ConfigurationError(
                f"{what} {key_id}: expected a text of {MIN_SECRET} bytes or more; "
                f"`openssl rand -hex {MIN_SECRET}` prints a good one"
            )
    return {key_id: secret.encode("utf-8", "surrogatepass") for key_id, secret in found}


def _check_url(name: str, url: Any) -> None:
    what = f"webhook_options {name}"
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError, TypeError):
        is_good = False
    if not is_good or not isinstance(url, str) or not url.isascii() or any(each <= " " for each in url):
        raise ConfigurationError(f"{what}: expected an address that begins with http:// or https://")
    if "@" in parts.netloc:
        raise ConfigurationError(f"{what}: the address must not contain a password; use secrets")
    if parts.fragment:
        raise ConfigurationError(f"{what}: the address must not contain a fragment (#)")


def check_times(webhooks: WebhookOptions, options: Options) -> None:
    """Raise ``ConfigurationError`` for a hook whose timeout is not less than that of the service.

    Otherwise the service would cancel the hook before its ``on_failure`` policy could apply.
    """
    limits = {
        "connect": ("login_timeout", options.login_timeout),
        "refresh": ("login_timeout", options.login_timeout),
        "message": ("hook_timeout", options.hook_timeout),
    }
    for hook, (name, limit) in limits.items():
        seconds = webhooks.timeout_of(hook)
        if webhooks.url_of(hook) is not None and limit is not None and seconds >= limit:
            raise ConfigurationError(
                f"webhook_options {hook}_timeout ({seconds:g} s) must be less than {name} ({limit:g} s)"
            )


def check_policies(webhooks: WebhookOptions, *, has_connect: bool, has_refresh: bool) -> None:
    """Raise ``ConfigurationError`` for a policy "allow" without a hook that decides in the back end's place.

    ``has_connect``, ``has_refresh``: whether the service has its own hooks of these kinds.
    """
    for hook, has_own in (("connect", has_connect), ("refresh", has_refresh)):
        if webhooks.url_of(hook) is not None and webhooks.lets_pass(hook) and not has_own:
            raise ConfigurationError(
                f'webhook_options {hook}_on_failure: "allow" needs an on_{hook} hook of the service itself, '
                "because that hook decides when the back end does not answer"
            )
