"""The facts that a file's content shows: its type and the size of an image; and a harmless name for it."""

import io
import re
import unicodedata
from fnmatch import fnmatchcase
from typing import Any, Final

from chat_service.errors import ConfigurationError

#: Bytes of the beginning by which a type is recognised.
HEAD: Final = 4096
#: Bytes of the beginning in which the size of an image is looked for: metadata may come before it.
IMAGE_HEAD: Final = 256 * 1024
#: Types that browsers show as an image and never run, so that pages may embed them.
SAFE_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"})
UNKNOWN: Final = "application/octet-stream"
TEXT: Final = "text/plain"
ZIP: Final = "application/zip"
#: Types whose files are ZIP archives, so that the beginning cannot tell them apart.
_ZIP_BASED: Final = (
    "application/vnd.openxmlformats-officedocument.*",
    "application/vnd.oasis.opendocument.*",
    "application/epub+zip",
)
#: Texts that browsers would run or interpret.
_MARKUP: Final = frozenset(
    {"text/html", "image/svg+xml", "application/xml", "text/xml", "application/xhtml+xml"}
)
#: Categories of characters that are not seen: controls, directions, surrogates, separators of lines.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
#: Other names of the same types.
_SAME: Final = {
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "application/x-zip-compressed": ZIP,
    "image/jpg": "image/jpeg",
    "video/x-m4v": "video/mp4",
}
_WORD: Final = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,100}"
_is_type = re.compile(f"{_WORD}/{_WORD}").fullmatch
_is_pattern = re.compile(rf"{_WORD}/(\*|{_WORD})|\*/\*").fullmatch
_starts_markup = re.compile(rb"(?:\xef\xbb\xbf)?\s*<[!?a-z]", re.I).match


def require_libraries() -> None:
    """Raise ``ConfigurationError`` unless the packages of the extra ``uploads`` are installed."""
    try:
        import imagesize
        import puremagic

        del imagesize, puremagic
    except ImportError as error:
        raise ConfigurationError(
            f"uploads need the extra uploads: pip install '.[uploads]' ({error})"
        ) from None


def has_libraries() -> bool:
    """Whether the packages of the extra ``uploads`` are installed."""
    try:
        require_libraries()
    except ConfigurationError:
        return False
    return True


def is_type_pattern(value: Any) -> bool:
    """Whether a value is a type, or a type with ``*``."""
    return isinstance(value, str) and _is_pattern(value) is not None


def declared_type(value: Any) -> str:
    """A type as a client declares it, without parameters; ``UNKNOWN`` for what is not a type."""
    if not isinstance(value, str):
        return UNKNOWN
    text = value.partition(";")[0].strip().lower()
    return _SAME.get(text, text) if _is_type(text) else UNKNOWN


def is_allowed(found: str, patterns: tuple[str, ...]) -> bool:
    """Whether a type is among the patterns."""
    return any(fnmatchcase(found, pattern) for pattern in patterns)


def type_of(head: bytes, declared: str) -> str:
    """The type of a file by its first ``HEAD`` bytes.

    ``declared``: by the client, which is believed only where the content agrees.
    """
    import puremagic

    head = head[:HEAD]
    if not head:
        return TEXT
    if _starts_markup(head):
        return "image/svg+xml" if b"<svg" in head.lower() else "text/html"
    try:
        found = puremagic.from_string(head, mime=True)
    except (puremagic.PureError, ValueError):
        found = ""
    found = _SAME.get(found, found)
    if _is_text(head):
        return found if found in _MARKUP else TEXT
    if head.startswith(b"PK\x03\x04"):
        return declared if any(fnmatchcase(declared, pattern) for pattern in _ZIP_BASED) else ZIP
    return found if _is_type(found) and not found.startswith("text/") and found not in _MARKUP else UNKNOWN


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    # The last character may be cut off.
    for end in range(4):
        try:
            text = head[: len(head) - end].decode()
        except UnicodeDecodeError:
            continue
        return not any(each < " " and each not in "\t\n\r\f\x1b" for each in text)
    return False


def image_size(head: bytes) -> tuple[int, int] | None:
    """Width and height of an image in pixels, by its first bytes; None if they are not found there."""
    import imagesize

    try:
        width, height = imagesize.get(io.BytesIO(head))
    except Exception:
        # Its parsers may raise anything on broken files.
        return None
    return (int(width), int(height)) if width > 0 and height > 0 else None


def clean_name(name: str, limit: int) -> str:
    """A name without folders, control characters and marks that change the direction of text."""
    last = (
        unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
        .replace("\\", "/")
        .rpartition("/")[2]
    )
    kept = "".join(each for each in last if unicodedata.category(each) not in _UNSEEN)
    kept = " ".join(kept.split()).strip(". ")
    if len(kept) > limit:
        stem, dot, ending = kept.rpartition(".")
        ending = dot + ending if stem and len(ending) <= 10 else ""
        kept = kept[: limit - len(ending)].rstrip(". ") + ending
    return kept or "file"
