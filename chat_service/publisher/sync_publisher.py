"""The publisher for programs without asyncio: threads, WSGI applications, Celery tasks."""

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from chat_service.publisher.async_publisher import AsyncPublisher
from chat_service.publisher.publication import Published

T = TypeVar("T")


class _LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chat publisher", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            # Ctrl+C in the waiting thread, for example.
            future.cancel()
            raise

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class Publisher:
    """``AsyncPublisher`` without ``await``, with the same arguments. Any thread may use it.

    Its connections belong to the process: after a fork, as in Celery's and gunicorn's workers, the child
    opens its own. They are closed by ``close``, or when the process ends.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        store_options: Mapping[str, Any] | None = None,
        timeout: float = 10.0,
        idempotency_window: float = 300.0,
    ) -> None:
        def make() -> AsyncPublisher:
            return AsyncPublisher(
                url,
                token=token,
                store_options=store_options,
                timeout=timeout,
                idempotency_window=idempotency_window,
            )

        make()  # raises for wrong arguments
        self._make = make
        #: Objects of the process that this one was forked from. Dropping them would try to close them.
        self._inherited: list[object] = []
        self._begin()
        _living.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._thread: _LoopThread | None = None
        self._publisher: AsyncPublisher | None = None

    def _forget(self) -> None:
        """Begin anew in a forked process, which has no thread."""
        self._inherited += [self._thread, self._publisher]
        self._begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def publish(
        self, room: str, message: dict[str, Any], *, key: str | None = None, author: str | None = None
    ) -> Published:
        """Publish a message to a room, as ``AsyncPublisher.publish`` does. Returns when it is stored."""
        with self._lock:
            if self._thread is None or self._publisher is None:
                self._thread, self._publisher = _LoopThread(), self._make()
            thread, publisher = self._thread, self._publisher
        return thread.run(publisher.publish(room, message, key=key, author=author))

    def close(self) -> None:
        """Close all connections. A later message opens them again."""
        with self._lock:
            thread, publisher = self._thread, self._publisher
            self._thread = self._publisher = None
        if thread is not None and publisher is not None:
            thread.run(publisher.close())
            thread.stop()


_living: "weakref.WeakSet[Publisher]" = weakref.WeakSet()


def _forget_all() -> None:
    for publisher in list(_living):
        publisher._forget()


@atexit.register
def _close_all() -> None:
    for publisher in list(_living):
        publisher.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
