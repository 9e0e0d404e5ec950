"""One way to fail, and what deb-mock must say about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from debcore.job import Status
from tests.failures.package import Package

GOLDEN = Path(__file__).parents[1] / "golden" / "failures"


@dataclass(frozen=True)
class Case:
    """`message` is part of the first real error. A case with a step that failed has a golden log of that step."""

    name: str
    make: Package | Callable[[Path], Path]  #: a package to be written, or what writes it; the result is given to build
    kind: str
    message: str
    stage: str = "build"
    status: Status = Status.FAILED
    words: tuple[str, ...] = field(default=())  #: more words of the command line
    logged: bool = True  #: the package's own step failed: its log tells why
    check: str = ""  #: it is built, and this check closes the gate: the golden log is the check's

    @property
    def log(self) -> Path:
        return GOLDEN / f"{self.name}.log"

    def write(self, directory: Path) -> Path:
        return self.make.write(directory) if isinstance(self.make, Package) else self.make(directory)
