"""Uploads: files go over HTTP with a ticket from the connection, and are attachments of messages."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NotRequired, Protocol, TypedDict, cast
from urllib.parse import urljoin

import aiohttp

from chat_service.client.client_errors import NotConnectedError
from chat_service.errors import ChatServiceError

#: Called with the bytes sent so far, and the bytes in total.
Progress = Callable[[int, int], None]
#: What can be uploaded: a path, or content.
Source = str | os.PathLike[str] | bytes
#: Bytes that are read at once.
_BLOCK: Final = 128 * 1024


class Attachment(TypedDict):
    """A file of a message. ``url``: relative to the server, or complete.

    ``width``, ``height``: of images, in pixels.

    ``id``: only of the user's own upload, for ``uploadDelete``; it is not part of messages.
    """

    url: str
    name: str
    type: str
    bytes: int
    width: NotRequired[int]
    height: NotRequired[int]
    id: NotRequired[str]


def attachment_message(text: str, attachments: Sequence[Attachment], server: str = "") -> dict[str, Any]:
    """A message with attachments. Clients that do not know them see the addresses at the end of the text.

    ``server``: its address, with which relative addresses are completed in the text.
    """
    fields = [{key: value for key, value in each.items() if key != "id"} for each in attachments]
    lines = [f"{each['name']}: {urljoin(server, each['url'])}" for each in attachments]
    return {"textMessage": "\n".join([*([text] if text else []), *lines]), "attachments": fields}


def caption_of(message: Mapping[str, Any]) -> str:
    """The text of a message without the addresses of its attachments."""
    lines = str(message.get("textMessage", "")).split("\n")
    for each in reversed(message.get("attachments") or ()):
        if not (lines and lines[-1].startswith(f"{each['name']}: ") and lines[-1].endswith(each["url"])):
            break
        lines.pop()
    return "\n".join(lines)


class _Uploading(Protocol):
    _session: aiohttp.ClientSession | None

    @property
    def url(self) -> str: ...

    async def command(self, name: str, *args: Any) -> Any: ...


class Uploads:
    """Methods of ``ChatClient``."""

    async def upload(
        self: _Uploading,
        room: str,
        source: Source,
        *,
        name: str | None = None,
        content_type: str | None = None,
        on_progress: Progress | None = None,
    ) -> Attachment:
        """Upload a file to a joined room, without telling anybody yet. See ``ClientRoom.send_files``.

        ``source``: a path, or content, which needs a ``name``. ``on_progress(sent, total)``: called as it
        goes on. Raises the ``ChatServiceError`` of a refusal, ``OSError``, or ``NotConnectedError``. Cancel
        the task to interrupt it: nothing stays on the server.
        """
        shown, size = name_and_size(source, name)
        wanted = {"name": shown, "bytes": size} | ({"type": content_type} if content_type else {})
        permit = await self.command("uploadTicket", room, wanted)
        if self._session is None:
            raise NotConnectedError("the client is closed")
        return await send_file(self._session, self.url, permit, source, size, on_progress)


def name_and_size(source: Source, name: str | None) -> tuple[str, int]:
    """The name and the bytes of a source. Raises ``OSError``, or ``ValueError`` without a name."""
    if isinstance(source, bytes):
        if name is None:
            raise ValueError("content needs a name")
        return name, len(source)
    path = Path(source)
    return name or path.name, path.stat().st_size


async def send_file(
    session: aiohttp.ClientSession,
    server: str,
    permit: Mapping[str, Any],
    source: Source,
    size: int,
    on_progress: Progress | None,
) -> Attachment:
    """Send a file with a ticket. ``permit``: the answer of ``uploadTicket``.

    Raises the ``ChatServiceError`` of a refusal, ``OSError``, or ``NotConnectedError``.
    """
    url = urljoin(server, permit["url"])
    headers = {
        "Authorization": f"Bearer {permit['ticket']}",
        "Content-Length": str(size),
        "Content-Type": "application/octet-stream",
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_read=60)
    try:
        async with session.post(
            url, data=_blocks(source, size, on_progress), headers=headers, timeout=timeout
        ) as answer:
            if answer.content_type != "application/json":
                raise ChatServiceError("uploadFailed", answer.status)
            found = await answer.json()
    except aiohttp.ClientError as error:
        raise NotConnectedError(f"the upload was interrupted: {error!r}") from error
    except TimeoutError as error:
        raise NotConnectedError("the upload was not answered in time") from error
    if answer.status != 201:
        raise ChatServiceError(str(found.get("code", "uploadFailed")), *found.get("args", ()))
    return cast(Attachment, found)


async def _blocks(source: Source, size: int, on_progress: Progress | None) -> Any:
    sent = 0
    if isinstance(source, bytes):
        blocks = (source[at : at + _BLOCK] for at in range(0, size, _BLOCK))
        for block in blocks:
            yield block
            sent += len(block)
            if on_progress is not None:
                on_progress(sent, size)
        return
    file = await asyncio.to_thread(open, source, "rb")
    try:
        while block := await asyncio.to_thread(file.read, _BLOCK):
            yield block
            sent += len(block)
            if on_progress is not None:
                on_progress(sent, size)
    finally:
        file.close()
