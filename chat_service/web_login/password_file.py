"""The password file: a line ``name:hash`` per user, hashed with Argon2id. Needs the extra ``login``."""

import asyncio
import fcntl
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from chat_service.errors import ConfigurationError
from chat_service.protocol.names import is_valid_name
from chat_service.web_login.login_errors import LoginRefused

logger = logging.getLogger("chat_service")

#: Maximum size of the file in bytes: about 100,000 users.
MAX_FILE: Final = 20_000_000
#: The length of passwords in characters. Longer ones would only cost time.
SHORTEST, LONGEST = 8, 1024
#: The length of names in characters.
LONGEST_NAME: Final = 256
#: Seconds between two checks whether the file has changed.
LOOK_AGAIN: Final = 1.0
#: Hashes computed at a time, as each takes 64 MB and a core, and how many may wait for their turn.
HASHES_AT_ONCE: Final = 2
MAX_WAITING: Final = 50


class PasswordFile:
    """The users of a file, which is read again when it changes. A file that does not exist has no users.

    Raises ``ConfigurationError`` if argon2-cffi is missing, or the file cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            import argon2
        except ImportError:
            raise ConfigurationError("[login] password needs argon2-cffi: pip install '.[login]'") from None
        self._errors: Any = argon2.exceptions
        self._hasher: Any = argon2.PasswordHasher()
        self._path = Path(path)
        self._looked = 0.0
        self._version: tuple[int, int] | None = None
        self._hashes: dict[str, str] = {}
        self._turns = asyncio.Semaphore(HASHES_AT_ONCE)
        self._waiting = 0
        #: Verified instead of the hash of a user who does not exist, so that both take the same time.
        self._decoy = ""
        self._read()

    def __repr__(self) -> str:
        return f"<PasswordFile {self._path} users={len(self._hashes)}>"

    def names(self) -> list[str]:
        """The users, sorted."""
        self._refresh()
        return sorted(self._hashes)

    def proof_of(self, name: str) -> str | None:
        """A text that changes with a user's password; None if there is no such user."""
        self._refresh()
        found = self._hashes.get(name)
        return None if found is None else hashlib.sha256(found.encode()).hexdigest()[:16]

    async def verify(self, name: str, password: str) -> str | None:
        """The user's proof if the password is right, else None. Raises ``LoginRefused`` (busy)."""
        self._refresh()
        if len(password) > LONGEST:
            return None
        if self._waiting >= MAX_WAITING:
            raise LoginRefused("busy", wait=1.0)
        self._waiting += 1
        try:
            async with self._turns:
                is_right = await asyncio.to_thread(self._matches, self._hashes.get(name), password)
        finally:
            self._waiting -= 1
        return self.proof_of(name) if is_right else None

    def _matches(self, known: str | None, password: str) -> bool:
        if known is None and not self._decoy:
            self._decoy = self._hasher.hash(os.urandom(16).hex())
        try:
            self._hasher.verify(known or self._decoy, password)
        except self._errors.VerifyMismatchError:
            return False
        except (self._errors.VerificationError, self._errors.InvalidHashError) as error:
            logger.error("the password file %s has an invalid hash: %s", self._path, error)
            return False
        return known is not None

    # Changes, by the command line

    def set_password(self, name: str, password: str) -> bool:
        """Add a user, or change the password. Returns whether the user is new.

        Raises ``ConfigurationError`` for a name or a password that cannot be used.
        """
        if not is_valid_name(name, LONGEST_NAME) or name != name.strip():
            raise ConfigurationError(f"the name {name!r} cannot be used")
        if not SHORTEST <= len(password) <= LONGEST:
            raise ConfigurationError(f"a password has {SHORTEST} to {LONGEST} characters")
        made = self._hasher.hash(password)
        with self._changing():
            is_new = name not in self._hashes
            self._hashes[name] = made
        return is_new

    def remove(self, name: str) -> bool:
        """Remove a user. Returns whether there was one."""
        with self._changing():
            return self._hashes.pop(name, None) is not None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Read the file, let the caller change the users, and replace the file. One process at a time."""
        try:
            with open(f"{self._path}.lock", "w", encoding="ascii") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._read()
                yield
                self._write()
        except OSError as error:
            raise ConfigurationError(f"password file {self._path}: {error.strerror or error}") from None

    def _write(self) -> None:
        text = "".join(f"{name}:{value}\n" for name, value in sorted(self._hashes.items()))
        # Readable by its owner only, and never seen half written.
        descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self._path)
        except BaseException:
            os.unlink(temporary)
            raise
        self._version = _version_of(self._path)

    # Reading

    def _refresh(self) -> None:
        if time.monotonic() - self._looked < LOOK_AGAIN:
            return
        try:
            if _version_of(self._path) != self._version:
                self._read()
        except ConfigurationError as error:
            # Keep the old users: a file that is just being written must not lock everyone out.
            logger.error("the password file could not be read again, the former passwords stay: %s", error)
        self._looked = time.monotonic()

    def _read(self) -> None:
        self._looked = time.monotonic()
        version = _version_of(self._path)
        if version is None:
            self._hashes, self._version = {}, None
            return
        try:
            if self._path.stat().st_size > MAX_FILE:
                raise ConfigurationError(f"[login] users_file {self._path}: larger than {MAX_FILE} bytes")
            lines = self._path.read_text("utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"[login] users_file {self._path}: {error}") from None
        found: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            name, separator, value = line.strip().partition(":")
            if not line.strip():
                continue
            if not separator or not name or not value.startswith("$argon2"):
                # Without the line, which may be a password.
                raise ConfigurationError(
                    f"[login] users_file {self._path}: line {number} is not name:hash; "
                    "`chat-service passwd` writes such lines"
                )
            found[name] = value
        self._hashes, self._version = found, version


def _version_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"[login] users_file {path}: {error.strerror or error}") from None
    return found.st_mtime_ns, found.st_ino
