"""Eager coroutines: they start immediately and get a task only if they have to wait.

Most commands finish without waiting, and a task plus a turn of the event loop would cost more than they do.
Until a coroutine first waits, ``asyncio.current_task()`` is None. Anything that needs a task, such as
``asyncio.timeout`` or a coroutine of the application, must come after ``await in_task()``. Commands that wait
for nothing but a ``Reply`` do without a task, too: they go on in the callback that brings it.
"""

import asyncio
import logging
import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, Protocol

logger = logging.getLogger("chat_service")


class Waited(Protocol):
    """Work that waits: begun work, or a task."""

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Call ``callback`` with one argument when the work has ended."""
        ...


class Reply(asyncio.Future[Any]):
    """A future for code that needs no task when it goes on, as it needs none before it first waits.

    Work started by ``run_in`` waits for it without a task. Anything else waits for it as for any future.
    """

    #: The work without a task that waits for this.
    waiter: "Begun | None" = None

    def settle(self, result: Any) -> None:
        """Set the result, unless the waiter was cancelled. Work without a task goes on at once.

        Call this outside of tasks, as a callback of the loop, since the work must not run in a foreign one.
        """
        if not self.done():
            self.set_result(result)
            if self.waiter is not None:
                self.waiter.go_on()

    def fail(self, error: Exception) -> None:
        """Set an exception, unless the waiter was cancelled. Work without a task goes on in the next turn."""
        if not self.done():
            self.set_exception(error)
            if self.waiter is not None:
                # Not now: whatever has failed is in the middle of ending.
                self.get_loop().call_soon(self.waiter.go_on)


class Begun:
    """Eagerly started work. When it waits it gets a task, unless it waits for a ``Reply``."""

    #: Whether the work is running without a task.
    is_running = True
    #: The task that runs the rest of the work.
    task: "asyncio.Task[None] | None" = None
    # Of work that waits: its loop, the rest of it, and what to call at its end.
    _loop: asyncio.AbstractEventLoop
    _rest: "_Rest | None" = None
    _callbacks: tuple[Callable[[Any], object], ...] = ()
    # Stays the same: tokens of context variables are invalid in any other.
    _context: Context | None = None

    def wait(self, loop: asyncio.AbstractEventLoop, context: Context | None, rest: "_Rest") -> None:
        """The work waits for ``rest.waits_for``."""
        self._loop, self._context, self._rest = loop, context, rest
        reply = rest.waits_for
        if isinstance(reply, Reply) and not reply.done():
            reply.waiter = self
        else:
            self.as_task()

    def go_on(self) -> None:
        """The reply is there: run the work until it waits again, or ends. What it raises is logged."""
        rest, context = self._rest, self._context
        if rest is None or context is None or self.task is not None:
            # It has been cancelled.
            return
        self.is_running = True
        try:
            rest.waits_for = context.run(rest.work.send, None)
        except (Exception, asyncio.CancelledError) as error:
            self.is_running = False
            self._finish(rest, error)
        else:
            self.is_running = False
            self.wait(self._loop, context, rest)

    def _finish(self, rest: "_Rest", error: BaseException) -> None:
        try:
            if isinstance(error, StopIteration):
                rest.then(error.value, *rest.args)
            elif isinstance(error, Exception):
                raise error
        except Exception as failure:
            self._loop.call_exception_handler({"message": "started work failed", "exception": failure})
        callbacks = self._callbacks
        self.end()
        for callback in callbacks:
            callback(self)

    def as_task(self) -> "asyncio.Task[None] | None":
        """The task of work that waits, made now if there is none. None while the work runs without one."""
        if self.task is None and self._rest is not None and not self.is_running:
            self.task = _make_task(self._loop, self._rest, self._context, self.end)
            for callback in self._callbacks:
                self.task.add_done_callback(callback)
        return self.task

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Call ``callback`` with the task, or with this if there is none, when the work has ended."""
        if self.task is None:
            self._callbacks += (callback,)
        else:
            self.task.add_done_callback(callback)

    def end(self, task: "asyncio.Task[None] | None" = None) -> None:
        """Clean up after the work, and after its task if it had one."""
        if task is not None:
            _tasks.discard(task)
        # Break the reference cycles through the context, to save the garbage collector work.
        self.task = self._rest = self._context = None
        self._callbacks = ()


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
    begun = run_in(loop, work, then, *args)
    return None if begun is None else begun.as_task()


def run_in(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any],
    then: Callable[..., None],
    *args: Any,
) -> Begun | None:
    """``start_in`` for work that may wait for a ``Reply`` without a task. Returns work that waits.

    What such work raises later is logged.
    """
    begun, context = Begun(), copy_context()
    if asyncio.current_task(loop) is not None:
        begun.is_running = False
        begun.wait(loop, context, _Rest(work, None, then, args))
        return begun
    context.run(_begun.set, begun)
    try:
        waits_for = context.run(work.send, None)
    except StopIteration as end:
        then(end.value, *args)
        return None
    finally:
        begun.is_running = False
    begun.wait(loop, context, _Rest(work, waits_for, then, args))
    return begun


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


def _make_task(
    loop: asyncio.AbstractEventLoop,
    rest: "_Rest",
    context: Context | None,
    ended: "Callable[[asyncio.Task[None]], None]",
) -> asyncio.Task[None]:
    task = loop.create_task(rest, context=context)
    _tasks.add(task)
    task.add_done_callback(ended)
    return task


def current_work() -> "asyncio.Task[Any] | Begun | None":
    """The current task, or the eagerly started work that it runs."""
    begun = _begun.get()
    if begun is not None and begun.is_running:
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

    __slots__ = ("__weakref__", "args", "then", "waits_for", "work")

    def __init__(
        self,
        work: Coroutine[Any, Any, Any],
        waits_for: Any,
        then: Callable[..., None],
        args: tuple[Any, ...],
    ) -> None:
        self.work = work
        #: The future that the work is waiting for; yielded to the task first.
        self.waits_for = waits_for
        self.then = then
        self.args = args

    def __getattr__(self, name: str) -> Any:
        # For debuggers: cr_frame, cr_await and the like.
        return getattr(self.work, name)

    def __await__(self) -> Generator[Any, Any, None]:
        raise TypeError("only a task can run this")

    def send(self, value: Any) -> Any:
        if self.waits_for is not None:
            waits_for, self.waits_for = self.waits_for, None
            return waits_for
        try:
            return self.work.send(value)
        except StopIteration as end:
            self.then(end.value, *self.args)
            raise StopIteration from None

    def throw(self, *error: Any) -> Any:
        self.waits_for = None
        try:
            return self.work.throw(*error)
        except StopIteration as end:
            self.then(end.value, *self.args)
            raise StopIteration from None

    def close(self) -> None:
        self.work.close()
