"""Describes the machine and the versions of a measurement, without identifying the machine."""

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

from benchmarks.builds import PEERS

PYTHON_PACKAGES = ("python-socketio", "python-engineio", "aiohttp", "uvloop", "orjson", "redis", "hiredis")
NODE_PACKAGES = ("chat-service", "chat-service/node_modules/socket.io", "socket.io", "ioredis")


def describe() -> dict[str, str]:
    """Names and values in display order."""
    return {
        "CPU": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
        "Node.js": _output("node", "--version").removeprefix("v"),
        "Redis": _redis_version(),
        **{name: importlib.metadata.version(name) for name in PYTHON_PACKAGES},
        **{_node_name(name): _node_version(name) for name in NODE_PACKAGES},
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def _output(program: str, *arguments: str) -> str:
    path = shutil.which(program)
    if path is None:
        return "missing"
    return subprocess.run(  # noqa: S603
        [path, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def _redis_version() -> str:
    for word in _output("redis-server", "--version").split():
        if word.startswith("v="):
            return word[2:]
    return "missing"


def _node_name(package: str) -> str:
    below, _, name = package.rpartition("/node_modules/")
    return f"npm {name} (of {below})" if below else f"npm {name}"


def _node_version(package: str) -> str:
    manifest = PEERS / "node_modules" / package / "package.json"
    return str(json.loads(manifest.read_text())["version"]) if manifest.exists() else "missing"
