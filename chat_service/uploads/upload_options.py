"""Options of uploads (the section ``[uploads]`` of ``serve``)."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from chat_service.option_group import OptionGroup, is_seconds, is_text
from chat_service.uploads.content import is_type_pattern

#: Types of files that are accepted by default.
DEFAULT_TYPES: Final = (
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "audio/*",
    "video/*",
    "application/pdf",
    "application/zip",
    "text/plain",
)
#: Minimum number of bytes of a secret.
MIN_SECRET: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOptions(OptionGroup):
    """Options of uploads. An invalid value raises ``ConfigurationError``."""

    group: ClassVar = "uploads"
    hidden: ClassVar = frozenset({"secret"})

    #: Folder for the files and their index. It is created if missing. Required, unless the program stores
    #: files elsewhere.
    folder: str | None = None
    #: Path of the uploads on the port of the clients.
    path: str = "/uploads"
    #: Address of `path` for clients, if it differs from that of the service, such as
    #: "https://files.example.org/uploads".
    public_url: str | None = None
    #: Key of the tickets, 32 bytes or more, the same on all instances. None: one that is kept in the folder.
    secret: str | None = field(default=None, repr=False)
    #: Types of files that are accepted, such as "image/png" or "audio/*". The content decides, not the name.
    types: tuple[str, ...] = DEFAULT_TYPES
    #: Maximum bytes of a file.
    max_file_bytes: int = 10_000_000
    #: Maximum bytes of the stored files of a user.
    max_user_bytes: int = 200_000_000
    #: Maximum bytes of the stored files of a room.
    max_room_bytes: int = 1_000_000_000
    #: Maximum bytes of all stored files.
    max_total_bytes: int = 10_000_000_000
    #: Maximum number of stored files of a user.
    max_user_files: int = 1000
    #: Maximum number of all stored files.
    max_total_files: int = 100_000
    #: Maximum number of pixels of an image: larger ones could fill the memory of those who look at them.
    max_image_pixels: int = 50_000_000
    #: Maximum number of characters of a file's name; the rest is cut off, except for the ending.
    max_name_length: int = 120
    #: Maximum number of attachments of a message.
    max_attachments: int = 10
    #: Bytes that must stay free on the disk of the folder.
    min_free_bytes: int = 100_000_000
    #: Maximum number of uploads at the same time.
    concurrent_uploads: int = 20
    #: Maximum number of uploads of one user at the same time.
    concurrent_user_uploads: int = 4
    #: Maximum number of downloads at the same time.
    concurrent_downloads: int = 200
    #: Tickets for uploads that a user gets in a second, on each instance.
    ticket_rate: float = 1.0
    #: Number of tickets that a user may get at once, beyond `ticket_rate`.
    ticket_burst: int = 20
    #: Time in seconds within which an upload must begin.
    ticket_lifetime: float = 60.0
    #: Maximum time in seconds to wait for the next part of an upload, or for a reader to take one.
    idle_timeout: float = 20.0
    #: Maximum time in seconds for an upload.
    upload_timeout: float = 600.0
    #: Maximum time in seconds for a download.
    download_timeout: float = 3600.0
    #: Time in seconds after which a file is deleted; 0: never.
    ttl: float = 30 * 86400.0
    #: Time in seconds between two searches for files to delete.
    sweep_interval: float = 60.0
    #: Time in seconds for which browsers may keep a file; 0: they ask each time.
    cache_seconds: float = 3600.0

    def __post_init__(self) -> None:
        zeros = {"ttl", "cache_seconds", "min_free_bytes"}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name in zeros and value == 0 and not isinstance(value, bool):
                continue
            kind = self.__dataclass_fields__[name].type
            if kind is int:
                self.check_count("a whole number", name)
            elif kind is float:
                self.check(name, is_seconds(value), "a number, more than 0")
        self.check("folder", self.folder is None or is_text(self.folder), "a path")
        path: Any = self.path
        is_path = is_text(path) and path.startswith("/") and not path.endswith("/") and "//" not in path
        plain = is_path and all(each.isascii() and (each.isalnum() or each in "/-_.~") for each in path)
        self.check("path", plain, 'a path such as "/uploads"')
        self.check(
            "public_url", self.public_url is None or _is_url(self.public_url), "an address, http(s)://…"
        )
        secret: Any = self.secret
        is_secret = secret is None or (is_text(secret) and len(secret.encode()) >= MIN_SECRET)
        self.check("secret", is_secret, f"a text of {MIN_SECRET} bytes or more")
        types: Any = self.types
        is_list = isinstance(types, list | tuple) and bool(types)
        self.check(
            "types", is_list and all(map(is_type_pattern, types)), 'a list such as ["image/png", "audio/*"]'
        )

    @property
    def base_url(self) -> str:
        """The beginning of the addresses of files."""
        return (self.public_url or self.path).rstrip("/")


def _is_url(value: Any) -> bool:
    if not is_text(value) or not value.isascii() or any(each <= " " for each in value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
