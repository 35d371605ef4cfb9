"""What a client said when it connected, from the environ of the Socket.IO server."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from chat_service.contracts.transport import Handshake
from chat_service.transports.socketio.engine.opening import Opening
from chat_service.transports.socketio.request_head import join_headers, read_text


class Environs(dict[str, Any]):
    """The environs of the connections of a server. That of an ``Opening`` is made when it is asked for."""

    def __getitem__(self, sid: str) -> Any:
        return _environ(super().__getitem__(sid))

    def get(self, sid: str, default: Any = None) -> Any:
        return _environ(super().get(sid, default))


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
        headers=_headers(environ),
        auth=auth,
        remote_addr=_remote_addr(environ),
    )


# What the libraries have made of query and headers differs from carrier to carrier, and loses some.


def _query(environ: Mapping[str, Any]) -> dict[str, str]:
    request, scope = environ.get("aiohttp.request"), environ.get("asgi.scope")
    if request is not None:
        text = request.rel_url.raw_query_string
    else:
        text = read_text(scope.get("query_string") or b"") if scope else environ.get("QUERY_STRING", "")
    fields = parse_qs(text, keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    request, scope = environ.get("aiohttp.request"), environ.get("asgi.scope")
    if request is not None:
        return join_headers(request.raw_headers)
    return join_headers(scope["headers"]) if scope else dict(_wsgi_headers(environ))


def _wsgi_headers(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
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
