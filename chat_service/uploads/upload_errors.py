"""Errors of uploads: their codes, texts and HTTP statuses."""

from collections.abc import Mapping
from typing import Final

from chat_service.errors import ChatServiceError, format_text

#: Each code with its HTTP status and its text.
ERRORS: Final[Mapping[str, tuple[int, str]]] = {
    "uploadBadTicket": (401, "The ticket is not valid, or has expired"),
    "uploadTicketUsed": (409, "The ticket has been used"),
    "uploadTooLarge": (413, "A file has at most %s bytes"),
    "uploadWrongLength": (400, "Expected %s bytes"),
    "uploadTypeNotAllowed": (415, "Files of type %s are not allowed; allowed are %s"),
    "uploadImageTooLarge": (415, "An image has at most %s pixels"),
    "uploadQuota": (413, "There is no space left for files of this %s"),
    "uploadStorageFull": (507, "There is no space left for files"),
    "uploadTooMany": (429, "Too many uploads or downloads run at the moment"),
    "uploadTimeout": (408, "The upload took too long"),
    "uploadBroken": (400, "The upload was interrupted"),
    "uploadRefused": (422, "The file was refused: %s"),
    "uploadNotFound": (404, "There is no such file"),
    "uploadForbidden": (403, "This file is not for you"),
    "uploadMethod": (405, "This address does not support this method"),
    "uploadUnavailable": (503, "The service is not running"),
    "notJoined": (403, ""),
    "noRoom": (404, ""),
    "rateLimited": (429, ""),
}


class UploadError(ChatServiceError):
    """Why a file is not taken or given. Over a socket, clients get the code alone."""

    @property
    def text(self) -> str:
        """What went wrong, for people."""
        template = ERRORS[self.code][1] if self.code in ERRORS else ""
        return format_text(template, self.arguments) if template else str(self)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return ERRORS[self.code][0] if self.code in ERRORS else 500
