"""The image, the compose file, the unit and their configuration fit together, and with the code."""

import asyncio
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from chat_service.cli import app
from chat_service.cli.assembly import build_service
from chat_service.cli.option_keys import ROOMS_VARIABLE, all_keys
from chat_service.cli.sections import SECRETS
from chat_service.cli.settings import Settings
from chat_service.errors import ConfigurationError
from chat_service.operations.pages import HEALTH_PATH
from chat_service.options import Options
from tests.deploy.site import DEPLOY, ROOT, SECRET, instance
from tests.support.redis_servers import RedisServer
from tools import webchat

INSTRUCTIONS = {
    *("FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER"),
    *("EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"),
}


@dataclass
class Instruction:
    name: str
    text: str

    def words(self) -> list[str]:
        """The arguments: a JSON list or plain words."""
        return json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)


def dockerfile() -> list[list[Instruction]]:
    """The instructions of each stage."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    stages: list[list[Instruction]] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(" ")
        assert name in INSTRUCTIONS, line
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, rest.strip()))
    return stages


def last(name: str) -> Instruction:
    return [each for each in dockerfile()[-1] if each.name == name][-1]


def is_ignored(path: str) -> bool:
    """Whether the build context lacks a file; the last pattern that fits decides."""
    ignored = False
    for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        if not line or line.startswith("#"):
            continue
        parents = [path, *map(str, Path(path).parents)]
        if any(fnmatch(each, pattern) for each in parents) or fnmatch(Path(path).name, pattern):
            ignored = not line.startswith("!")
    return ignored


def options() -> Options:
    return Options.from_keywords(tomllib.loads((DEPLOY / "chat.toml").read_text())["service"])


def seconds_of_an_end() -> float:
    made = options()
    return made.drain_delay + made.drain_seconds + made.close_timeout


def test_files_copied_into_the_image_exist() -> None:
    for stage in dockerfile():
        for each in stage:
            if each.name == "COPY" and "--from=" not in each.text:
                *sources, _ = each.words()
                for source in sources:
                    assert (ROOT / source).exists(), source
                    assert not is_ignored(source), source
    ignored = [
        "node_modules",
        ".git",
        "chat_service/__pycache__",
        "clients/js/dist",
        "chat_service/demo/static",
        "chat_service/http_api/console",
        "chat_service/transports/socketio/browser",
    ]
    assert all(map(is_ignored, ignored))


def test_the_image_has_stages_pins_and_no_root() -> None:
    web, build, final = dockerfile()
    assert build[0].text.endswith(" AS build") and web[0].text.endswith(" AS web")
    images = [stage[0].text.split()[0] for stage in (build, final)]
    # The environment is copied, so it has to be the same Python.
    assert images[0] == images[1] and not images[0].endswith((":latest", "python"))
    user = last("USER").text
    assert user == "10001:10001"
    assert any("useradd --uid 10001" in each.text for each in final if each.name == "RUN")
    assert any("PIP_CONSTRAINT=/src/constraints.txt" in each.text for each in build if each.name == "ENV")
    assert last("STOPSIGNAL").text == "SIGTERM"
    copied = [each.words()[-1] for each in final if each.name == "COPY"]
    assert last("CMD").words()[-1] in copied


def test_the_image_builds_the_web_chat_from_the_files_it_copies(tmp_path: Path) -> None:
    """The commands of the first stage on what is copied there; npm's packages are those of this checkout."""
    web, build, _ = dockerfile()
    folder = tmp_path / "src"
    for each in web:
        if each.name == "COPY":
            *sources, target = each.words()
            for source in sources:
                place = folder / target / (source if target == "./" else "")
                if (ROOT / source).is_dir():
                    ignore = shutil.ignore_patterns("node_modules", "dist")
                    shutil.copytree(ROOT / source, place, ignore=ignore, dirs_exist_ok=True)
                else:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, place)
    [command] = [each.text for each in web if each.name == "RUN"]
    install, _, made = command.partition(" && ")
    assert install.startswith("npm ci --ignore-scripts")
    shutil.copytree(ROOT / "node_modules", folder / "node_modules", symlinks=True)
    subprocess.run(made, shell=True, cwd=folder, check=True, capture_output=True)
    copies = [each for each in build if each.name == "COPY" and "--from=web" in each.text]
    targets = []
    order = [each.text for each in build]
    for copy in copies:
        _, source, target = copy.words()
        targets.append(target)
        made_at = source.removeprefix("/src/")
        assert (folder / made_at / webchat.TARGETS[Path(made_at)]).is_file()
        assert order.index(copy.text) > order.index("chat_service ./chat_service")
        assert order.index(copy.text) < order.index(next(text for text in order if "pip install" in text))
    assert targets == [f"./{target.as_posix()}" for target in webchat.TARGETS]


def test_the_command_of_the_image_is_one_of_ours() -> None:
    command = last("ENTRYPOINT").words() + last("CMD").words()
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert command[0] in scripts
    assert command[1] in app.list_commands(None)  # type: ignore[arg-type]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    [install] = [each.text for each in dockerfile()[1] if "pip install" in each.text]
    assert set(install.partition(".[")[2].partition("]")[0].split(",")) <= set(extras)


def test_ports_are_the_same_everywhere() -> None:
    made = options()
    assert last("EXPOSE").text.split() == [str(made.port), str(made.operations_port)]
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name in ("chat-1", "chat-2"):
        assert services[name]["expose"] == [str(made.port), str(made.operations_port)]
        # Instances are reachable only through nginx.
        assert "ports" not in services[name]
    nginx = (DEPLOY / "nginx" / "nginx.conf").read_text()
    assert nginx.count(f"server chat-1:{made.port} ") == nginx.count(f"server chat-2:{made.port} ") == 2
    assert services["nginx"]["ports"] == ["${CHAT_ADDRESS:-127.0.0.1}:8080:8080"] and "listen 8080;" in nginx


async def test_the_health_check_of_the_image(tmp_path: Path) -> None:
    """The very command, but for the port, on an instance that runs, and when none does."""
    text = last("HEALTHCHECK").text
    command = json.loads(text.partition(" CMD ")[2])
    assert command[0] == "python" and f":{options().operations_port}{HEALTH_PATH}" in command[-1]

    def check(port: int) -> int:
        code = command[-1].replace(str(options().operations_port), str(port))
        return subprocess.run(
            [sys.executable, *command[1:-1], code], capture_output=True, check=False
        ).returncode

    with RedisServer() as redis:
        async with instance(tmp_path, redis) as made:
            assert await asyncio.to_thread(check, made.operations_port) == 0
            port = made.operations_port
        assert check(port) != 0


def test_the_configuration_is_read_without_its_secrets_in_it() -> None:
    environment = {"CHAT_STORE_URL": "redis://redis:6379/0", "CHAT_LOGIN_SECRET": SECRET}
    made = Settings.read(str(DEPLOY / "chat.toml"), environment)
    assert made.store_type == "redis" and made.login is not None and made.login.type == "jwt"
    assert made.process.log_format == "json"
    # Metrics are not public by accident: the port is none that compose publishes.
    assert options().operations_port != options().port
    # What listens on 127.0.0.1 cannot be reached from outside its container.
    assert options().host == options().operations_host == "0.0.0.0"


def test_the_compose_file() -> None:
    made = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = made["services"]
    for name in ("chat-1", "chat-2"):
        service = services[name]
        assert set(service["environment"]) <= {*SECRETS, *all_keys(), ROOMS_VARIABLE}
        assert float(service["stop_grace_period"].removesuffix("s")) > seconds_of_an_end()
        build = service["build"]
        assert (DEPLOY / build["context"]).resolve() == ROOT and (ROOT / build["dockerfile"]).is_file()
        assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}
    for service in services.values():
        for needed in service.get("depends_on", {}):
            assert needed in services
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in made["volumes"]
        for port in service.get("ports", ()):
            # Nothing is public unless somebody wants it.
            assert port.startswith(("127.0.0.1:", "${CHAT_ADDRESS:-127.0.0.1}:"))
    redis = services["redis"]["command"]
    # As the page on what is promised demands.
    settings = dict(zip(redis[1::2], redis[2::2], strict=True))
    assert settings == {
        "--appendonly": "yes", "--appendfsync": "always", "--maxmemory-policy": "noeviction",
    }  # fmt: skip
    # And as Redis takes it, since it comes as far as to look for its folder.
    program = shutil.which("redis-server")
    assert program is not None
    words = [program, *redis[1:], "--port", "0", "--dir", "/nonexistent"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    assert "/nonexistent" in done.stdout + done.stderr and "appendfsync" not in done.stderr


def compose_environment(given: dict[str, str]) -> dict[str, str]:
    """The variables of an instance, with those of a shell, as compose fills them in."""
    made = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["chat-1"]["environment"]

    def fill(match: re.Match[str]) -> str:
        return given.get(match[1]) or match[2]

    return {name: re.sub(r"\$\{(\w+):-([^}]*)\}", fill, text) for name, text in made.items()}


def test_compose_up_is_enough_to_talk() -> None:
    """Without any variable people enter with a name; with some, by what they choose."""
    path = str(DEPLOY / "chat.toml")
    settings = Settings.read(path, compose_environment({}))
    assert settings.login is not None and settings.login.kinds == ("name",) and settings.login.has_page
    assert [room.name for room in settings.rooms] == ["default", "random"]
    assert settings.store_options["url"] == "redis://redis:6379/0"
    assert build_service(settings).options.enable_userlist_updates
    given = {"CHAT_LOGIN__TYPE": "jwt", "CHAT_LOGIN_SECRET": SECRET}
    with pytest.raises(ConfigurationError, match="CHAT_LOGIN_SESSION_SECRET can set it"):
        build_service(Settings.read(path, compose_environment(given)))
    given["CHAT_LOGIN_SESSION_SECRET"] = SECRET[::-1]
    settings = Settings.read(path, compose_environment(given))
    assert settings.login is not None and settings.login.kinds == ("jwt",)
    build_service(settings)


def unit() -> dict[str, list[str]]:
    """The settings of the unit."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / "chat-service.service").read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_unit_gives_time_to_drain_and_runs_what_there_is(tmp_path: Path) -> None:
    settings = unit()
    assert float(settings["TimeoutStopSec"][0]) > seconds_of_an_end()
    [command] = settings["ExecStart"]
    words = command.split()
    assert words[0].endswith("/chat-service") and words[1:] == last("CMD").words()
    assert settings["KillSignal"] == ["SIGTERM"] and settings["DynamicUser"] == ["yes"]
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        # Where there is systemd, it has to find no fault but that nothing is installed in /opt.
        path = tmp_path / "chat-service.service"
        text = (DEPLOY / "systemd" / "chat-service.service").read_text()
        path.write_text(text.replace(words[0], sys.executable))
        done = subprocess.run([analyze, "verify", path], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["datasource.yaml", "provider.yaml"])
def test_grafana_finds_its_files(name: str) -> None:
    made: Any = yaml.safe_load((DEPLOY / "grafana" / name).read_text())
    assert made["apiVersion"] == 1
    mounted = " ".join(
        yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["grafana"]["volumes"]
    )
    assert f"./grafana/{name}:" in mounted
    if name == "provider.yaml":
        assert f":{made['providers'][0]['options']['path']}/" in mounted
