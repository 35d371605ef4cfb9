"""``Uploads``: lets the users of a service share files in rooms."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from chat_service.contracts.capabilities import TakesSites
from chat_service.domain.pace import Pace, RateLimit
from chat_service.errors import ChatServiceError, ConfigurationError
from chat_service.hooks import CommandCall, Hook, call_hook
from chat_service.service.chat_service import ChatService
from chat_service.uploads.attachments import MessageCheck
from chat_service.uploads.content import clean_name, declared_type, require_libraries
from chat_service.uploads.receiving import Receiver
from chat_service.uploads.serving import Downloads
from chat_service.uploads.storage import LocalUploads, UploadedFile, UploadStorage
from chat_service.uploads.tickets import Ticket, TicketOffice, new_file_id
from chat_service.uploads.upload_carriers import UploadApp, add_upload_routes
from chat_service.uploads.upload_errors import UploadError
from chat_service.uploads.upload_metrics import UploadCollector, UploadCounters
from chat_service.uploads.upload_options import UploadOptions
from chat_service.uploads.upload_records import SqliteRecords, UploadRecords
from chat_service.uploads.upload_site import UploadSite

logger = logging.getLogger("chat_service")

#: Files that are deleted at a time.
PAGE: Final = 100
#: Users whose rate is remembered, before those who have none left are forgotten.
_PACES: Final = 1000
#: The file of the index in the folder.
INDEX: Final = "index.sqlite"


class Uploads:
    """File sharing for a service. Create it before the service starts.

    It adds the commands ``uploadTicket``, ``uploadLimits`` and ``uploadDelete``, serves ``options["path"]``
    on the port of the clients or the application that the service is mounted on, lets messages have
    ``attachments``, and deletes files that have expired.
    """

    def __init__(
        self,
        service: ChatService,
        options: Mapping[str, Any] | None = None,
        *,
        storage: UploadStorage | None = None,
        records: UploadRecords | None = None,
        check: Hook | None = None,
        access: Hook | None = None,
        is_mounted: bool = True,
    ) -> None:
        """``options``: see ``UploadOptions``. ``storage``, ``records``: where files and their index are kept;
        by default both in ``options["folder"]``.

        ``check``: called with the ``UploadedFile`` after it was stored and before anybody knows of it; raise
        a ``ChatServiceError`` to refuse it. ``access``: called with a ``DownloadRequest``, returns True if it
        may have the file; by default whoever knows the address may. ``is_mounted``: False if the application
        itself adds ``add_routes`` or ``asgi_app``.

        Raises ``ConfigurationError``; the start of the service raises it for a folder that cannot be used.
        """
        require_libraries()
        self.options = UploadOptions.from_mapping(options or {})
        self._context = service._context
        self._service = service
        local = self._local_storage(storage, records)
        self._local = local
        #: Signs and checks tickets, from the start on.
        self._office: TicketOffice | None = None
        #: Where files lie.
        self.storage: UploadStorage = storage or local or _missing()
        #: What is known of them.
        self.records: UploadRecords = records or SqliteRecords(Path(self.options.folder or "") / INDEX)
        self.counters = UploadCounters()
        clock, hook_timeout = self._context.clock, self._context.options.hook_timeout
        self._receiver = Receiver(self.options, self.storage, self.records, clock, check, hook_timeout)
        self._downloads = Downloads(self.options, self.storage, self.records, clock, access, hook_timeout)
        self._site = UploadSite(self._take, self._downloads)
        self._rate = RateLimit(self.options.ticket_rate, self.options.ticket_burst)
        self._paces: dict[str, Pace] = {}
        self.collector = UploadCollector(
            self.counters,
            self._receiver.running.total,
            lambda: self._downloads.running,
            lambda: self._downloads.bytes_sent,
        )
        service.operations.registry.register(self.collector)
        self._add_commands(service)
        check_message = MessageCheck(self.options.base_url, self.options.max_attachments)
        self._context.hooks.wrap("room_messages_checker", check_message.around)
        self._context.hooks.wrap("on_start", self._around_start)
        service.on("ready")(self._start)
        service.on("closed")(self._close)
        service.after("roomDelete")(self._after_room_delete)
        if is_mounted:
            self._mount()

    def __repr__(self) -> str:
        return f"<Uploads {self.options.path} in {self.storage!r}>"

    def _local_storage(
        self, storage: UploadStorage | None, records: UploadRecords | None
    ) -> LocalUploads | None:
        folder = self.options.folder
        if folder is None:
            if storage is None or records is None:
                raise self.options.error("a folder is required", "folder")
            if self.options.secret is None:
                raise self.options.error("without a folder, a secret is required", "secret")
            return None
        return LocalUploads(folder, min_free=self.options.min_free_bytes)

    def _mount(self) -> None:
        transport = self._context.transport
        if not isinstance(transport, TakesSites):
            raise ConfigurationError(
                f"{transport!r} cannot serve uploads: use is_mounted=False, and add_routes or asgi_app of "
                "the uploads"
            )
        path = self.options.path
        transport.add_site(path, self.add_routes, UploadApp(self._site.handle, path))

    # For applications

    def add_routes(self, app: Any) -> None:
        """Add the uploads to an ``aiohttp.web.Application``, at ``options["path"]``."""
        add_upload_routes(app, self._site.handle, self.options.path)

    def asgi_app(self) -> Any:
        """An ASGI application of the uploads, to mount under ``options["path"]``."""
        return UploadApp(self._site.handle)

    def url_of(self, file: UploadedFile) -> str:
        """The address of a file, relative to the server unless there is a ``public_url``."""
        return f"{self.options.base_url}/{file.id}/{quote(file.name, safe='')}"

    def attachment_of(self, file: UploadedFile) -> dict[str, Any]:
        """The file as an attachment of a message."""
        found = {"url": self.url_of(file), "name": file.name, "type": file.type, "bytes": file.bytes}
        if file.width is not None and file.height is not None:
            found |= {"width": file.width, "height": file.height}
        return found

    async def delete(self, file_id: str) -> bool:
        """Delete a file. Returns whether there was one."""
        known = await self.records.get(file_id) is not None
        if known:
            await self._delete([file_id])
        return known

    async def erase_user(self, user: str) -> int:
        """Delete all files that a user has stored, and return how many there were. Their messages stay."""
        return await self._delete_pages(lambda: self.records.of_user(user, PAGE))

    async def erase_room(self, room: str) -> int:
        """Delete all files of a room, and return how many there were. Its messages stay."""
        return await self._delete_pages(lambda: self.records.of_room(room, PAGE))

    async def sweep(self) -> int:
        """Delete what has expired and what interrupted uploads have left. Returns the number of files."""
        count = await self._delete_pages(lambda: self.records.due(self._now(), PAGE))
        self.counters.stored_files, self.counters.stored_bytes = await self.records.totals()
        return count

    async def _delete_pages(self, find: Callable[[], Awaitable[list[str]]]) -> int:
        count = 0
        while found := await find():
            await self._delete(found)
            count += len(found)
        return count

    async def _delete(self, file_ids: Sequence[str]) -> None:
        # The content first: after a failure the records still know what is left.
        for file_id in file_ids:
            await self.storage.delete(file_id)
        await self.records.remove(file_ids)
        self.counters.deleted_files += len(file_ids)

    # Commands

    def _add_commands(self, service: ChatService) -> None:
        service.command(
            "uploadTicket",
            {"room": "room", "file": "object"},
            result="object",
            doc="A ticket for the upload of one file to a joined room. `file`: its `name`, its `bytes`, and "
            "its `type` if known. The result has the `url` for a POST request, the `ticket` for its header "
            "`Authorization: Bearer`, the `id` of the file, and `expires` in ms of Unix time.",
            errors=("notJoined", "noRoom", "rateLimited", "uploadTooLarge", "uploadTypeNotAllowed"),
        )(self._give_ticket)
        service.command(
            "uploadLimits",
            result="object",
            doc="What may be uploaded: `maxBytes`, `types`, `maxAttachments`, and `ttl` in seconds, null if "
            "files stay.",
        )(self._limits)
        service.command(
            "uploadDelete",
            {"id": "text"},
            doc="Delete a file that the user has uploaded.",
            errors=("uploadNotFound", "notAllowed"),
        )(self._delete_own)

    async def _give_ticket(self, call: CommandCall, room: str, file: Mapping[str, Any]) -> dict[str, Any]:
        user, options, office = call.user_name, self.options, self._office
        if user is None or office is None:
            raise ChatServiceError("noLogin")
        name, size = file.get("name"), file.get("bytes")
        if not isinstance(name, str) or type(size) is not int or size < 0:
            raise ChatServiceError("badArgument", 1, dict(file))
        self._take_turn(user)
        if size > options.max_file_bytes:
            raise UploadError("uploadTooLarge", options.max_file_bytes)
        if not await self._service.room_has_in_list(room, "userlist", user):
            raise ChatServiceError("notJoined", room)
        ticket = Ticket(
            file_id=new_file_id(),
            user=user,
            room=room,
            name=clean_name(name, options.max_name_length),
            type=declared_type(file.get("type")),
            bytes=size,
            expires=self._now() + options.ticket_lifetime,
        )
        self.counters.tickets += 1
        return {
            "url": options.base_url,
            "ticket": office.sign(ticket),
            "id": ticket.file_id,
            "expires": int(ticket.expires * 1000),
        }

    def _take_turn(self, user: str) -> None:
        now = self._context.clock.monotonic()
        if len(self._paces) > _PACES:
            self._paces = {name: pace for name, pace in self._paces.items() if pace.due > now}
        self._rate.take(self._paces.setdefault(user, Pace()), now)

    def _limits(self, _: CommandCall) -> dict[str, Any]:
        options = self.options
        return {
            "maxBytes": options.max_file_bytes,
            "types": list(options.types),
            "maxAttachments": options.max_attachments,
            "ttl": options.ttl or None,
        }

    async def _delete_own(self, call: CommandCall, file_id: str) -> None:
        file = await self.records.get(file_id)
        if file is None:
            raise UploadError("uploadNotFound")
        if file.user != call.user_name:
            raise ChatServiceError("notAllowed")
        await self._delete([file.id])

    # Uploads

    async def _take(self, text: str, length: int | None, chunks: AsyncIterator[bytes]) -> dict[str, Any]:
        try:
            file = await self._receive(text, length, chunks)
        except BaseException as error:
            code = error.code if isinstance(error, UploadError) else type(error).__name__
            self._count(code)
            raise
        self._count("ok")
        self.counters.received_bytes += file.bytes
        return {"id": file.id, **self.attachment_of(file)}

    def _count(self, outcome: str) -> None:
        self.counters.uploads[outcome] = self.counters.uploads.get(outcome, 0) + 1

    async def _receive(self, text: str, length: int | None, chunks: AsyncIterator[bytes]) -> UploadedFile:
        if not self._context.is_open or self._office is None:
            raise UploadError("uploadUnavailable")
        ticket = self._office.check(text, self._now())
        if length is not None and length != ticket.bytes:
            raise UploadError("uploadWrongLength", ticket.bytes)
        if ticket.bytes > self.options.max_file_bytes:
            raise UploadError("uploadTooLarge", self.options.max_file_bytes)
        await self._check_member(ticket)
        try:
            return await self._receiver.receive(ticket, chunks, self._check_member)
        except UploadError:
            raise
        except ChatServiceError as error:
            raise UploadError("uploadRefused", str(error)) from error

    async def _check_member(self, ticket: Ticket) -> None:
        """Raise ``UploadError`` for a user who has left the room, or was banned."""
        try:
            is_member = await self._service.room_has_in_list(ticket.room, "userlist", ticket.user)
        except ChatServiceError as error:
            raise UploadError(error.code, *error.arguments) from None
        if not is_member:
            raise UploadError("notJoined", ticket.room)

    # Life cycle

    def _now(self) -> float:
        return self._context.clock.now_ms() / 1000

    def _around_start(self, hook: Hook | None) -> Hook:
        async def start(service: ChatService) -> None:
            await self._open()
            if hook is not None:
                await call_hook(hook, service)

        return start

    async def _open(self) -> None:
        """Prepare the folder. Raises ``ConfigurationError`` if it cannot be used."""
        try:
            await asyncio.to_thread(self._open_folder)
            await self.records.open()
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise self.options.error(f"{self.options.folder}: {reason}", "folder") from None

    def _open_folder(self) -> None:
        if self._local is not None:
            self._local.prepare()
        secret = self.options.secret
        if secret is None and self._local is not None:
            self._office = TicketOffice(self._local.secret())
        elif secret is not None:
            self._office = TicketOffice(secret.encode())

    def _start(self) -> None:
        self._context.background.keep("upload sweep", self._sweep_for_ever)

    async def _sweep_for_ever(self) -> None:
        while True:
            await self.sweep()
            await self._context.clock.sleep(self.options.sweep_interval)

    async def _close(self, _: BaseException | None) -> None:
        await self.records.close()

    def _after_room_delete(self, call: CommandCall) -> None:
        if call.error is None:
            room = call.args[0]

            async def erase() -> None:
                await self.erase_room(room)

            self._context.background.once("erasing the files of a room", erase)


def _missing() -> UploadStorage:
    raise ConfigurationError("uploads: a storage is required")
