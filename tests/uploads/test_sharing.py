"""Sharing files: tickets, uploads, downloads, messages with attachments, and deletion."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chat_service import ChatService, ChatServiceError, ConfigurationError
from chat_service.client import ChatClient, attachment_message, caption_of
from chat_service.testing import wait_until
from chat_service.uploads import (
    DownloadRequest,
    LocalUploads,
    Quotas,
    SqliteRecords,
    UploadedFile,
    UploadOptions,
    Uploads,
)
from chat_service.uploads.serving import byte_range
from tests.support.patience import PATIENCE
from tests.support.world import name_by_query
from tests.uploads.sharing import PNG, ROOM, Sharing, picture, sharing

pytestmark = pytest.mark.e2e


@pytest.fixture(params=["own", "aiohttp", "asgi"])
async def carried(request: Any, tmp_path: Path) -> AsyncIterator[Sharing]:
    """A service on each kind of carrier."""
    async with sharing(tmp_path / "files", request.param) as made:
        yield made


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Sharing]:
    async with sharing(tmp_path / "files") as made:
        yield made


async def test_a_file_is_shared(carried: Sharing) -> None:
    async with carried.person("alice") as alice, carried.person("bob") as bob:
        seen: list[tuple[int, int]] = []
        found = await alice.room(ROOM).upload(PNG, name="cup.png", on_progress=lambda *at: seen.append(at))
        assert seen[-1] == (len(PNG), len(PNG))
        assert {key: found[key] for key in ("name", "type", "bytes", "width", "height")} == {
            "name": "cup.png",
            "type": "image/png",
            "bytes": len(PNG),
            "width": 40,
            "height": 30,
        }
        await alice.room(ROOM).send_files([found], "our cup")
        message = await asyncio.wait_for(anext(aiter(bob.room(ROOM))), PATIENCE)
        [attachment] = message["attachments"]
        assert attachment["url"] == found["url"] and "id" not in attachment
        # Older clients see a link in the text.
        assert message["textMessage"] == f"our cup\ncup.png: {carried.base}{found['url']}"
        assert caption_of(message) == "our cup"
    status, headers, body = await carried.get(attachment["url"])
    assert (status, body) == (200, PNG)
    assert headers["content-type"] == "image/png"
    assert headers["content-disposition"] == "inline; filename=\"cup.png\"; filename*=UTF-8''cup.png"
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert headers["cache-control"] == "private, max-age=3600"


async def test_parts_of_a_file(carried: Sharing, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000
    path = tmp_path / "sound.wav"
    path.write_bytes(b"RIFF" + (36 + len(content)).to_bytes(4, "little") + b"WAVEfmt " + content)
    whole = path.read_bytes()
    async with carried.person() as alice:
        found = await alice.upload(ROOM, path)
    assert found["type"] == "audio/wav" and found["name"] == "sound.wav"
    url = found["url"]
    status, headers, body = await carried.get(url, Range="bytes=10-99")
    assert (status, body) == (206, whole[10:100])
    assert headers["content-range"] == f"bytes 10-99/{len(whole)}"
    assert (await carried.get(url, Range="bytes=-5"))[2] == whole[-5:]
    assert (await carried.get(url, Range="bytes=500000-"))[2] == whole[500000:]
    status, headers, body = await carried.get(url, Range=f"bytes={len(whole)}-")
    assert (status, headers["content-range"]) == (416, f"bytes */{len(whole)}")
    # Several ranges are not supported; the whole file is a valid answer.
    assert (await carried.get(url, Range="bytes=0-1,5-6"))[2] == whole
    assert (await carried.get(url, Range="bytes=0-1", **{"If-Range": '"other"'}))[0] == 200
    tag = (await carried.get(url))[1]["etag"]
    status, _, body = await carried.get(url, **{"If-None-Match": tag})
    assert (status, body) == (304, b"")
    async with carried.http.head(carried.base + url) as answer:
        assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(whole)))
    assert carried.uploads._downloads.running == 0


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=5-", (5, 10)),
        ("bytes=5-100", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=-0", (10, 10)),
        ("bytes=10-", (10, 10)),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,3-4", None),
        ("lines=0-1", None),
        ("bytes=x-1", None),
    ],
)
def test_ranges(header: str, found: tuple[int, int] | None) -> None:
    assert byte_range(header, 10) == found


async def test_other_pages_may_upload(carried: Sharing) -> None:
    """No cookies are used, so the answers are the same for every origin."""
    url = f"{carried.base}/uploads"
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    async with carried.http.options(url, headers=asked) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    async with carried.http.put(url) as answer:
        assert (answer.status, (await answer.json())["code"]) == (405, "uploadMethod")
    assert (await carried.get("/uploads"))[0] == 404
    assert (await carried.get("/uploads/"))[0] == 404


async def test_texts_and_unknown_formats(shared: Sharing) -> None:
    async with shared.person() as alice:
        text = await alice.upload(ROOM, "Grüße\n".encode(), name="notes.html", content_type="text/html")
        empty = await alice.upload(ROOM, b"", name="empty.txt")
        with pytest.raises(ChatServiceError) as refused:
            await alice.upload(ROOM, bytes([0, 255, 3, 7] * 500), name="x.png", content_type="image/png")
    assert (text["type"], empty["type"], empty["bytes"]) == ("text/plain", "text/plain", 0)
    assert refused.value.code == "uploadTypeNotAllowed"
    assert refused.value.arguments[0] == "application/octet-stream"
    _, headers, _ = await shared.get(text["url"])
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["content-disposition"].startswith("attachment;")
    assert (await shared.get(empty["url"]))[2] == b""


async def test_limits_are_told(shared: Sharing) -> None:
    async with shared.person() as alice:
        limits = await alice.command("uploadLimits")
    assert limits["maxBytes"] == 10_000_000 and "image/png" in limits["types"]
    assert (limits["maxAttachments"], limits["ttl"]) == (10, 30 * 86400)


async def test_only_members_get_tickets(shared: Sharing) -> None:
    async with shared.person("bob", joins=False) as bob:
        for room, code in ((ROOM, "notJoined"), ("nowhere", "noRoom")):
            with pytest.raises(ChatServiceError) as refused:
                await shared.ticket(bob, "a.png", len(PNG), room=room)
            assert refused.value.code == code


@pytest.mark.parametrize(
    "file",
    [{}, {"name": 1, "bytes": 2}, {"name": "a"}, {"name": "a", "bytes": -1}, {"name": "a", "bytes": True}],
)
async def test_bad_arguments(shared: Sharing, file: Any) -> None:
    async with shared.person() as alice:
        with pytest.raises(ChatServiceError) as refused:
            await alice.command("uploadTicket", ROOM, file)
    assert refused.value.code == "badArgument"


async def test_messages_with_attachments_are_checked(shared: Sharing) -> None:
    async with shared.person() as alice:
        good = await alice.upload(ROOM, PNG, name="cup.png")
        room = alice.room(ROOM)
        message = attachment_message("", [good], shared.base)
        assert await room.send(message) == 1
        [attachment] = message["attachments"]
        bad: list[Any] = [
            [],
            "x",
            [{}],
            [{**attachment, "url": "https://example.org/pixel.png"}],
            [{**attachment, "url": "javascript:alert(1)"}],
            [{**attachment, "url": "/uploads/../admin"}],
            [{**attachment, "url": "/uploads"}],
            [{**attachment, "more": 1}],
            [{**attachment, "width": -1}],
            [{**attachment, "bytes": True}],
            [{**attachment, "name": ""}],
            [{**attachment, "name": "x" * 500}],
        ]
        for attachments in bad:
            with pytest.raises(ChatServiceError) as refused:
                await room.send({"textMessage": "", "attachments": attachments})
            assert refused.value.code == "badArgument", attachments
        with pytest.raises(ChatServiceError) as refused:
            await room.send({"textMessage": "", "attachments": [attachment] * 11})
        assert refused.value.code == "limitExceeded"
        for message in ({"textMessage": "x", "more": 1}, {"attachments": [attachment]}, {"textMessage": 1}):
            with pytest.raises(ChatServiceError) as refused:
                await room.send(message)
            assert refused.value.code == "badArgument"
        assert await room.send({"textMessage": "plain"}) == 2


async def test_an_own_format_decides_about_the_rest(tmp_path: Path) -> None:
    def check(message: Any) -> None:
        if "mood" not in message:
            raise ChatServiceError("noMood")

    hooks = {"room_messages_checker": check}
    async with sharing(tmp_path / "files", hooks=hooks) as made, made.person() as alice:
        good = await alice.upload(ROOM, PNG, name="cup.png")
        room = alice.room(ROOM)
        attachment = attachment_message("", [good])["attachments"]
        assert await room.send({"mood": "calm", "attachments": attachment}) == 1
        for message, code in (
            ({"attachments": attachment}, "noMood"),
            ({"mood": "calm", "attachments": [1]}, "badArgument"),
        ):
            with pytest.raises(ChatServiceError) as refused:
                await room.send(message)
            assert refused.value.code == code


async def test_deletion(shared: Sharing) -> None:
    async with shared.person("alice") as alice, shared.person("bob") as bob:
        first = await alice.upload(ROOM, PNG, name="1.png")
        for name in ("2.png", "3.png"):
            await alice.upload(ROOM, PNG, name=name)
        other = await bob.upload(ROOM, PNG, name="4.png")
        with pytest.raises(ChatServiceError) as refused:
            await bob.command("uploadDelete", first["id"])
        assert refused.value.code == "notAllowed"
        await alice.command("uploadDelete", first["id"])
        with pytest.raises(ChatServiceError) as refused:
            await alice.command("uploadDelete", first["id"])
        assert refused.value.code == "uploadNotFound"
        assert (await shared.get(first["url"]))[0] == 404
        assert await shared.uploads.erase_user("alice") == 2
        assert shared.files() == [other["id"]]
        assert await shared.uploads.delete(other["id"])
        assert not await shared.uploads.delete(other["id"])
        assert shared.files() == []


async def test_the_files_of_a_deleted_room_go(shared: Sharing) -> None:
    async with shared.person("alice") as alice:
        await alice.commands.room_create("own", False)
        await alice.join("own")
        await alice.upload("own", PNG, name="1.png")
        kept = await alice.upload(ROOM, PNG, name="2.png")
        await alice.commands.room_delete("own")
        await wait_until(lambda: shared.files() == [kept["id"]], "the file is deleted")


async def test_files_expire(tmp_path: Path) -> None:
    async with sharing(tmp_path / "files", ttl=0.3, sweep_interval=0.05) as made:
        async with made.person() as alice:
            found = await alice.upload(ROOM, PNG, name="cup.png")
        await wait_until(lambda: made.files() == [], "the file is deleted")
        assert (await made.get(found["url"]))[0] == 404
        await wait_until(lambda: made.uploads.counters.deleted_files == 1, "it is counted")


async def test_leftovers_of_a_crash_are_deleted(tmp_path: Path) -> None:
    """A process that ends during an upload leaves a reservation and a part; the next sweep after its time-out
    deletes both.
    """
    folder = tmp_path / "files"
    records, storage = SqliteRecords(folder / "index.sqlite"), LocalUploads(folder)
    storage.prepare()
    file = UploadedFile(
        id="a" * 32, user="alice", room=ROOM, name="x", type="image/png", bytes=10, created=0.0
    )
    most = Quotas(user_bytes=99, user_files=9, room_bytes=99, total_bytes=99, total_files=9)
    await records.reserve(file, most, until=1.0)
    await records.close()
    (folder / "parts" / file.id).write_bytes(b"half")
    assert storage.folder == folder
    async with sharing(folder) as made:
        await wait_until(lambda: made.files() == [], "it is deleted")
        await wait_until(lambda: made.uploads.counters.deleted_files == 1, "it is counted")
        assert await made.uploads.records.totals() == (0, 0)


async def test_several_processes_share_a_folder(tmp_path: Path) -> None:
    """A ticket of one instance is good at another one, and its file is found at both."""
    folder = tmp_path / "files"
    async with sharing(folder) as one, sharing(folder) as other, one.person() as alice, other.person("alice"):
        ticket = await one.ticket(alice, "cup.png", len(PNG))
        status, found = await other.post(ticket, PNG)
        assert status == 201
        assert (await one.get(found["url"]))[2] == PNG
        status, problem = await one.post(ticket, PNG)
        assert (status, problem["code"]) == (409, "uploadTicketUsed")


async def test_hooks_decide(tmp_path: Path) -> None:
    asked: list[DownloadRequest] = []

    async def check(file: UploadedFile) -> None:
        if file.width == 13:
            raise ChatServiceError("unlucky")

    def access(request: DownloadRequest) -> bool:
        asked.append(request)
        return request.headers.get("x-key") == "sesame"

    async with sharing(tmp_path / "files", check=check, access=access) as made, made.person() as alice:
        with pytest.raises(ChatServiceError) as refused:
            await alice.upload(ROOM, picture(13, 13), name="13.png")
        assert (refused.value.code, refused.value.arguments) == ("uploadRefused", ("unlucky",))
        assert made.files() == []
        found = await alice.upload(ROOM, PNG, name="cup.png")
        assert (await made.get(found["url"]))[0] == 403
        assert (await made.get(found["url"], **{"X-Key": "sesame"}))[2] == PNG
        assert asked[-1].file.user == "alice" and asked[-1].file.room == ROOM


async def test_another_storage(tmp_path: Path) -> None:
    """A program keeps files elsewhere, and redirects downloads."""

    class Elsewhere:
        def __init__(self) -> None:
            self.kept: dict[str, bytes] = {}

        async def write(self, file: UploadedFile, chunks: AsyncIterator[bytes]) -> None:
            self.kept[file.id] = b"".join([chunk async for chunk in chunks])

        async def read(self, file: UploadedFile, start: int, stop: int) -> AsyncIterator[bytes]:
            yield self.kept[file.id][start:stop]

        async def delete(self, file_id: str) -> None:
            self.kept.pop(file_id, None)

        async def url_of(self, file: UploadedFile) -> str | None:
            return "https://bucket.example.org/" + file.id if file.name == "far.png" else None

    storage = Elsewhere()
    async with sharing(tmp_path / "files", storage=storage) as made, made.person() as alice:
        near = await alice.upload(ROOM, PNG, name="near.png")
        far = await alice.upload(ROOM, PNG, name="far.png")
        assert (await made.get(near["url"], Range="bytes=1-3"))[2] == PNG[1:4]
        async with made.http.get(made.base + far["url"], allow_redirects=False) as answer:
            assert answer.status == 302
            assert answer.headers["Location"] == "https://bucket.example.org/" + far["id"]
        assert made.files() == [] and set(storage.kept) == {near["id"], far["id"]}
        await made.uploads.erase_room(ROOM)
        assert storage.kept == {}


async def test_metrics(shared: Sharing) -> None:
    async with shared.person() as alice:
        found = await alice.upload(ROOM, PNG, name="cup.png")
    await shared.post("nonsense", b"")
    await shared.get(found["url"])
    await shared.uploads.sweep()
    values = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in shared.service.operations.registry.collect()
        for sample in family.samples
    }
    assert values["chat_uploads_total", ("ok",)] == 1
    assert values["chat_uploads_total", ("uploadBadTicket",)] == 1
    assert values["chat_upload_bytes_total", ()] == values["chat_download_bytes_total", ()] == len(PNG)
    assert values["chat_upload_stored_bytes", ()] == len(PNG)
    assert values["chat_uploads_running", ()] == values["chat_downloads_running", ()] == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "uploads folder: a folder is required"),
        ({"folder": 1}, "uploads folder: expected a path"),
        ({"folder": "x", "path": "uploads"}, "uploads path"),
        ({"folder": "x", "path": "/a/"}, "uploads path"),
        ({"folder": "x", "types": []}, "uploads types"),
        ({"folder": "x", "types": ["png"]}, "uploads types"),
        ({"folder": "x", "max_file_bytes": 0}, "uploads max_file_bytes"),
        ({"folder": "x", "max_file_bytes": 1.5}, "uploads max_file_bytes"),
        ({"folder": "x", "ttl": -1}, "uploads ttl"),
        ({"folder": "x", "idle_timeout": 0}, "uploads idle_timeout"),
        ({"folder": "x", "public_url": "example.org"}, "uploads public_url"),
        (
            {"folder": "x", "secret": "too short"},
            "uploads secret: expected a text of 32 bytes or more, got another value",
        ),
        ({"folder": "x", "fold": "x"}, "did you mean folder?"),
    ],
)
def test_bad_options(
    options: dict[str, Any], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as refused:
        Uploads(ChatService(), options)
    assert text in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_zero_is_a_value_of_some_options() -> None:
    options = UploadOptions(folder="x", ttl=0, cache_seconds=0, min_free_bytes=0)
    assert (options.ttl, options.cache_seconds, options.min_free_bytes) == (0, 0, 0)


def test_without_a_folder_there_must_be_a_secret(tmp_path: Path) -> None:
    storage, records = LocalUploads(tmp_path / "a"), SqliteRecords(tmp_path / "index")
    with pytest.raises(ConfigurationError, match="uploads secret: without a folder, a secret is required"):
        Uploads(ChatService(), storage=storage, records=records)
    made = Uploads(ChatService(), {"secret": "x" * 32}, storage=storage, records=records)
    assert "x" * 32 not in repr(made.options)


async def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    service = ChatService(port=0)
    Uploads(service, {"folder": str(tmp_path / "file")})
    with pytest.raises(ConfigurationError, match=r"uploads folder: .*: File exists"):
        await service.start()


async def test_the_hook_of_the_start_still_runs(tmp_path: Path) -> None:
    """Nothing is created before the start, so that a configuration can be checked."""
    started: list[ChatService] = []
    service = ChatService(port=0, hooks={"on_start": started.append})
    Uploads(service, {"folder": str(tmp_path / "files")})
    assert list(tmp_path.iterdir()) == []
    async with service:
        assert started == [service]
        assert (tmp_path / "files" / "index.sqlite").exists()


async def test_nothing_is_there_without_uploads() -> None:
    async with (
        ChatService(port=0, hooks={"on_connect": name_by_query}) as service,
        ChatClient(f"http://127.0.0.1:{service.port}", query={"userName": "a"}) as client,
    ):
        with pytest.raises(ChatServiceError) as refused:
            await client.command("uploadLimits")
        assert refused.value.code == "noCommand"
