"""What a client said when it connected, from the environ of the Socket.IO server."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from chat_service.transports.base import Handshake
from chat_service.transports.socketio.front import Opening


class Environs(dict[str, Any]):
    """The environs of the connections of a server. That of an ``Opening`` is made when it is asked for."""

    def __getitem__(self, sid: str) -> Any:
        return _environ(super().__getitem__(sid))

    def get(self, sid: str, default: Any = None) -> Any:
        return _environ(super().get(sid, default))

    def opening(self, sid: str) -> Any:
        """The ``Opening`` of a connection, or its environ."""
        return super().__getitem__(sid)


def _environ(found: Any) -> Any:
    return found.environ() if isinstance(found, Opening) else found


def read_handshake(environ: Mapping[str, Any] | Opening, auth: Any) -> Handshake:
    """The handshake data of a connecting socket."""
    if isinstance(environ, Opening):
        return Handshake(
            is_connected=True,
            query=environ.query,
            headers=environ.headers,
            auth=auth,
            remote_addr=environ.remote_addr,
        )
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
