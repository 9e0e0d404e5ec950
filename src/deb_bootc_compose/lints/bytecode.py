"""Python byte code is valid where all times are zero; else each start of a program compiles again (S12)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deb_bootc_compose.lints.model import Lint, Root

CACHED = re.compile(r"(.*)/__pycache__/([^/]+)\.cpython-\d+(\.opt-\d)?\.pyc")


def check(root: Root) -> Iterator[str]:
    for entry in root.below("usr"):
        match = CACHED.fullmatch(entry.name)
        if match is None or not entry.is_file:
            continue
        with entry.path.open("rb") as file:
            header = file.read(16)
        flags, mtime = int.from_bytes(header[4:8], "little"), int.from_bytes(header[8:12], "little")
        if flags == 0 and mtime != 0:
            yield f"/{entry.name} is for a source of another time"


LINT = Lint("bytecode", "warning", "debian", "Python byte code is valid with all times zero", check)
