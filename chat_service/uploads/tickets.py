"""Upload tickets: signed, short-lived texts that allow one upload.

A socket has logged in, but an HTTP request has not. Cookies would make uploads depend on the page's origin,
and tokens of the login may be valid for hours and for everything. So a client asks for a ticket over its
socket, for one file in one room, and shows it in the header ``Authorization``. Any instance with the same
secret can check it.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import Final

import orjson

from chat_service.uploads.upload_errors import UploadError

#: Random bytes of a file's id: it cannot be guessed.
ID_BYTES: Final = 24
#: The purpose of the signature, so that the same secret can have other uses.
_PURPOSE: Final = b"chat-service upload ticket 1\0"
MAX_TICKET: Final = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Permission of a user to store one file. ``expires``: seconds of Unix time."""

    file_id: str
    user: str
    room: str
    name: str
    #: As declared by the client.
    type: str
    bytes: int
    expires: float


_FIELDS: Final = tuple(item.name for item in dataclass_fields(Ticket))


def new_file_id() -> str:
    """An id for a file, of letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(ID_BYTES)


class TicketOffice:
    """Signs and checks tickets."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, ticket: Ticket) -> str:
        """The text of a ticket."""
        values = [getattr(ticket, name) for name in _FIELDS]
        body = _encoded(orjson.dumps(values))
        return f"{body}.{_encoded(self._signature(body))}"

    def check(self, text: str, now: float) -> Ticket:
        """The ticket in a text. Raises ``uploadBadTicket``."""
        body, dot, signature = text.partition(".")
        if not dot or len(text) > MAX_TICKET or not text.isascii():
            raise UploadError("uploadBadTicket")
        try:
            is_good = hmac.compare_digest(_decoded(signature), self._signature(body))
            fields = orjson.loads(_decoded(body)) if is_good else None
        except (binascii.Error, ValueError):
            fields = None
        if fields is None:
            raise UploadError("uploadBadTicket")
        ticket = Ticket(**dict(zip(_FIELDS, fields, strict=True)))
        if ticket.expires < now:
            raise UploadError("uploadBadTicket")
        return ticket

    def _signature(self, body: str) -> bytes:
        return hmac.digest(self._secret, _PURPOSE + body.encode(), hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
