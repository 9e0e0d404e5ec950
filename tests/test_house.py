"""The house rules that a program can check: sizes, side effects in their place, nothing of this machine in the tree."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

from debcore.command import run

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
WALL = 400  # lines

#: Modules that may be longer, each with its reason.
LONG: dict[str, str] = {
    "src/deb_orchestrator/store/migrations/versions/r0001_first.py": "a snapshot of all tables, drafted by Alembic",
}

#: Modules beside debcore.command that may start processes by themselves, each with its reason.
PROCESS_STARTERS: dict[str, str] = {}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_is_no_longer_than_the_wall(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= WALL or name_of(path) in LONG, f"{lines} lines: split it, or say why in LONG"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_only_one_module_starts_programs(path: Path) -> None:
    if name_of(path) == "src/debcore/command.py" or name_of(path) in PROCESS_STARTERS:
        return
    assert "subprocess" not in imports_of(path)
    assert "multiprocessing" not in imports_of(path)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "a module starts with a docstring"


def test_a_light_tool_loads_no_heavy_library() -> None:
    heavy = ("debcore.hub", "httpx", "sqlalchemy", "fastapi")
    code = f"import sys, deb_mock, deb_mock.cli; print([m for m in {heavy!r} if m in sys.modules])"
    assert run([sys.executable, "-c", code]).text.strip() == "[]"


def test_no_mirror_of_this_host_is_written_anywhere() -> None:
    apt = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    hosts = {h for p in apt if p.is_file() for h in re.findall(r"https?://([^/\s:]+)", p.read_text())}
    tracked = run(["git", "-C", ROOT, "ls-files", "-z"]).text.split("\0")
    texts = {name: (ROOT / name).read_bytes() for name in tracked if name and (ROOT / name).is_file()}
    found = [(name, host) for name, text in texts.items() for host in hosts if host.encode() in text]
    assert not found


def test_the_revisions_of_the_schema_are_one_line() -> None:
    """Two changes that were made at the same time may both have taken the next number: renumber the later one."""
    files = sorted((ROOT / "src/deb_orchestrator/store/migrations/versions").glob("r*.py"))
    found = []
    for path in files:
        text = path.read_text()
        down = re.search(r'^down_revision = (?:None|"(\d+)")$', text, re.MULTILINE)
        own = re.search(r'^revision = "(\d+)"$', text, re.MULTILINE)
        assert own is not None, name_of(path)
        assert down is not None, name_of(path)
        found.append((path.name[1:5], own[1], down[1] or "0000"))
    assert found == [(f"{n:04}", f"{n:04}", f"{n - 1:04}") for n in range(1, len(files) + 1)]
