"""Attachments of messages: the field ``attachments``, and the check of messages that may have it."""

from collections.abc import Mapping
from typing import Any, Final

from chat_service.errors import ChatServiceError
from chat_service.hooks import Hook, call_hook
from chat_service.protocol.values import is_clean_text

#: The field of a message.
ATTACHMENTS: Final = "attachments"
#: The fields of an attachment, with their types and the maximum of their lengths or values.
_FIELDS: Final[Mapping[str, tuple[type, int]]] = {
    "url": (str, 2000),
    "name": (str, 400),
    "type": (str, 200),
    "bytes": (int, 2**53 - 1),
    "width": (int, 1_000_000),
    "height": (int, 1_000_000),
}
_REQUIRED: Final = frozenset({"url", "name", "type", "bytes"})


def is_attachment(value: Any, base_url: str) -> bool:
    """Whether a value is an attachment that lies below an address."""
    if not isinstance(value, dict) or not value.keys() >= _REQUIRED or value.keys() - _FIELDS.keys():
        return False
    for name, each in value.items():
        kind, most = _FIELDS[name]
        if isinstance(each, bool) or not isinstance(each, kind):
            return False
        if isinstance(each, str) and not (0 < len(each) <= most and is_clean_text(each)):
            return False
        if isinstance(each, int) and not 0 <= each <= most:
            return False
    rest = value["url"].removeprefix(f"{base_url}/")
    return rest != value["url"] and ".." not in rest.split("/") and all(" " < each <= "~" for each in rest)


class MessageCheck:
    """Lets messages have attachments. What the application's own checker decides comes after it."""

    def __init__(self, base_url: str, most: int) -> None:
        """``most``: maximum number of attachments of a message."""
        self._base_url = base_url
        self._most = most

    def around(self, checker: Hook | None) -> Hook:
        """The checker to use instead of the application's, or of none."""

        async def check(message: Any) -> None:
            self.check_attachments(message)
            if checker is not None:
                await call_hook(checker, message)
            elif (
                message.keys() - {"textMessage", ATTACHMENTS}
                or not isinstance(text := message.get("textMessage"), str)
                or not is_clean_text(text)
            ):
                raise ChatServiceError("badArgument", 1, message)

        return check

    def check_attachments(self, message: Mapping[str, Any]) -> None:
        """Raise ``badArgument`` for attachments that are not files of this service, ``limitExceeded`` for too
        many.
        """
        given = message.get(ATTACHMENTS)
        if given is None and ATTACHMENTS not in message:
            return
        if not isinstance(given, list | tuple) or not given:
            raise ChatServiceError("badArgument", 1, message)
        if len(given) > self._most:
            raise ChatServiceError("limitExceeded", ATTACHMENTS)
        if not all(is_attachment(each, self._base_url) for each in given):
            raise ChatServiceError("badArgument", 1, message)
