"""Checks whether a configuration is safe on the public internet: ``chat-service check --public``.

The rules are those of docs/guide/security.md.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from chat_service.cli.findings import Finding, Verdict
from chat_service.cli.login_settings import LoginSettings
from chat_service.cli.settings import Settings
from chat_service.service.runner import is_loopback

#: Options that limit the load of a single client, and are off if None.
LIMITS: Final = ("command_rate", "rate_limit_disconnect", "hook_timeout")
#: Networks that contain all addresses.
EVERYBODY: Final = ("0.0.0.0/0", "::/0")
#: Packet size in bytes above which a few clients can fill the memory.
LARGE_MESSAGE: Final = 16_000_000


def check_public(settings: Settings) -> list[Finding]:
    """Check a valid configuration. Each finding says what to change."""
    found = [
        *_login(settings),
        *_origins(settings.transport_options),
        *_hosts(settings.transport_options),
        *_service(settings.service),
        *_transport(settings.transport_options),
        *_websocket(settings.websocket_options),
        *_lines(settings.line_options),
        *_store(settings),
        *_webhooks(settings.webhook_options),
    ]
    if not found:
        found.append((Verdict.OK, "no problems found; see also docs/guide/security.md"))
    return [Finding(name="public", verdict=verdict, detail=detail) for verdict, detail in found]


#: A verdict, and the problem.
_Judgement = tuple[Verdict, str]


def _login(settings: Settings) -> Iterator[_Judgement]:
    login = settings.login
    if login is None:
        # The connect webhook checks logins.
        return
    if "name" in login.kinds:
        yield Verdict.FAILED, '[login] type = "name" lets anyone log in as any user; use another type'
    if "jwt" in login.kinds and not login.require_expiry:
        yield Verdict.WARNING, "[login] require_expiry = false: a stolen token is valid forever"
    if "jwt" in login.kinds and login.source == "query":
        yield Verdict.WARNING, '[login] source = "query" exposes tokens in the logs of proxies; use "auth"'
    if len(login.kinds) > 1:
        yield (
            Verdict.WARNING,
            f"[login] type = {list(login.kinds)}: a name is the same user however somebody logs in; make "
            "sure that nobody can choose another's name",
        )
    if login.has_page:
        yield from _page(login, settings.transport_options)


def _page(login: LoginSettings, transport: Mapping[str, Any]) -> Iterator[_Judgement]:
    url = login.public_url
    if url is None:
        yield (
            Verdict.WARNING,
            "[login] public_url is not set: cookies are only protected by TLS if the proxy in front sends "
            "X-Forwarded-Proto; set the address of the page",
        )
    elif not url.startswith("https://"):
        yield Verdict.FAILED, f"[login] public_url {url}: without TLS others can read passwords and sessions"
    if "password" in login.kinds:
        if transport.get("trusted_proxies") is None:
            yield (
                Verdict.WARNING,
                "[transport] trusted_proxies is not set: behind a proxy, all attempts to log in count for "
                "one address; list your proxies",
            )
        mode = _mode(login.users_file)
        if mode is not None and mode & 0o077:
            yield (
                Verdict.FAILED,
                f"[login] users_file {login.users_file}: others on this machine can read or change it; "
                "chmod 600",
            )
        for name, most in (("attempts_per_address", 100), ("attempts_per_name", 30)):
            if getattr(login, name) > most:
                yield Verdict.WARNING, f"[login] {name} above {most}: passwords can be guessed faster"
    if login.session_ttl > 3600:
        yield (
            Verdict.WARNING,
            "[login] session_ttl above an hour: users who were removed stay logged in for as long",
        )
    if "oidc" in login.kinds and not str(login.oidc_issuer).startswith("https://"):
        yield Verdict.FAILED, "[login] oidc_issuer: without TLS others can log in as anybody"


def _mode(path: str | None) -> int | None:
    """The permissions of a file, None if there is none."""
    try:
        return None if path is None else Path(path).stat().st_mode
    except OSError:
        return None


def _origins(transport: Mapping[str, Any]) -> Iterator[_Judgement]:
    origins = transport.get("cors_allowed_origins")
    if "*" in ([origins] if isinstance(origins, str) else origins or ()):
        yield (
            Verdict.FAILED,
            '[transport] cors_allowed_origins = "*" lets every website use the logins of its visitors; '
            "list your origins",
        )


def _hosts(transport: Mapping[str, Any]) -> Iterator[_Judgement]:
    hosts = transport.get("allowed_hosts")
    names = [hosts] if isinstance(hosts, str) else hosts
    if names is None or "*" in names:
        state = "is not set" if names is None else '= "*"'
        yield (
            Verdict.WARNING,
            f"[transport] allowed_hosts {state}: a website can point its own name at your server (DNS "
            "rebinding) and then passes for yours; list your host names",
        )


def _service(service: Mapping[str, Any]) -> Iterator[_Judgement]:
    if service.get("expose_internal_errors"):
        yield Verdict.FAILED, "[service] expose_internal_errors shows exception texts to clients"
    for name in LIMITS:
        if name in service and service[name] is None:
            yield Verdict.WARNING, f"[service] {name} is off: the load from a single client is not limited"
    host = service.get("operations_host", "127.0.0.1")
    if service.get("operations_port") is not None and not is_loopback(host):
        yield (
            Verdict.WARNING,
            f"[service] operations_host {host}: anyone who reaches this port can read the metrics; "
            "keep it private",
        )


def _transport(transport: Mapping[str, Any]) -> Iterator[_Judgement]:
    if transport.get("admin_ui") is not None:
        yield Verdict.WARNING, "[transport] admin_ui: protected only by a password; use trusted networks"
    if transport.get("max_pending_connections", 1) is None:
        yield (
            Verdict.WARNING,
            "[transport] max_pending_connections is off: clients need no login to take memory",
        )
    for network in transport.get("trusted_proxies") or ():
        if network in EVERYBODY:
            yield (
                Verdict.FAILED,
                f"[transport] trusted_proxies {network!r} lets every client choose its address; list your "
                "proxies",
            )
    size = transport.get("max_message_size", 0)
    if size > LARGE_MESSAGE:
        yield Verdict.WARNING, f"[transport] max_message_size {size}: a few clients can fill the memory"


def _websocket(options: Mapping[str, Any] | None) -> Iterator[_Judgement]:
    if options is None or options.get("port") is None:
        # The checks of the Socket.IO transport count.
        return
    origins = options.get("cors_allowed_origins")
    if "*" in ([origins] if isinstance(origins, str) else origins or ()):
        yield (
            Verdict.FAILED,
            '[websocket] cors_allowed_origins = "*" lets every website use the logins of its visitors',
        )
    if options.get("allowed_hosts") is None:
        yield Verdict.WARNING, "[websocket] allowed_hosts is not set: list your host names"


def _lines(options: Mapping[str, Any] | None) -> Iterator[_Judgement]:
    if options is None:
        return
    host = options.get("host", "127.0.0.1")
    if not is_loopback(host) and options.get("certificate") is None:
        yield (
            Verdict.FAILED,
            f"[lines] host {host!r} without certificate: others can read and change logins and messages on "
            "the way; set certificate and private_key, or listen on 127.0.0.1 behind a proxy with TLS",
        )
    if options.get("max_connections_per_address") is None and not is_loopback(host):
        yield (
            Verdict.WARNING,
            "[lines] max_connections_per_address is off: one client can take all connections",
        )


def _store(settings: Settings) -> Iterator[_Judgement]:
    if settings.store_type != "redis":
        return
    options = settings.store_options
    if not options.get("bus_secret"):
        yield (
            Verdict.WARNING,
            "[store] bus_secret is not set: anyone who can publish in Redis can impersonate an instance",
        )
    elif options.get("bus_stamps", "require") != "require":
        yield (
            Verdict.WARNING,
            '[store] bus_stamps is not "require": recorded notifications can be published again',
        )
    url = options.get("url", "")
    parts = urlsplit(url if isinstance(url, str) else "")
    if parts.scheme == "redis" and not is_loopback(parts.hostname or ""):
        yield Verdict.WARNING, "[store] url: without TLS (rediss://) others can read the traffic"


def _webhooks(options: Mapping[str, Any]) -> Iterator[_Judgement]:
    for name, url in options.items():
        if not name.endswith("_url") or not isinstance(url, str):
            continue
        parts = urlsplit(url)
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            yield (
                Verdict.WARNING,
                f"[webhooks] {name}: without TLS (https://) others can read the traffic",
            )
