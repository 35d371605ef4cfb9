"""The npm package of clients/js: what it contains, and that it works where it is installed."""

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat_service.version import __version__
from tests.js_client.server import server_under_test

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "clients/js"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("packaging")]

#: One way to load the client, by the name of the file that has it.
LOADING = {
    "esm.mjs": 'import { ChatClient } from "@chat-service/client";',
    "cjs.cjs": 'const { ChatClient } = require("@chat-service/client");',
}
TALK = """
const client = new ChatClient(process.env.CHAT_URL, { query: { userName: "packed" } });
client.connect().then(async (login) => {
  await client.commands.roomCreate(process.argv[2], false);
  await client.room(process.argv[2]).join();
  console.log(login.userName, await client.room(process.argv[2]).send({ textMessage: "hello" }));
  client.close();
});
"""
TYPED = """
import { ChatClient, type Stored } from "@chat-service/client";
import { useMessages } from "@chat-service/client/react";
import { useRoom } from "@chat-service/client/vue";
interface Text { textMessage: string }
const client = new ChatClient<Text>("");
client.room("lobby").on("message", (message: Stored<Text>) => {
  const text: string = message.textMessage;
  void text;
});
export function read(): (string | undefined)[] {
  const { messages } = useMessages<Text>("lobby");
  return messages.map((message) => message.content.textMessage);
}
export const name: string = useRoom<Text>("lobby").room.value.name;
// @ts-expect-error: there is no such export
import { useNothing } from "@chat-service/client/react";
void useNothing;
"""


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed package, as `npm publish` would send it."""
    target = tmp_path_factory.mktemp("packed")
    # The set-up has built it; another build would take the files from other tests while it runs.
    run("npm", "pack", "--ignore-scripts", f"--pack-destination={target}", cwd=PACKAGE)
    (made,) = target.glob("*.tgz")
    return made


@pytest.fixture(scope="module")
def project(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the package, and what it needs, in its node_modules."""
    made = tmp_path_factory.mktemp("project")
    modules = made / "node_modules"
    (modules / "@chat-service/client").mkdir(parents=True)
    run("tar", "xzf", packed, "--strip-components=1", "-C", modules / "@chat-service/client", cwd=made)
    for path in (ROOT / "node_modules").iterdir():
        if path.name != "@chat-service" and not path.name.startswith("."):
            (modules / path.name).symlink_to(path)
    return made


def test_its_contents(packed: Path) -> None:
    with tarfile.open(packed) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        texts = {
            name.removeprefix("package/"): archive.extractfile(name).read()  # type: ignore[union-attr]
            for name in archive.getnames()
        }
    allowed = ("dist/", "src/")
    others = {name for name in names if not name.startswith(allowed)}
    assert others == {"package.json", "README.md", "LICENSE"}
    assert texts["LICENSE"] == (ROOT / "LICENSE").read_bytes()
    sources = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "src").rglob("*.ts")}
    assert {name for name in names if name.startswith("src/")} == sources
    built = {"package.json"}
    for source in sources:
        stem = source.removeprefix("src/").removesuffix(".ts")
        built |= {f"{stem}.js", f"{stem}.js.map", f"{stem}.d.ts"}
    for folder in ("dist/", "dist/cjs/"):
        files = {name.removeprefix(folder) for name in names if name.startswith(folder)}
        assert built - files <= {"package.json"} and files - built <= {f"cjs/{name}" for name in built}
    # Source maps lead to the sources that are in the package.
    for name, text in texts.items():
        if name.endswith(".js.map"):
            for source in json.loads(text)["sources"]:
                assert os.path.normpath(os.path.join(os.path.dirname(name), source)) in names


def test_its_description(packed: Path) -> None:
    told = json.loads((PACKAGE / "package.json").read_text())
    assert "private" not in told and told["version"] == __version__ and told["license"] == "MIT"
    with tarfile.open(packed) as archive:
        names = archive.getnames()

    def files(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for part in value.values():
                yield from files(part)

    wanted = [*files(told["exports"]), told["main"], told["module"], told["types"]]
    assert len(wanted) == 16
    assert all(name.replace("./", "package/", 1) in names for name in wanted)
    assert told["peerDependencies"].keys() == told["peerDependenciesMeta"].keys() == {"react", "vue"}
    assert told["dependencies"].keys() == {"socket.io-client", "socket.io-parser"}


@pytest.mark.e2e
@pytest.mark.parametrize("name", LOADING)
async def test_programs_that_load_it_talk_to_a_server(project: Path, name: str) -> None:
    import asyncio

    (project / name).write_text(LOADING[name] + TALK)
    async with server_under_test() as env:
        room = name.partition(".")[0]
        assert await asyncio.to_thread(run, "node", name, room, cwd=project, **env) == "packed 1\n"


@pytest.mark.parametrize("part", ["react", "vue"])
def test_the_parts_for_frameworks_load_in_both_ways(project: Path, part: str) -> None:
    print_names = "console.log(Object.keys(part).sort().join())"
    esm = f'import * as part from "@chat-service/client/{part}"; {print_names}'
    cjs = f'const part = require("@chat-service/client/{part}"); {print_names}'
    names = run("node", "--input-type=module", "-e", esm, cwd=project)
    assert names == run("node", "--input-type=commonjs", "-e", cjs, cwd=project)
    assert "useChat" in names


@pytest.mark.parametrize("resolution", ["nodenext", "bundler"])
def test_its_types(project: Path, resolution: str) -> None:
    (project / "typed.mts").write_text(TYPED)
    module = "nodenext" if resolution == "nodenext" else "esnext"
    options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom", "--types", ""]
    compiler = ROOT / "node_modules/.bin/tsc"
    modules = ["--module", module, "--moduleResolution", resolution]
    run(compiler, *options, *modules, "--skipLibCheck", "typed.mts", cwd=project)


def test_a_bundler_leaves_out_what_is_not_used(project: Path) -> None:
    """A page without a framework does not get the parts for frameworks."""
    (project / "page.js").write_text(LOADING["esm.mjs"] + "new ChatClient();")
    esbuild = ROOT / "node_modules/.bin/esbuild"
    bundled = run(esbuild, "page.js", "--bundle", "--format=esm", "--minify", cwd=project)
    assert "loginConfirmed" in bundled and "ChatProvider" not in bundled and "provideChat" not in bundled
