"""Eager coroutines: they start immediately and get a task only if they have to wait.

Most commands finish without waiting, and a task plus a turn of the event loop would cost more than they do.
Until a coroutine first waits, ``asyncio.current_task()`` is None. Anything that needs a task, such as
``asyncio.timeout`` or a coroutine of the application, must come after ``await in_task()``.
"""

import asyncio
import logging
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any

logger = logging.getLogger("chat_service")


class Begun:
    """Eagerly started work."""

    #: Whether the work has not waited yet.
    is_first = True
    #: The task that runs the rest of the work.
    task: "asyncio.Task[None] | None" = None

    def end(self, task: "asyncio.Task[None]") -> None:
        """Clean up after the task."""
        _tasks.discard(task)
        # Break the reference cycle through the task's context, to save the garbage collector work.
        self.task = None


_begun: ContextVar[Begun | None] = ContextVar("chat_service_begun", default=None)
#: The event loop keeps only weak references to tasks.
_tasks: set[asyncio.Task[None]] = set()


def start(
    work: Coroutine[Any, Any, Any], then: Callable[..., None], *args: Any
) -> "asyncio.Task[None] | None":
    """Run a coroutine until it first waits, and the rest in a task, which is returned.

    ``then(result, *args)`` is called at the end. An exception of the work or of ``then`` is raised here or,
    if there is a task, by the task. Called inside a task, this runs everything in a new one, since timeouts
    and cancellations of the current task do not concern the work.
    """
    return start_in(asyncio.get_running_loop(), work, then, *args)


def start_in(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any],
    then: Callable[..., None],
    *args: Any,
) -> "asyncio.Task[None] | None":
    """``start`` for callers that have the running loop; getting it takes a system call in Python 3.11."""
    if asyncio.current_task(loop) is not None:
        return _make_task(loop, _Rest(work, None, then, args), copy_context(), _tasks.discard)
    context = copy_context()
    begun = Begun()
    try:
        waits_for = context.run(_first_step, work, begun)
    except StopIteration as end:
        then(end.value, *args)
        return None
    finally:
        begun.is_first = False
    # The same context as in the first step: tokens of context variables are invalid in any other.
    task = begun.task = _make_task(loop, _Rest(work, waits_for, then, args), context, begun.end)
    return task


class Handlers:
    """Starts the handlers of a transport's connections, and keeps their tasks. What one raises is logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]
    ) -> "asyncio.Task[None] | None":
        """The task of a handler that waits; None if it has ended."""
        try:
            task = start_in(loop, work, _nothing)
        except Exception:
            logger.exception("a connection handler failed")
            return None
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("a connection handler failed", exc_info=task.exception())


def _nothing(_: object) -> None:
    pass


def _first_step(work: Coroutine[Any, Any, Any], begun: Begun) -> Any:
    _begun.set(begun)
    return work.send(None)


def _make_task(
    loop: asyncio.AbstractEventLoop,
    rest: "_Rest",
    context: Context,
    ended: "Callable[[asyncio.Task[None]], None]",
) -> asyncio.Task[None]:
    task = loop.create_task(rest, context=context)
    _tasks.add(task)
    task.add_done_callback(ended)
    return task


def current_work() -> "asyncio.Task[Any] | Begun | None":
    """The current task, or the eagerly started work that it runs."""
    begun = _begun.get()
    if begun is not None and begun.is_first:
        return begun
    task = asyncio.current_task()
    if begun is None or task is None or begun.task is not task:
        return task
    return begun


def is_being_cancelled() -> bool:
    """Whether the current task is being cancelled.

    If not, a ``CancelledError`` comes from something it awaits and is an ordinary error.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@types.coroutine
def in_task() -> Generator[None, None, None]:
    """Make sure that the current work runs in a task. Returns immediately if it does."""
    if asyncio.current_task() is None:
        yield


class _Rest(Coroutine[Any, Any, None]):
    """Makes a partly run coroutine acceptable to a task."""

    __slots__ = ("__weakref__", "_args", "_then", "_waits_for", "_work")

    def __init__(
        self,
        work: Coroutine[Any, Any, Any],
        waits_for: Any,
        then: Callable[..., None],
        args: tuple[Any, ...],
    ) -> None:
        self._work = work
        #: The future that the work is waiting for; yielded to the task first.
        self._waits_for = waits_for
        self._then = then
        self._args = args

    def __getattr__(self, name: str) -> Any:
        # For debuggers: cr_frame, cr_await and the like.
        return getattr(self._work, name)

    def __await__(self) -> Generator[Any, Any, None]:
        raise TypeError("only a task can run this")

    def send(self, value: Any) -> Any:
        if self._waits_for is not None:
            waits_for, self._waits_for = self._waits_for, None
            return waits_for
        try:
            return self._work.send(value)
        except StopIteration as end:
            self._then(end.value, *self._args)
            raise StopIteration from None

    def throw(self, *error: Any) -> Any:
        self._waits_for = None
        try:
            return self._work.throw(*error)
        except StopIteration as end:
            self._then(end.value, *self._args)
            raise StopIteration from None

    def close(self) -> None:
        self._work.close()
