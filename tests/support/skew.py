"""A wrong wall clock for a program that cannot be configured to use a different clock."""

import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("skew.c")


class Skew:
    """The clock error of programs that are started with ``environment``. It can change while they run."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="chat-skew-"))
        self._file = self._folder / "microseconds"
        self.set(0.0)
        library = self._folder / "skew.so"
        compiler = shutil.which("gcc") or shutil.which("cc")
        assert compiler is not None, "a C compiler is missing: make test installs gcc"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "SKEW_FILE": str(self._file)}

    def set(self, seconds: float) -> None:
        """Make the clock wrong by this number of seconds from now on."""
        data = struct.pack("q", round(seconds * 1_000_000))
        if not self._file.exists():
            self._file.write_bytes(data)
            return
        # In place, because the programs have mapped this file.
        with self._file.open("r+b") as file:
            file.write(data)

    def close(self) -> None:
        """Remove the files. Idempotent."""
        shutil.rmtree(self._folder, ignore_errors=True)
