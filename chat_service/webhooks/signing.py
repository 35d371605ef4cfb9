"""Signatures of webhooks: an HMAC-SHA256 of the time and the body proves who sent a request."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

#: Headers of a request: its id, the same for repeats; the time in seconds of Unix time; the signatures.
ID_HEADER: Final = "Chat-Webhook-Id"
TIME_HEADER: Final = "Chat-Webhook-Timestamp"
SIGNATURE_HEADER: Final = "Chat-Webhook-Signature"


def sign(secrets: Mapping[str, bytes], timestamp: int, body: bytes) -> str:
    """The signatures of a body, one for each secret: ``id=hex``, separated by commas.

    The signed text is the timestamp in decimal digits, a dot, and the body.
    """
    signed = str(timestamp).encode() + b"." + body
    made = (
        f"{key_id}={hmac.digest(secret, signed, hashlib.sha256).hex()}" for key_id, secret in secrets.items()
    )
    return ", ".join(made)


def headers_for(secrets: Mapping[str, bytes], request_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of one request. ``timestamp``: seconds of Unix time."""
    return {
        "Content-Type": "application/json",
        # A compressed answer could grow to any size.
        "Accept-Encoding": "identity",
        ID_HEADER: request_id,
        TIME_HEADER: str(timestamp),
        SIGNATURE_HEADER: sign(secrets, timestamp, body),
    }
