"""One store for all, with the roots that these tests stand on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from debroot.bootstrap import core_tools
from debroot.store import Layer, Store

#: Seconds for which the tests trust the indexes they have.
MAX_AGE = 6 * 3600.0


@pytest.fixture(scope="session")
def store(store_dir: Path) -> Store:
    return Store.open(store_dir)


@pytest.fixture(scope="session")
def tools(store: Store) -> Layer:
    """A small root of trixie: apt, perl-base, util-linux, make."""
    return core_tools(store)


@pytest.fixture
def find_processes() -> Callable[[str], list[int]]:
    """Processes of the host whose command line holds a word."""

    def find(word: str) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                except OSError:
                    continue
                if word.encode() in line:
                    found.append(int(entry.name))
        return found

    return find
