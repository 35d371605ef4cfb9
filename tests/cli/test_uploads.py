"""Uploads by the configuration file, and its errors."""

from pathlib import Path

import pytest

from chat_service.cli.assembly import build_service, find_faults
from chat_service.cli.settings import Settings
from chat_service.client import ChatClient
from chat_service.demo import Demo
from tests.cli.conftest import invoke

LOGIN = '[login]\ntype = "name"\nsource = "query"\n'


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "chat.toml"
    path.write_text(LOGIN + text)
    return str(path)


@pytest.mark.e2e
async def test_a_service_from_a_file_takes_files(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    text = f'[uploads]\nfolder = "{folder}"\nmax_file_bytes = 1000\n[[rooms]]\nname = "tea"\n'
    settings = Settings.read(written(tmp_path, text), {})
    service = build_service(settings.overridden(port=0))
    assert not folder.exists()
    async with service, ChatClient(f"http://127.0.0.1:{service.port}", query={"userName": "a"}) as client:
        assert (await client.command("uploadLimits"))["maxBytes"] == 1000
        await client.join("tea")
        assert (await client.upload("tea", b"hello", name="a.txt"))["bytes"] == 5
    assert (folder / "index.sqlite").exists()


def test_the_section_switches_them_on(tmp_path: Path) -> None:
    assert Settings.read(written(tmp_path, ""), {}).upload_options is None
    variables = {"CHAT_UPLOADS__FOLDER": "files", "CHAT_UPLOADS_SECRET": "x" * 32}
    settings = Settings.read(written(tmp_path, ""), variables)
    assert settings.upload_options == {"folder": "files", "secret": "x" * 32}
    assert "x" * 32 not in repr(settings)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[uploads]\n", "uploads folder: a folder is required"),
        ('[uploads]\nfolder = "x"\nttl = -1\n', "uploads ttl: expected a number, more than 0, got -1"),
        ('[uploads]\nfold = "x"\n', "did you mean folder?"),
    ],
)
def test_errors(tmp_path: Path, text: str, error: str) -> None:
    path = written(tmp_path, text)
    settings, known = Settings.look(path, {})
    assert any(error in fault.text for fault in find_faults(settings, known))
    result = invoke("check", "--config", path)
    assert result.exit_code != 0 and error in result.stdout


@pytest.mark.e2e
async def test_the_web_chat_takes_files(tmp_path: Path) -> None:
    """Into a folder that lasts, or else into one that is deleted with the demo."""
    for uploads, lasts in ((None, False), ({"folder": str(tmp_path / "kept")}, True)):
        async with Demo("127.0.0.1", 0, uploads=uploads) as demo:
            assert demo.uploads is not None and demo.uploads.options.folder is not None
            folder = Path(demo.uploads.options.folder)
            url = f"http://127.0.0.1:{demo.port}"
            async with ChatClient(url, auth={"userName": "alice"}) as client:
                await client.join("default")
                await client.upload("default", b"hello", name="a.txt")
            assert (folder / "index.sqlite").exists()
        assert folder.exists() == lasts
