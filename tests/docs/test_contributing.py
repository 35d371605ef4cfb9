"""The documents for contributors only name things that exist: commands, folders, modules, hooks."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from tools.gendocs import modules

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def test_every_make_target_exists() -> None:
    for name in ("CONTRIBUTING.md", "README.md", "SECURITY.md", ".github/pull_request_template.md"):
        for target in re.findall(r"`make ([a-z-]+)`", (ROOT / name).read_text("utf-8")):
            assert re.search(rf"^{target}: ## ", MAKEFILE, re.MULTILINE), f"{name}: make {target}"


def test_every_path_exists() -> None:
    pattern = r"`((?:chat_service|tests|tools|docs|clients|deploy|example|benchmarks)(?:/[\w./-]+)?)`"
    found = re.findall(pattern, TEXT)
    assert len(found) > 20
    for path in found:
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (ROOT / path).exists(), path


def test_every_package_has_its_line() -> None:
    """Those of chat_service are all in the table of folders."""
    packages = {path.parent.name for path in (ROOT / "chat_service").glob("*/__init__.py")}
    named = set(
        re.findall(r"`chat_service/(\w+)`", TEXT.partition("## Where things are")[2].partition("## ")[0])
    )
    assert packages <= named, packages - named


def test_the_map_has_every_module_with_a_line_of_its_own() -> None:
    page = modules.modules_page()
    for path in (ROOT / "chat_service").rglob("*.py"):
        if path.name != "__init__.py":
            section = page.partition(f"## {path.parent.relative_to(ROOT).as_posix()}\n")[2].partition(
                "\n## "
            )[0]
            assert f"| `{path.stem}` | " in section, path
            assert modules.first_line(path) in section.replace("\\|", "|")


def test_the_workflow_runs_what_ci_runs() -> None:
    made = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())
    steps = made["jobs"]["test"]["steps"]
    assert ".ci/run" in [step.get("run") for step in steps]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
    pythons = made["jobs"]["test"]["strategy"]["matrix"]["python"]
    classifiers = (ROOT / "pyproject.toml").read_text()
    assert pythons == re.findall(r"Python :: (3\.\d+)\"", classifiers)


def test_the_hooks_run_the_tools_that_set_up_installs() -> None:
    made = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in made["repos"] for hook in repo["hooks"]]
    assert {hook["id"] for hook in hooks} == {"ruff-format", "ruff-check", "mypy", "import-linter", "tsc"}
    for hook in hooks:
        words = shlex.split(hook["entry"])
        if words[0] != "sh":
            assert (ROOT / words[0]).exists(), hook
    checked = ROOT / "chat_service" / "version.py"
    for hook in hooks[:2]:
        done = subprocess.run(
            [*shlex.split(hook["entry"]), checked], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["bug.yaml", "feature.yaml", "config.yml"])
def test_the_templates_are_forms(name: str) -> None:
    made = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE" / name).read_text())
    if name != "config.yml":
        assert (
            made["name"] and made["description"] and all(item["type"] == "textarea" for item in made["body"])
        )
