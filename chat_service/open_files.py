"""The limit of open files: how many connections it allows, and a log line when it is reached."""

import logging
from typing import Final

from chat_service.clock import Sparing

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

#: The fraction of the limit that is reserved for files other than connections, such as links to the store:
#: one part in ten, within these bounds.
RESERVED_PART, RESERVED_LEAST, RESERVED_MOST = 10, 32, 1000


def open_files_limit() -> int | None:
    """How many files this process may have open; None if there is no known limit."""
    if resource is None:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def connections_within(files: int | None) -> int | None:
    """How many connections a limit of open files allows besides everything else; None for no limit."""
    if files is None:
        return None
    reserved = min(max(files // RESERVED_PART, RESERVED_LEAST), RESERVED_MOST)
    return max(files - reserved, 1)


class AcceptFailures(logging.Filter):
    """Counts attempts to accept a connection that fail for lack of files, and logs one line a second.

    asyncio logs each failure with a traceback, over a hundred a second. It retries until files are free.
    """

    SIGN: Final = "socket.accept() out of system resource"
    #: Start of the record that asyncio logs if the port is closed before the next attempt.
    LATE: Final = "Exception in callback BaseSelectorEventLoop._start_serving("

    def __init__(self) -> None:
        super().__init__()
        #: Number of failed attempts since the start of the process.
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
            "new connections have to wait, because the system is out of resources (%s): "
            "%d attempts to accept failed"
        )
        record.args, record.exc_info, record.exc_text = (error or "no files", failed), None, None
        return True


#: The filter for all ports of this process.
accept_failures: Final = AcceptFailures()


def watch_accepting() -> None:
    """Count failures to accept connections from now on. Idempotent."""
    logging.getLogger("asyncio").addFilter(accept_failures)
