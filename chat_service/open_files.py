"""The limit of open files: how many connections it allows, and what is logged when it is reached."""

import logging
from typing import Final

from chat_service.clock import Sparing

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

#: Part of the limit of open files that is kept for other files than connections, such as links to the store;
#: and its bounds.
RESERVED_PART, RESERVED_LEAST, RESERVED_MOST = 10, 32, 1000


def open_files_limit() -> int | None:
    """How many files this process may have open; None if there is no limit, or none is known."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def connections_within(files: int | None) -> int | None:
    """How many connections a limit of open files allows beside everything else; None: any number."""
    if files is None:
        return None
    reserved = min(max(files // RESERVED_PART, RESERVED_LEAST), RESERVED_MOST)
    return max(files - reserved, 1)


class AcceptFailures(logging.Filter):
    """Counts the attempts to accept a connection that fail for want of files, and logs one line a second.

    asyncio logs each one with a traceback, more than a hundred a second. It goes on when there are files.
    """

    SIGN: Final = "socket.accept() out of system resource"
    #: What asyncio logs when a port was closed before its next attempt.
    LATE: Final = "Exception in callback BaseSelectorEventLoop._start_serving("

    def __init__(self) -> None:
        super().__init__()
        #: How many there were since the start of the process.
        self.count = 0
        self._log = Sparing()

    def filter(self, record: logging.LogRecord) -> bool:
        """Part of ``logging.Filter``."""
        text = str(record.msg)
        if not text.startswith(self.SIGN):
            return not text.startswith(self.LATE)
        self.count += 1
        failed = self._log.count()
        if not failed:
            return False
        error = record.exc_info[1] if record.exc_info else None
        record.msg = (
            "connections wait, since the system has nothing left for them (%s): %d attempts to accept failed"
        )
        record.args, record.exc_info, record.exc_text = (error or "no files", failed), None, None
        return True


#: Of all ports of this process.
accept_failures: Final = AcceptFailures()


def watch_accepting() -> None:
    """Count failures to accept connections from now on. Idempotent."""
    logging.getLogger("asyncio").addFilter(accept_failures)
