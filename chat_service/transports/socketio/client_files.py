"""The typed browser client, with its source map and types, for pages without a build."""

import hashlib
from pathlib import Path
from typing import Final

from chat_service.transports.network.gate import Answer, Gate, Refusal
from chat_service.transports.network.opening import Opening

#: Where `npm run build` puts the files.
BUILT: Final = Path(__file__).parent / "browser"
#: The files that are served, with their types.
TYPES: Final = {
    "client.js": "text/javascript; charset=utf-8",
    "client.js.map": "application/json",
    "client.d.ts": "text/plain; charset=utf-8",
}
NOT_BUILT: Final = "the browser client was not built: run `npm run build` in a checkout, or install the wheel"


class ClientFiles:
    """Answers requests for the files."""

    def __init__(self, path: str, directory: Path = BUILT) -> None:
        """``path``: of the script; the other files lie beside it."""
        self._directory = directory
        path = f"/{path.strip('/')}"
        folder = path.rpartition("/")[0]
        #: The names of the files by their paths.
        self.names = {f"{folder}/{name}": name for name in TYPES} | {path: "client.js"}
        self._contents: dict[str, tuple[bytes, str]] = {}

    def answer(self, gate: Gate, opening: Opening, path: str) -> Answer:
        """The answer to a request. ``path``: a key of ``names``. ``gate``: checks hosts and origins."""
        try:
            gate.check_head(opening)
            gate.check_host(opening)
            found = self._file(opening, self.names[path])
        except Refusal as refusal:
            return Answer(refusal.status, str(refusal).encode(), ends_connection=refusal.ends_connection)
        found.headers += [("X-Content-Type-Options", "nosniff"), *gate.cors_headers(opening)]
        return found

    def _file(self, opening: Opening, name: str) -> Answer:
        if opening.method not in ("GET", "HEAD"):
            raise Refusal(405, "only GET and HEAD are supported here")
        content, tag = self._read(name)
        if opening.headers.get("if-none-match") == tag:
            found = Answer(304, b"")
        else:
            found = Answer(200, content if opening.method == "GET" else b"", TYPES[name])
        # Browsers ask each time whether it has changed.
        found.headers += [("ETag", tag), ("Cache-Control", "no-cache")]
        return found

    def _read(self, name: str) -> tuple[bytes, str]:
        """The content of a file, and its tag."""
        known = self._contents.get(name)
        if known is None:
            try:
                content = (self._directory / name).read_bytes()
            except OSError:
                raise Refusal(404, NOT_BUILT) from None
            tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            known = self._contents[name] = content, tag
        return known
