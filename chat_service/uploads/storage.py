"""Where files lie: the contract of a storage, and the default, a local folder."""

import asyncio
import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, runtime_checkable

from chat_service.uploads.upload_errors import UploadError

#: Bytes that are read or written at once.
BLOCK: Final = 256 * 1024
#: The file with the key of the tickets.
_KEY_FILE: Final = "ticket.key"
_is_id = re.compile("[A-Za-z0-9_-]{20,64}").fullmatch
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedFile:
    """The facts about a file. Times are in seconds of Unix time."""

    id: str
    user: str
    room: str
    #: For people. It has no folders, but is otherwise as its sender wants it: never use it as a path.
    name: str
    #: By its content.
    type: str
    bytes: int
    #: Of images, in pixels; None if unknown.
    width: int | None = None
    height: int | None = None
    created: float
    #: None: it is kept until it is deleted.
    expires: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields by their names."""
        return asdict(self)


class UploadStorage(Protocol):
    """Keeps the content of files. All methods may be called at the same time for different files."""

    async def write(self, file: UploadedFile, chunks: AsyncIterator[bytes]) -> None:
        """Store a new file. Its chunks have ``file.bytes`` bytes in total.

        ``file.type`` is what the client declares: the type is known once the content is. ``chunks`` may
        raise; whatever is raised here, nothing of the file may remain. Raise
        ``UploadError("uploadStorageFull")`` if there is no space left.
        """
        ...

    def read(self, file: UploadedFile, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to before ``stop``. Raises ``FileNotFoundError``."""
        ...

    async def delete(self, file_id: str) -> None:
        """Delete a file, complete or not. Does nothing if there is none."""
        ...


@runtime_checkable
class ServesItself(Protocol):
    """A storage from which clients can download without the service."""

    async def url_of(self, file: UploadedFile) -> str | None:
        """An address that is valid for a while, to which downloads are redirected; None: there is none."""
        ...


class LocalUploads:
    """Keeps files in a folder. Their names are their ids, whatever clients call them.

    ``min_free``: bytes that must stay free on the disk.
    """

    def __init__(self, folder: str | os.PathLike[str], *, min_free: int = 0) -> None:
        self.folder = Path(folder)
        self._min_free = min_free
        self._files = self.folder / "files"
        self._parts = self.folder / "parts"

    def __repr__(self) -> str:
        return f"LocalUploads({str(self.folder)!r})"

    def prepare(self) -> None:
        """Create the folder, if it is missing. Raises ``OSError``."""
        for each in (self.folder, self._files, self._parts):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)

    def secret(self) -> bytes:
        """A random key that all processes with this folder share. Raises ``OSError``."""
        self.prepare()
        path = self.folder / _KEY_FILE
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes()
        made = self.folder / f"{_KEY_FILE}.{secrets.token_hex(8)}"
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            # Fails if another process was faster, so that all have the same one.
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
        return path.read_bytes()

    async def write(self, file: UploadedFile, chunks: AsyncIterator[bytes]) -> None:
        """See ``UploadStorage``."""
        part = self._parts / _checked(file.id)
        try:
            await asyncio.to_thread(self._check_space, file.bytes)
            with await asyncio.to_thread(_create, part) as opened:
                await _write_all(opened, chunks)
                await asyncio.to_thread(_finish, opened)
            await asyncio.to_thread(self._keep, part, file.id)
        except OSError as error:
            part.unlink(missing_ok=True)
            if error.errno in _FULL:
                raise UploadError("uploadStorageFull") from error
            raise
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    async def read(self, file: UploadedFile, start: int, stop: int) -> AsyncIterator[bytes]:
        """See ``UploadStorage``."""
        opened = await asyncio.to_thread(self._path(file.id).open, "rb")
        try:
            await asyncio.to_thread(opened.seek, start)
            left = stop - start
            while left > 0:
                block = await asyncio.to_thread(opened.read, min(BLOCK, left))
                if not block:
                    raise FileNotFoundError(file.id)
                left -= len(block)
                yield block
        finally:
            opened.close()

    async def delete(self, file_id: str) -> None:
        """See ``UploadStorage``."""

        def work() -> None:
            for path in (self._parts / _checked(file_id), self._path(file_id)):
                path.unlink(missing_ok=True)

        await asyncio.to_thread(work)

    def _path(self, file_id: str) -> Path:
        # Folders with fewer files are faster on some file systems.
        return self._files / _checked(file_id)[:2] / file_id

    def _check_space(self, size: int) -> None:
        self.prepare()
        if shutil.disk_usage(self.folder).free - size < self._min_free:
            raise UploadError("uploadStorageFull")

    def _keep(self, part: Path, file_id: str) -> None:
        path = self._path(file_id)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        part.rename(path)


def _checked(file_id: str) -> str:
    if not _is_id(file_id):
        raise FileNotFoundError(file_id)
    return file_id


def _create(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(descriptor, "wb", buffering=0)


async def _write_all(opened: BinaryIO, chunks: AsyncIterator[bytes]) -> None:
    """Write chunks in larger blocks, each in a thread."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= BLOCK:
            await asyncio.to_thread(_write_block, opened, bytes(waiting))
            waiting.clear()
    if waiting:
        await asyncio.to_thread(_write_block, opened, bytes(waiting))


def _write_block(opened: BinaryIO, block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[opened.write(left) :]


def _finish(opened: BinaryIO) -> None:
    os.fsync(opened.fileno())
