"""The house rules that a program can check: sizes, side effects in their place, nothing of this machine in the tree."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path

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


@cache
def texts() -> dict[str, str]:
    """By name, all modules of ours."""
    return {str(path.relative_to(ROOT)): path.read_text() for path in SOURCES}


@cache
def modules() -> dict[str, ast.Module]:
    return {name: ast.parse(text) for name, text in texts().items()}


def imports_of(module: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def test_a_module_is_no_longer_than_the_wall() -> None:
    lines = {name: len(text.splitlines()) for name, text in texts().items()}
    assert len(lines) > 500
    long = {name: count for name, count in lines.items() if count > WALL and name not in LONG}
    assert not long, "split them, or say why in LONG"


def test_only_one_module_starts_programs() -> None:
    starters = {name for name, module in modules().items() if imports_of(module) & {"subprocess", "multiprocessing"}}
    assert starters == {"src/debcore/command.py", *PROCESS_STARTERS}


def test_a_module_says_what_it_is() -> None:
    silent = [name for name, module in modules().items() if texts()[name].strip() and not ast.get_docstring(module)]
    assert not silent, "a module starts with a docstring"


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
        assert own is not None, path.name
        assert down is not None, path.name
        found.append((path.name[1:5], own[1], down[1] or "0000"))
    assert found == [(f"{n:04}", f"{n:04}", f"{n - 1:04}") for n in range(1, len(files) + 1)]
