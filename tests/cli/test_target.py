"""The services that a command addresses: options, the file, and the environment."""

from pathlib import Path

import pytest

from chat_service.cli.failures import CliError
from chat_service.cli.target import Target
from tests.cli.conftest import invoke
from tests.support.redis_servers import RedisServer

FILE = """
[service]
heartbeat_timeout = 60
[store]
url = "redis://file:1"
prefix = "file"
cluster = true
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "chat.toml"
    path.write_text(FILE)
    return str(path)


def test_a_url_is_enough() -> None:
    target = Target.from_options(url="redis://here:1")
    assert (target.store_type, target.store_options) == ("redis", {"url": "redis://here:1"})
    assert target.heartbeat_timeout == 30


def test_the_file_provides_the_rest(config: str) -> None:
    target = Target.from_options(config=config)
    assert target.store_options == {"url": "redis://file:1", "prefix": "file", "cluster": True}
    assert target.heartbeat_timeout == 60
    changed = Target.from_options(config=config, url="redis://here:1", cluster=False, prefix="mine")
    assert changed.store_options == {"url": "redis://here:1", "prefix": "mine", "cluster": False}


def test_sentinels() -> None:
    target = Target.from_options(sentinels=["one:1", "::1:2"], sentinel_service="chat")
    assert target.store_options == {"sentinels": [("one", 1), ("::1", 2)], "sentinel_service": "chat"}
    assert target.make_store().options.sentinel_service == "chat"
    with pytest.raises(CliError, match="expected HOST:PORT, got one"):
        Target.from_options(sentinels=["one"])


def test_a_url_overrides_a_memory_store_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "chat.toml"
    path.write_text("[store]\nlock_ttl = 5\n")
    assert Target.from_options(config=str(path)).store_type == "memory"
    target = Target.from_options(config=str(path), url="redis://here:1")
    assert (target.store_type, target.store_options) == ("redis", {"url": "redis://here:1"})


@pytest.mark.redis
def test_the_environment(redis_servers: RedisServer, config: str) -> None:
    environment = {"CHAT_STORE_URL": redis_servers.url}
    assert invoke("rooms", "--json", "--prefix", "none", env=environment).stdout == (
        '{"rooms":[],"cursor":null}\n'
    )
    both = {**environment, "CHAT_CONFIG": config}
    result = invoke("rooms", env=both)
    # The file is read, too: it says that there is a cluster.
    assert result.exit_code == 3 and "is not a cluster node" in result.stderr
    assert invoke("rooms", "--no-cluster", env=both).exit_code == 0
