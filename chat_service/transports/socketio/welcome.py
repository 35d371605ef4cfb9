"""What a browser sees at ``/`` of a service without a page: one line, and a link to clients."""

import html
from typing import Final

CLIENTS: Final = "https://socket.io/docs/v4/client-initialization/"
HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def welcome(namespace: str) -> bytes:
    """The page. ``namespace``: that of the service."""
    return (
        "<!doctype html><title>chat_service</title>"
        f"<p>chat_service runs here, in the namespace {html.escape(namespace)}. It is for "
        f'<a href="{CLIENTS}">Socket.IO clients</a>; there is no page to see.\n'
    ).encode()
