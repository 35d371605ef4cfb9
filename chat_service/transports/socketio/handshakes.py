"""What a client said when it connected, from the environ of the Socket.IO server."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from chat_service.transports.base import Handshake


def read_handshake(environ: Mapping[str, Any], auth: Any) -> Handshake:
    """The handshake data of a connecting socket."""
    return Handshake(
        is_connected=True,
        query=_query(environ),
        headers=dict(_headers(environ)),
        auth=auth,
        remote_addr=_remote_addr(environ),
    )


def _query(environ: Mapping[str, Any]) -> dict[str, str]:
    request = environ.get("aiohttp.request")
    if request is not None:
        # The driver's QUERY_STRING is decoded already, so "&", "+" and "%" in values would be read again.
        return {name: request.query[name] for name in request.query}
    fields = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _headers(environ: Mapping[str, Any]) -> Any:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key[5:].replace("_", "-").lower(), value
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            yield key.replace("_", "-").lower(), value


def _remote_addr(environ: Mapping[str, Any]) -> str | None:
    request = environ.get("aiohttp.request")
    if request is not None:
        return str(request.remote) if request.remote else None
    client = environ.get("asgi.scope", {}).get("client")
    return str(client[0]) if client else environ.get("REMOTE_ADDR")
