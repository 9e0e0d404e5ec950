"""Python byte code that is valid where every file is of 1970: ostree sets all times to zero (S12).

Debian's .pyc files carry their source's time; with another one Python finds each of them stale and compiles at every
start. So sources get time 0 and what was compiled is compiled again, by the tree's own Python.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from deb_bootc_compose.tree import files
from deb_bootc_compose.tree.spec import FinishOptions, State
from debcore.path import inside

CACHED = re.compile(r"(.*)/__pycache__/([^/]+)\.cpython-(\d)(\d+)(\.opt-\d)?\.pyc")

#: One process, a fixed order and a fixed hash seed: the marshalled bytes depend on all three.
COMPILE = (
    "import sys, py_compile\n"
    "for line in sys.stdin.read().splitlines():\n"
    "    py_compile.compile(line, doraise=False, quiet=2,\n"
    "                       invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)\n"
)


def run(tree: Path, options: FinishOptions, state: State) -> None:
    """Find what is compiled, drop what has no source, set the sources' time."""
    del options
    below = Path(state.below) if state.below else None
    wanted = []
    for entry in files.walk(tree, "usr"):
        match = CACHED.fullmatch(entry.name)
        if not match or not entry.is_file:
            continue
        source = f"{match[1]}/{match[2]}.py"
        if below is not None and all(files.is_same(tree, below, name) for name in (entry.name, source)):
            continue
        files.remove(entry.path)
        real = inside(tree, source)  # sitecustomize.py is a link into /etc
        if real.is_file() and not match[5]:
            os.utime(real, (0, 0))
            wanted.append(f"/{source}")
    state.bytecode = tuple(wanted) if (tree / "usr/bin/python3").exists() else ()


def commands(options: FinishOptions, state: State) -> list[list[str]]:
    del options
    if not state.bytecode:
        return []
    return [["/usr/bin/python3", "-P", "-s", "-S", "-c", COMPILE]]


def stdin(state: State) -> bytes:
    """The sources, one a line: too many for an argument list."""
    return "\n".join(state.bytecode).encode()
