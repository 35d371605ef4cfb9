"""Attempts to log in with a password, bounded by address and by name."""

import logging
import time
from typing import Final

from chat_service.errors import shorten
from chat_service.guesses import Failures
from chat_service.web_login.login_errors import LoginRefused

logger = logging.getLogger("chat_service")

#: Attempts of one address, and for one name, within a minute.
PER_ADDRESS: Final = 30
PER_NAME: Final = 10


class Attempts:
    """Counts attempts before they are tried, so that attempts at the same time count, too.

    Right passwords count for their address as well: otherwise somebody with an account of their own could
    clear the count.
    """

    def __init__(self, per_address: int = PER_ADDRESS, per_name: int = PER_NAME) -> None:
        self._addresses = Failures(per_address)
        self._names = Failures(per_name)

    def begin(self, address: str, name: str) -> None:
        """Count an attempt. Raises ``LoginRefused`` if there are too many."""
        now = time.monotonic()
        for counts, key, what in ((self._addresses, address, "from"), (self._names, name, "for the name")):
            count, rest = counts.note(key, now)
            if counts.is_over(count):
                if not counts.is_over(count - 1):
                    logger.warning("logins: too many attempts %s %s", what, shorten(repr(key)))
                raise LoginRefused("tooManyAttempts", wait=rest)

    def succeeded(self, name: str) -> None:
        """The attempt was right: the count of the name starts over."""
        self._names.forget(name)
