"""What a run over real packages leaves in its directory: a record for each package and builder, to go on from."""

from __future__ import annotations

import fcntl
import hashlib
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from debcore.path import write_file

LIST = Path(__file__).with_name("packages.toml")
#: In the order they run and stand in the table.
BUILDERS = ("deb-mock", "sbuild")


@dataclass(frozen=True)
class Catalogue:
    """packages.toml: name → what the package shows, and name → why its .debs may differ."""

    packages: Mapping[str, str]
    explained: Mapping[str, str]


def load_catalogue(path: Path = LIST) -> Catalogue:
    content = tomllib.loads(path.read_text())
    return Catalogue(content["packages"], content.get("explained", {}))


@dataclass(frozen=True)
class Record:
    """How one builder did with one package. `seconds` is the whole process."""

    version: str
    status: str  #: built, or how it ended
    seconds: float = 0.0
    said: str = ""  #: the first error of a build that failed
    debs: Mapping[str, str] = field(default_factory=dict)  #: name → sha256
    commit: str = ""  #: of the tool that built

    @property
    def built(self) -> bool:
        return self.status == "built"


@dataclass(frozen=True)
class Place:
    """The directory of one package in a run."""

    path: Path

    @property
    def dsc(self) -> Path | None:
        return next(iter(sorted(self.path.glob("source/*.dsc"))), None)

    def results(self, builder: str) -> Path:
        return self.path / builder

    def find(self, builder: str) -> Record | None:
        try:
            return Record(**json.loads((self.path / f"{builder}.json").read_text()))
        except FileNotFoundError:
            return None

    def save(self, builder: str, record: Record) -> None:
        write_file(self.path / f"{builder}.json", json.dumps(asdict(record), indent=1))

    @contextmanager
    def claimed(self, builder: str) -> Iterator[bool]:
        """Whether nobody else builds this now: several runs may share a directory, and its work."""
        with (self.path / f"{builder}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def difference(self, make: Callable[[], str]) -> str:
        """The text in difference.txt, made where it is missing."""
        path = self.path / "difference.txt"
        if not path.is_file():
            write_file(path, make())
        return path.read_text()


def hash_debs(directory: Path) -> dict[str, str]:
    return {deb.name: hashlib.sha256(deb.read_bytes()).hexdigest() for deb in sorted(directory.glob("*.*deb"))}
