"""Certificates for TLS tests, and servers that use them."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self


class Certificates:
    """Self-signed certificates for 127.0.0.1, created by openssl in a folder that is removed at the end."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chat-tls-"))
        self.certificate = str(self.folder / "cert.pem")
        self.key = str(self.folder / "key.pem")

    def __enter__(self) -> Self:
        program = shutil.which("openssl")
        assert program is not None, "openssl is not installed"
        request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=chat"]
        subprocess.run(
            [
                program, *request, "-addext", "subjectAltName=IP:127.0.0.1",
                "-keyout", self.key, "-out", self.certificate,
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def options(self, port: int, *, clients: bool = False) -> list[str]:
        """Options of a server that also listens for TLS. ``clients``: whether clients need a certificate."""
        return [
            "--tls-port", str(port), "--tls-cert-file", self.certificate, "--tls-key-file", self.key,
            "--tls-ca-cert-file", self.certificate, "--tls-auth-clients", "yes" if clients else "no",
        ]  # fmt: skip
