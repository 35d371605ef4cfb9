"""Removes secrets from values shown in logs, errors and listings."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

HIDDEN: Final = "***"
#: Options whose values are secrets.
_SECRET_KEYS: Final = frozenset(
    {"oidc_client_secret", "secret", "session_secret", "bus_secret", "sentinel_password", "password"}
)
_PASSWORD_PARAMETER: Final = re.compile(r"((?:^|&)(?:ssl_)?password)=[^&]*")


def redacted(name: str, value: Any) -> Any:
    """The value of an option, safe to show. Mappings are redacted inside."""
    if value is None:
        return None
    if name in ("tokens", "secrets"):
        # The names of their owners are not secret.
        return dict.fromkeys(value, HIDDEN) if isinstance(value, Mapping) else HIDDEN
    if name in _SECRET_KEYS or "password" in name:
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: redacted(str(key), item) for key, item in value.items()}
    return without_passwords(value) if name.endswith("url") and isinstance(value, str) else value


def without_passwords(url: str) -> str:
    """A URL with its passwords hidden, even if a password contains characters that are not allowed in it."""
    head, mark, query = url.partition("?")
    scheme, separator, rest = head.partition("://")
    if "@" in query and "@" not in rest:
        # The question mark belongs to the password.
        return f"{scheme}{separator}{HIDDEN}@{query.rpartition('@')[2]}"
    user_info, at, host = rest.rpartition("@")
    user, colon, _ = user_info.partition(":")
    if colon:
        rest = f"{user}:{HIDDEN}{at}{host}"
    return f"{scheme}{separator}{rest}{mark}" + _PASSWORD_PARAMETER.sub(rf"\1={HIDDEN}", query)


def repr_of(options: Any) -> str:
    """The ``repr`` of a data class of options, without its secrets."""
    shown = (f"{item.name}={redacted(item.name, getattr(options, item.name))!r}" for item in fields(options))
    return f"{type(options).__name__}({', '.join(shown)})"
