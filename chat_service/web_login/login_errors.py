"""Why a page does not log somebody in, as much as the page may know."""

from typing import Final

#: The status of each answer.
STATUSES: Final = {
    "badRequest": 400,
    "badLogin": 401,
    "badToken": 401,
    "noSession": 401,
    "foreignPage": 403,
    "tooManyAttempts": 429,
    "busy": 503,
    "providerFailed": 502,
}


class LoginRefused(Exception):
    """``code``: a key of ``STATUSES``. ``wait``: seconds after which to try again, 0 if unknown."""

    def __init__(self, code: str, *, wait: float = 0.0) -> None:
        super().__init__(code)
        self.code = code
        self.wait = wait

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUSES[self.code]
