"""Uploads that want to do harm: names, types, lengths, rates, tickets, and a full disk."""

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from chat_service import ChatServiceError
from chat_service.client import ChatClient
from chat_service.testing import wait_until
from chat_service.uploads import LocalUploads, UploadedFile, UploadError
from chat_service.uploads.content import clean_name, type_of
from chat_service.uploads.tickets import Ticket, TicketOffice
from tests.support.patience import PATIENCE
from tests.uploads.sharing import HTML, PNG, ROOM, SVG, Sharing, picture, sharing

pytestmark = pytest.mark.e2e


@pytest.fixture(params=["own", "asgi"])
async def shared(request: Any, tmp_path: Path) -> AsyncIterator[Sharing]:
    async with sharing(tmp_path / "files", request.param) as made:
        yield made


async def code_of(work: Any) -> str:
    with pytest.raises(ChatServiceError) as refused:
        await work
    return refused.value.code


# Names and addresses


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/etc/shadow", "shadow"),
        ("..", "file"),
        (".htaccess", "htaccess"),
        ("", "file"),
        ("a\0b\r\nSet-Cookie: x.png", "abSet-Cookie: x.png"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("\u200b\ufeff", "file"),
        ("e\u0301t\u00e9.png", "\u00e9t\u00e9.png"),
        ("\ud800.png", "?.png"),
        ("x" * 300 + ".png", "x" * 116 + ".png"),
        ("x" * 300 + "." + "y" * 300, "x" * 120),
    ],
)
def test_names_are_cleaned(given: str, kept: str) -> None:
    assert clean_name(given, 120) == kept


async def test_names_are_never_paths(shared: Sharing) -> None:
    name = '../../"; filename=evil.html\r\nX-Evil: 1'
    async with shared.person() as alice:
        found = await alice.upload(ROOM, PNG, name=name)
    assert found["name"] == '"; filename=evil.htmlX-Evil: 1'
    assert shared.files() == [found["id"]]
    _, headers, _ = await shared.get(found["url"])
    assert "x-evil" not in headers
    assert headers["content-disposition"].startswith(
        'inline; filename="_; filename=evil.htmlX-Evil: 1"; filename*='
    )


@pytest.mark.parametrize(
    "path",
    [
        "/../index.sqlite",
        "/%2e%2e/index.sqlite",
        "/..%2findex.sqlite",
        "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/ticket.key",
        "/files",
        "/" + "a" * 32,
        "/" + "a" * 32 + "/x/y",
        "/" + "a" * 5000,
        "/%00" + "a" * 31,
        "//etc/passwd",
    ],
)
async def test_only_ids_name_files(shared: Sharing, path: str) -> None:
    async with shared.http.get(URL(f"{shared.base}/uploads{path}", encoded=True)) as answer:
        body = await answer.read()
        assert answer.status in (404, 400)
        assert b"SQLite" not in body and b"root:" not in body


async def test_ids_cannot_be_guessed(shared: Sharing) -> None:
    async with shared.person() as alice:
        ids = {(await alice.upload(ROOM, PNG, name="x.png"))["id"] for _ in range(5)}
    assert len(ids) == 5 and all(len(each) == 32 for each in ids)


# Types


@pytest.mark.parametrize(
    ("content", "declared", "found"),
    [
        (SVG, "image/png", "image/svg+xml"),
        (b"\xef\xbb\xbf  " + SVG, "image/png", "image/svg+xml"),
        (HTML, "image/gif", "text/html"),
        (b"<!--" + b"><!--" * 700, "image/png", "text/html"),
        (b"<?xml version='1.0'?><x/>", "text/plain", "text/html"),
        (b"MZ\x90\0" + b"\0" * 200, "image/png", None),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 200, "image/png", None),
    ],
)
async def test_what_runs_is_not_taken_as_an_image(
    shared: Sharing, content: bytes, declared: str, found: str | None
) -> None:
    kind = type_of(content, declared)
    assert kind == found if found else not kind.startswith(("image/", "text/", "audio/", "video/"))
    async with shared.person() as alice:
        refused = alice.upload(ROOM, content, name="x.png", content_type=declared)
        assert await code_of(refused) == "uploadTypeNotAllowed"
    assert shared.files() == []


async def test_a_picture_that_is_also_a_page_stays_a_picture(shared: Sharing) -> None:
    async with shared.person() as alice:
        found = await alice.upload(ROOM, picture(kind="GIF") + HTML, name="x.html", content_type="text/html")
    _, headers, _ = await shared.get(found["url"])
    assert headers["content-type"] == "image/gif"
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]


async def test_an_allowed_page_is_only_saved(tmp_path: Path) -> None:
    async with sharing(tmp_path / "files", types=["*/*"]) as made, made.person() as alice:
        for content in (HTML, SVG):
            found = await alice.upload(ROOM, content, name="x.html")
            _, headers, _ = await made.get(found["url"])
            assert headers["content-type"] == "application/octet-stream"
            assert headers["content-disposition"].startswith("attachment;")


async def test_an_image_that_would_fill_the_memory(tmp_path: Path) -> None:
    async with sharing(tmp_path / "files", max_image_pixels=1000) as made, made.person() as alice:
        assert await code_of(alice.upload(ROOM, picture(40, 30), name="x.png")) == "uploadImageTooLarge"
        assert made.files() == []
        assert await made.uploads.records.totals() == (0, 0)


# Lengths and times


async def test_lengths_that_lie(shared: Sharing) -> None:
    async with shared.person() as alice:
        # More or less than announced.
        for body in (PNG + b"x", PNG[:-1], b""):
            ticket = await shared.ticket(alice, "x.png", len(PNG))
            status, problem = await shared.post(ticket, body)
            assert (status, problem["code"]) == (400, "uploadWrongLength")

        async def endless() -> AsyncIterator[bytes]:
            yield PNG
            for _ in range(50):
                yield b"x" * 100_000

        # Without a length.
        ticket = await shared.ticket(alice, "x.png", len(PNG))
        status, problem = await shared.post(ticket, endless())
        assert (status, problem["code"]) == (400, "uploadWrongLength")
        assert await code_of(shared.ticket(alice, "x.png", 10_000_001)) == "uploadTooLarge"
    assert shared.files() == []
    assert await shared.uploads.records.totals() == (0, 0)


async def test_packed_bodies_are_not_unpacked(shared: Sharing) -> None:
    async with shared.person() as alice:
        ticket = await shared.ticket(alice, "x.png", len(PNG))
    url = f"{shared.base}/uploads"
    headers = {"Authorization": f"Bearer {ticket}", "Content-Encoding": "gzip"}
    async with shared.http.post(url, data=PNG, headers=headers, skip_auto_headers=["Accept"]) as answer:
        assert answer.status == 415


async def begin(shared: Sharing, ticket: str, size: int, sent: bytes) -> "tuple[Any, Any]":
    """Begin an upload by hand, with a part of the body."""
    host, port = shared.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /uploads HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {ticket}\r\n"
        f"Content-Length: {size}\r\n\r\n"
    )
    writer.write(head.encode() + sent)
    await writer.drain()
    return reader, writer


@pytest.mark.parametrize("carrier", ["own", "asgi"])
async def test_slow_uploads_end(tmp_path: Path, carrier: str) -> None:
    async with sharing(tmp_path / "files", carrier, idle_timeout=0.2) as made, made.person() as alice:
        ticket = await made.ticket(alice, "x.png", len(PNG))
        reader, writer = await begin(made, ticket, len(PNG), PNG[:10])
        line = await asyncio.wait_for(reader.readline(), PATIENCE)
        assert line.startswith(b"HTTP/1.1 408")
        writer.close()
        await wait_until(lambda: not made.uploads._receiver.running, "the upload has ended")
        assert made.files() == [] and await made.uploads.records.totals() == (0, 0)


async def test_uploads_that_trickle_end(tmp_path: Path) -> None:
    async with sharing(tmp_path / "files", upload_timeout=0.5) as made, made.person() as alice:
        ticket = await made.ticket(alice, "x.png", 10_000)
        reader, writer = await begin(made, ticket, 10_000, PNG[:10])

        async def trickle() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        line = await asyncio.wait_for(reader.readline(), PATIENCE)
        assert line.startswith(b"HTTP/1.1 408")
        trickling.cancel()
        writer.close()
        assert made.files() == []


async def test_broken_uploads_leave_nothing(shared: Sharing) -> None:
    async with shared.person() as alice:
        for sent in (b"", PNG[:10], picture(900, 900, "BMP")[:300_000]):
            ticket = await shared.ticket(alice, "x.png", 900_000)
            _, writer = await begin(shared, ticket, 900_000, sent)
            await wait_until(lambda: shared.uploads._receiver.running["alice"] == 1, "the upload runs")
            writer.transport.abort()
            await wait_until(lambda: not shared.uploads._receiver.running, "the upload has ended")
            assert shared.files() == []
            assert await shared.uploads.records.totals() == (0, 0)


async def test_slow_readers_end(tmp_path: Path) -> None:
    size = 9_000_000
    async with sharing(tmp_path / "files", idle_timeout=0.3) as made, made.person() as alice:
        content = PNG + os.urandom(size - len(PNG))
        found = await alice.upload(ROOM, content, name="x.png")
        host, port = made.base.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(f"GET {found['url']} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await wait_until(lambda: made.uploads._downloads.running == 1, "the download runs")
        await wait_until(lambda: made.uploads._downloads.running == 0, "the download has ended")
        assert made.uploads._downloads.bytes_sent < size
        writer.close()


# Amounts


async def test_rates_and_concurrency(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "ticket_rate": 0.001,
        "ticket_burst": 6,
        "concurrent_uploads": 2,
        "concurrent_user_uploads": 1,
    }
    async with (
        sharing(tmp_path / "files", **options) as made,
        made.person("alice") as alice,
        made.person("bob") as bob,
        made.person("carol") as carol,
    ):
        people: list[ChatClient] = [alice, alice, bob, carol]
        tickets = [await made.ticket(person, "x.png", len(PNG)) for person in people]
        begun = [await begin(made, tickets[0], len(PNG), PNG[:9])]
        await wait_until(lambda: made.uploads._receiver.running["alice"] == 1, "an upload runs")
        status, problem = await made.post(tickets[1], PNG)
        assert (status, problem["code"]) == (429, "uploadTooMany")
        begun.append(await begin(made, tickets[2], len(PNG), PNG[:9]))
        await wait_until(lambda: made.uploads._receiver.running.total() == 2, "two uploads run")
        assert (await made.post(tickets[3], PNG))[0] == 429
        for _, writer in begun:
            writer.write(PNG[9:])
        for reader, writer in begun:
            assert (await asyncio.wait_for(reader.readline(), PATIENCE)).startswith(b"HTTP/1.1 201")
            writer.close()
        # A refused upload has not used its ticket.
        assert (await made.post(tickets[1], PNG))[0] == 201
        for _ in range(4):
            await made.ticket(alice, "x.png", 1)
        assert await code_of(made.ticket(alice, "x.png", 1)) == "rateLimited"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"max_user_files": 2}, "user"),
        ({"max_user_bytes": 2 * len(PNG)}, "user"),
        ({"max_room_bytes": 2 * len(PNG)}, "room"),
        ({"max_total_bytes": 2 * len(PNG)}, "service"),
        ({"max_total_files": 2}, "service"),
    ],
)
async def test_quotas(tmp_path: Path, options: Any, what: str) -> None:
    async with sharing(tmp_path / "files", **options) as made, made.person() as alice:
        first = await alice.upload(ROOM, PNG, name="1.png")
        await alice.upload(ROOM, PNG, name="2.png")
        with pytest.raises(ChatServiceError) as refused:
            await alice.upload(ROOM, PNG, name="3.png")
        assert (refused.value.code, refused.value.arguments) == ("uploadQuota", (what,))
        await alice.command("uploadDelete", first["id"])
        await alice.upload(ROOM, PNG, name="3.png")
        assert len(made.files()) == 2


async def test_uploads_at_the_same_time_do_not_exceed_a_quota(tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_user_bytes": 3 * len(PNG), "concurrent_user_uploads": 10}
    async with sharing(tmp_path / "files", **options) as made, made.person() as alice:
        done = await asyncio.gather(
            *(alice.upload(ROOM, PNG, name=f"{number}.png") for number in range(10)), return_exceptions=True
        )
        errors = [each.code for each in done if isinstance(each, ChatServiceError)]
        assert errors == ["uploadQuota"] * 7
        assert len(made.files()) == 3


# Tickets


async def test_tickets(tmp_path: Path) -> None:
    async with sharing(tmp_path / "files", ticket_lifetime=0.2) as made, made.person() as alice:
        ticket = await made.ticket(alice, "x.png", len(PNG))
        body, _, signature = ticket.partition(".")
        forged = TicketOffice(b"x" * 32).sign(
            Ticket(file_id="a" * 32, user="bob", room=ROOM, name="x", type="", bytes=9, expires=2e12)
        )
        bad = [None, "", "x", ".", body, f"{body}.", f"{body}x.{signature}", f"{body}.{signature}x", forged]
        for each in [*bad, "é" * 10, "=" * 100, "a" * 7000]:
            status, problem = await made.post(each if each is None or each.isascii() else "%C3", PNG)
            assert (status, problem["code"]) == (401, "uploadBadTicket"), each
        await asyncio.sleep(0.25)
        assert (await made.post(ticket, PNG))[0] == 401
        assert made.files() == []


async def test_a_ticket_is_for_one_room_while_one_is_in_it(shared: Sharing) -> None:
    """Those who have left, or were removed, cannot use a ticket that they got before."""
    async with shared.person() as alice:
        ticket = await shared.ticket(alice, "x.png", len(PNG))
        await alice.room(ROOM).leave()
        status, problem = await shared.post(ticket, PNG)
        assert (status, problem["code"]) == (403, "notJoined")
        await alice.commands.room_create("own", False)
        await alice.join("own")
        ticket = await shared.ticket(alice, "x.png", len(PNG), room="own")
        await shared.service.delete_room("own")
        status, problem = await shared.post(ticket, PNG)
        assert (status, problem["code"]) == (404, "noRoom")
    assert shared.files() == []


@pytest.mark.parametrize("way", ["ban", "leave"])
async def test_an_upload_whose_user_goes_meanwhile_is_not_kept(shared: Sharing, way: str) -> None:
    async with shared.person() as alice:
        ticket = await shared.ticket(alice, "x.png", len(PNG))
        reader, writer = await begin(shared, ticket, len(PNG), PNG[:10])
        await wait_until(lambda: bool(shared.uploads._receiver.running), "the upload runs")
        if way == "ban":
            await shared.service.ban_user("alice")
        else:
            await alice.room(ROOM).leave()
        writer.write(PNG[10:])
        line = await asyncio.wait_for(reader.readline(), PATIENCE)
        assert line.startswith(b"HTTP/1.1 403")
        writer.close()
        await wait_until(lambda: not shared.uploads._receiver.running, "the upload has ended")
    assert shared.files() == [] and await shared.uploads.records.totals() == (0, 0)


async def test_the_key_is_private(tmp_path: Path) -> None:
    async with sharing(tmp_path / "files") as made:
        assert (made.folder / "ticket.key").stat().st_mode & 0o077 == 0
        assert made.folder.stat().st_mode & 0o077 == 0
        assert "ticket.key" not in repr(made.uploads.options)


# The disk


async def test_a_disk_that_is_almost_full(tmp_path: Path) -> None:
    async with sharing(tmp_path / "files", min_free_bytes=2**60) as made, made.person() as alice:
        ticket = await made.ticket(alice, "x.png", len(PNG))
        status, problem = await made.post(ticket, PNG)
        assert (status, problem["code"]) == (507, "uploadStorageFull")
        assert made.files() == [] and await made.uploads.records.totals() == (0, 0)


def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    """The system refuses to write beyond a limit of the process, in the middle of a file."""
    program = textwrap.dedent("""
        import asyncio, resource, signal, sys
        from pathlib import Path
        from chat_service.uploads import LocalUploads, UploadedFile, UploadError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        async def chunks():
            for _ in range(10):
                yield b"x" * 100_000
        async def main():
            storage = LocalUploads(sys.argv[1])
            file = UploadedFile(
                id="a" * 32, user="u", room="r", name="n", type="t", bytes=1_000_000, created=0.0
            )
            try:
                await storage.write(file, chunks())
            except UploadError as error:
                left = [path for path in Path(sys.argv[1]).rglob("*") if path.is_file()]
                print(error.code, len(left))
        asyncio.run(main())
    """)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "files")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "uploadStorageFull 0"


async def test_a_local_folder_takes_only_ids(tmp_path: Path) -> None:
    storage = LocalUploads(tmp_path / "files")
    for bad in ("../x", "..", "", "a" * 100, "a/b" * 10):
        file = UploadedFile(id=bad, user="u", room="r", name="n", type="t", bytes=1, created=0.0)

        async def chunks() -> AsyncIterator[bytes]:
            yield b"x"

        with pytest.raises(FileNotFoundError):
            await storage.write(file, chunks())
        with pytest.raises(FileNotFoundError):
            await storage.delete(bad)
    assert UploadError("uploadTooLarge", 5).text == "A file has at most 5 bytes"
