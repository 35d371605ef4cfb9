"""One upload: checks a body while it is being stored, and leaves nothing behind if it fails."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from chat_service.clock import Clock
from chat_service.hooks import Hook, call_hook
from chat_service.uploads.content import HEAD, IMAGE_HEAD, SAFE_IMAGES, image_size, is_allowed, type_of
from chat_service.uploads.storage import UploadedFile, UploadStorage
from chat_service.uploads.tickets import Ticket
from chat_service.uploads.upload_errors import UploadError
from chat_service.uploads.upload_options import UploadOptions
from chat_service.uploads.upload_records import Quotas, UploadRecords

logger = logging.getLogger("chat_service")

#: Seconds after its time-out in which an upload certainly has ended.
GRACE = 60.0


class Inspection:
    """Passes the chunks of a body on, and raises as soon as they cannot be the announced file."""

    def __init__(self, ticket: Ticket, options: UploadOptions) -> None:
        self._ticket = ticket
        self._options = options
        self._head = bytearray()
        self._is_typed = False
        self.size = 0
        self.type = ""
        self.dimensions: tuple[int, int] | None = None

    async def passed(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks. Raises ``UploadError``."""
        held: list[bytes] = []
        while True:
            try:
                async with asyncio.timeout(self._options.idle_timeout):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                raise UploadError("uploadTimeout") from None
            if chunk is None:
                break
            self.size += len(chunk)
            if self.size > self._ticket.bytes:
                raise UploadError("uploadWrongLength", self._ticket.bytes)
            if len(self._head) < IMAGE_HEAD:
                self._head += chunk[: IMAGE_HEAD - len(self._head)]
            if self._is_typed:
                yield chunk
                continue
            # Nothing is stored before the type is known.
            held.append(chunk)
            if len(self._head) >= HEAD:
                self._find_type()
                for each in held:
                    yield each
                held = []
        if self.size != self._ticket.bytes:
            raise UploadError("uploadWrongLength", self._ticket.bytes)
        if not self._is_typed:
            self._find_type()
            for each in held:
                yield each
        self._measure()

    def _find_type(self) -> None:
        self.type = type_of(bytes(self._head[:HEAD]), self._ticket.type)
        if not is_allowed(self.type, self._options.types):
            raise UploadError("uploadTypeNotAllowed", self.type, ", ".join(self._options.types))
        self._is_typed = True

    def _measure(self) -> None:
        if self.type not in SAFE_IMAGES:
            return
        self.dimensions = image_size(bytes(self._head))
        if self.dimensions is not None:
            width, height = self.dimensions
            if width * height > self._options.max_image_pixels:
                raise UploadError("uploadImageTooLarge", self._options.max_image_pixels)


class Receiver:
    """Takes uploads, as many as are allowed."""

    def __init__(
        self,
        options: UploadOptions,
        storage: UploadStorage,
        records: UploadRecords,
        clock: Clock,
        check: Hook | None,
        hook_timeout: float | None,
    ) -> None:
        """``check``: called with each stored file, and may raise to refuse it."""
        self._options = options
        self._storage = storage
        self._records = records
        self._clock = clock
        self._check = check
        self._hook_timeout = hook_timeout
        self._quotas = Quotas(
            user_bytes=options.max_user_bytes,
            user_files=options.max_user_files,
            room_bytes=options.max_room_bytes,
            total_bytes=options.max_total_bytes,
            total_files=options.max_total_files,
        )
        #: Running uploads by user.
        self.running: Counter[str] = Counter()

    async def receive(
        self, ticket: Ticket, chunks: AsyncIterator[bytes], check_user: Callable[[Ticket], Awaitable[None]]
    ) -> UploadedFile:
        """Store a file. Raises ``UploadError``, ``OSError``, and what storage and hook raise.

        ``check_user``: raises if the user may no longer upload; called when the whole file is there.
        """
        with self._slot(ticket.user):
            now = self._clock.now_ms() / 1000
            options = self._options
            file = UploadedFile(
                id=ticket.file_id,
                user=ticket.user,
                room=ticket.room,
                name=ticket.name,
                type=ticket.type,
                bytes=ticket.bytes,
                created=now,
                expires=now + options.ttl if options.ttl else None,
            )
            await self._records.reserve(file, self._quotas, now + options.upload_timeout + GRACE)
            try:
                async with asyncio.timeout(options.upload_timeout):
                    return await self._store(file, ticket, chunks, check_user)
            except BaseException as error:
                await _even_if_cancelled(self._undo(file))
                if isinstance(error, TimeoutError):
                    raise UploadError("uploadTimeout") from None
                raise

    async def _store(
        self,
        file: UploadedFile,
        ticket: Ticket,
        chunks: AsyncIterator[bytes],
        check_user: Callable[[Ticket], Awaitable[None]],
    ) -> UploadedFile:
        inspection = Inspection(ticket, self._options)
        await self._storage.write(file, inspection.passed(chunks))
        if inspection.size != ticket.bytes or not inspection.type:
            raise RuntimeError(f"{self._storage!r} did not read the whole file")
        width, height = inspection.dimensions or (None, None)
        done = replace(file, type=inspection.type, width=width, height=height)
        if self._check is not None:
            await call_hook(self._check, done, limit=self._hook_timeout)
        # The body may have taken minutes.
        await check_user(ticket)
        if not await self._records.complete(done):
            raise UploadError("uploadBroken")
        return done

    async def _undo(self, file: UploadedFile) -> None:
        try:
            await self._storage.delete(file.id)
            await self._records.remove([file.id])
        except Exception as error:
            # The record stays, so the next sweep tries again.
            logger.warning("parts of an interrupted upload could not be deleted yet: %r", error)

    @contextmanager
    def _slot(self, user: str) -> Iterator[None]:
        options = self._options
        if (
            self.running.total() >= options.concurrent_uploads
            or self.running[user] >= options.concurrent_user_uploads
        ):
            raise UploadError("uploadTooMany")
        self.running[user] += 1
        try:
            yield
        finally:
            self.running[user] -= 1
            if not self.running[user]:
                del self.running[user]


async def _even_if_cancelled(work: Awaitable[Any]) -> None:
    """Await work to its end, also while the current task is being cancelled."""
    running = asyncio.ensure_future(work)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
