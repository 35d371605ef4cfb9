"""Results and errors in the form of acks; internal errors are hidden from clients."""

import json
import logging
import uuid
from typing import Any

from chat_service.errors import MAX_VALUE_TEXT, ChatServiceError, StoreTimeoutError, as_text, clean_text
from chat_service.protocol.values import MAX_DEPTH, is_clean_value

logger = logging.getLogger("chat_service")

#: Sent to a client for an exception that is not a ``ChatServiceError``.
INTERNAL_ERROR_TEXT = "Internal server error, incident %s"


class ErrorEncoder:
    """Converts exceptions to errors for clients (protocol.md, Errors)."""

    def __init__(self, *, raw: bool, expose_internal: bool) -> None:
        self._raw = raw
        self._expose_internal = expose_internal
        #: Number of errors of which the client was told only an incident id.
        self.incidents = 0

    def public_error(self, error: BaseException, where: str) -> ChatServiceError:
        """Return an error that is safe to send; log the details of others with the incident id."""
        if isinstance(error, ChatServiceError):
            return error
        if isinstance(error, StoreTimeoutError):
            logger.warning("%s: the store did not complete the operation: %s", where, error)
            return ChatServiceError("timeout")
        incident = uuid.uuid4().hex[:12]
        self.incidents += 1
        logger.error("%s failed, incident %s", where, incident, exc_info=error, extra={"incident": incident})
        text = clean_text(str(error)) if self._expose_internal else INTERNAL_ERROR_TEXT % incident
        return ChatServiceError("internalError", text)

    def encode(self, error: BaseException, where: str) -> Any:
        """Return the ack's error value for an exception of a command or handler."""
        public = self.public_error(error, where)
        if not self._raw:
            return f"ChatServiceError: {clean_text(str(public))}"
        arguments = [bounded(argument) for argument in public.arguments]
        return {"name": "ChatServiceError", "code": clean_text(public.code), "args": arguments}


def bounded(value: Any) -> Any:
    """The value itself if it is short and can be serialised, else a short text describing it."""
    try:
        if len(json.dumps(value)) <= MAX_VALUE_TEXT and is_clean_value(value, MAX_DEPTH):
            return value
    except (TypeError, ValueError, RecursionError):
        pass
    return as_text(value)
