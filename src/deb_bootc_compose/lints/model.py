"""What a lint is, and the tree as lints see it. Standard library only: lints run inside the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from deb_bootc_compose.tree import files

Level = Literal["fatal", "warning"]


class Root:
    """A tree in the OCI form (/etc in place), walked once for all lints."""

    def __init__(self, path: Path, *, ostree_features: tuple[str, ...] | None = None, filesystem: str = "ext4") -> None:
        self.path = path
        self.filesystem = filesystem  #: of the root of the tree's disk images
        self.ostree_features = ostree_features  #: of the tree's own ostree; None: not known

    @cached_property
    def entries(self) -> tuple[files.Entry, ...]:
        return tuple(files.walk(self.path))

    def below(self, name: str) -> Iterator[files.Entry]:
        """Entries below the directory *name*."""
        return (e for e in self.entries if e.name.startswith(f"{name}/"))

    def read(self, name: str) -> str | None:
        """Content of a file, links resolved inside the tree; None if there is none."""
        return files.read_text(self.path, name)


@dataclass(frozen=True)
class Lint:
    """One check. `check` yields a message for each thing it finds; an empty iterator is a pass."""

    name: str
    level: Level
    origin: Literal["bootc", "debian"]  #: bootc: the rule of `bootc container lint` of that name
    text: str  #: what must hold, one sentence
    check: Callable[[Root], Iterator[str]]


@dataclass(frozen=True)
class Finding:
    """One thing that one lint found."""

    lint: str
    level: Level
    message: str
