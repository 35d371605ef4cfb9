"""The public types: what an application may write, and what a type checker must refuse."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HEAD = """\
from typing import Any
from chat_service import (
    ChatService, ChatServiceError, CommandCall, MembershipInfo, MemoryStore, Options, Store, user_channel
)
from chat_service.testing import FakeClock
service = ChatService()
async def main(call: CommandCall, info: MembershipInfo) -> None:
    pass
"""

#: A line that is wrong, and the code of mypy's error for it.
WRONG = {
    "unknown option": ("ChatService(prot=8000)", "call-arg"),
    "ill-typed port": ('ChatService(port="8000")', "arg-type"),
    "ill-typed flag": ('ChatService(enable_direct_messages="yes")', "arg-type"),
    "ill-typed options": ("ChatService({'port': 5})", "arg-type"),
    "positional hooks": ("ChatService(Options(), {})", "misc|call-arg|too-many"),
    "options by position": ("Options(8000)", "misc|call-arg"),
    "option of Options": ("Options(prot=8000)", "call-arg"),
    "options are frozen": ("Options().port = 5", "misc"),
    "no clock": ("ChatService(clock=5)", "arg-type"),
    "before without a name": ("service.before(5)", "arg-type"),
    "no hook": ('service.before("roomJoin")(5)', "type-var|arg-type"),
    "event without a name": ("service.on(5)", "call-overload"),
    "handshake of a number": ("service.transport.get_handshake_data(5)", "arg-type"),
    "handler that is none": ('service.transport.bind_handler("id", "event", 5)', "arg-type"),
    "channel of a number": ("user_channel(5)", "arg-type"),
    "error code": ("ChatServiceError(5)", "arg-type"),
    "field of a call": ("    call.username", "attr-defined"),
    "frozen info": ("    info.njoined = 5", "misc"),
    "list for arguments": ("    call.args = None", "assignment"),
    "context": ('    await service.exec_user_command(5.5, "roomJoin")', "arg-type"),
    "command": ("    await service.exec_user_command(True, 5)", "arg-type"),
    "room by keyword": ('    await service.add_room("room", "owner")', "misc|call-arg"),
    "list of names": ('    await service.add_room("room", whitelist=5)', "arg-type"),
    "size": ('    await service.add_room("room", history_max_size="5")', "arg-type"),
    "not awaited": ('    flag: bool = service.has_room("room")', "assignment"),
    "result is a list": ('    number: int = await service.exec_user_command(True, "x")', "assignment"),
    "half a store": ("store: Store = FakeClock()", "assignment"),
}


def mypy(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    # The project's own settings know which libraries have no types. With the same settings, what the linters
    # have just found out about the package is used again.
    config = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    return subprocess.run(
        [*command, *config, str(path)], capture_output=True, text=True, cwd=ROOT, timeout=1700
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_application_code_type_checks() -> None:
    result = mypy(ROOT / "tests/typing/public_api.py")
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_type_errors_are_found(tmp_path: Path) -> None:
    path = tmp_path / "wrong.py"
    inner = [line for line, _ in WRONG.values() if line.startswith(" ")]
    outer = [line for line, _ in WRONG.values() if not line.startswith(" ")]
    head = HEAD.splitlines()
    lines = [*head, *inner, *outer]
    path.write_text("\n".join(lines) + "\n")
    result = mypy(path)
    refused: dict[int, str] = {}
    for text in result.stdout.splitlines():
        if ": error: " in text:
            number = int(text.rsplit(".py:", 1)[1].split(":", 1)[0])
            refused[number] = refused.get(number, "") + text
    for name, (line, codes) in WRONG.items():
        number = lines.index(line) + 1
        assert any(f"[{code}]" in refused.get(number, "") for code in codes.split("|")), (
            name,
            refused.get(number),
        )
    assert set(refused) <= set(range(len(head) + 1, len(lines) + 1)), result.stdout
