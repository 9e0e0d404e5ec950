"""The state of a chain is its directory: what was asked, and a directory of results for each source.

    DIR/chain.json               what was asked; `deb-mock resume DIR` needs nothing else
    DIR/sources/NAME/            source packages fetched from the archive, and commits taken out of git
    DIR/NAME_VERSION/member.json the identity of what is built there, written before it begins
    DIR/NAME_VERSION/result.json written last; with the same identity and the hashes that it lists, it is done
    DIR/Packages                 an index of what was built, for apt

Every file appears whole and is on disk before the next step: a kill at any point loses the builds that ran, no more.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from deb_mock.chain.members import Member
from debcore.errors import Failure
from debcore.job import JobDirectory, Result, Status
from debcore.path import FILE_NAME, write_file
from debroot.localrepo import make_stanza
from debroot.locks import take_free

ASKED, MEMBER, SOURCES = "chain.json", "member.json", "sources"
#: A larger chain.json or member.json is refused, bytes.
MAX_RECORD = 1 << 20


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1


class Asked(Record):
    """chain.json: what is to be built, and how, as a value. Paths are absolute."""

    what: tuple[str, ...]
    preset: str | None = None
    arch: str | None = None
    distribution: str | None = None  #: of the .changes
    settings: tuple[str, ...] = ()  #: KEY=VALUE
    options: dict[str, Any] = {}  #: a layer of settings, from the other options
    jobs: int | None = None
    keep_going: bool = False
    recurse: bool = False


class Identity(Record):
    """member.json."""

    identity: str


T = TypeVar("T", bound=Record)


class Journal:
    """The directory of one chain."""

    def __init__(self, directory: Path) -> None:
        self.path = directory.absolute()

    @contextmanager
    def held(self) -> Iterator[None]:
        """The only chain that works in the directory. Errors: Failure if another does, or it cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "lock").touch()
        except OSError as error:
            raise Failure(f"{self.path}: {error.strerror}", hint="choose another --resultdir") from error
        fd = take_free(self.path)
        if fd is None:
            raise Failure(f"another chain works in {self.path}", hint="wait for it, or choose another --resultdir")
        try:
            yield
        finally:
            os.close(fd)

    def forget(self) -> None:
        """Nothing counts as built or fetched any more."""
        for record in self.path.glob(f"*/{MEMBER}"):
            write_file(record, Identity(identity="").model_dump_json() + "\n")
        shutil.rmtree(self.path / SOURCES, ignore_errors=True)

    def write_asked(self, asked: Asked) -> None:
        write_file(self.path / ASKED, asked.model_dump_json(indent=2) + "\n")

    def load_asked(self) -> Asked:
        """Errors: Failure if there is no chain here."""
        found = _read(self.path / ASKED, Asked)
        if found is None:
            raise Failure(f"{self.path} has no {ASKED} of a chain", hint="name the --resultdir of a `deb-mock chain`")
        return found

    def find_fetched(self, word: str) -> Path | None:
        """The .dsc that was fetched for *word*: a name of the archive, or a URL."""
        return next(iter(sorted(self.source_place(word).glob("*.dsc"))), None)

    @contextmanager
    def fetching(self, word: str) -> Iterator[Path]:
        """A directory for the source package *word*, which is there afterwards, or not at all."""
        place = self.source_place(word)
        new = place.with_name(f".{place.name}")
        for path in (new, place):
            shutil.rmtree(path, ignore_errors=True)
        new.mkdir(parents=True)
        yield new
        new.rename(place)

    def source_place(self, word: str) -> Path:
        """Where the source package *word*, or an exported commit, is kept."""
        name = word if FILE_NAME.fullmatch(word) else hashlib.sha256(word.encode()).hexdigest()[:16]
        return self.path / SOURCES / name

    def directory(self, member: Member) -> Path:
        return self.path / member.directory_name

    def find_done(self, member: Member, identity: str) -> Result | None:
        """The result of *member* if it was built with this *identity* and every file is as it was."""
        directory = JobDirectory(self.directory(member))
        known = _read(directory.path / MEMBER, Identity)
        result = directory.find_result()
        if known is None or known.identity != identity or result is None or result.status is not Status.BUILT:
            return None
        whole = all(directory.output(o.path).sha256 == o.sha256 for o in result.outputs)
        return result if whole else None

    def begin(self, member: Member, identity: str) -> Path:
        """An empty directory for *member*; what an earlier attempt left is gone. Errors: Failure if it is not ours."""
        directory = self.directory(member)
        if directory.exists():
            if not (directory / MEMBER).exists() and any(directory.iterdir()):
                raise Failure(f"{directory} is not of a chain", hint="choose another --resultdir")
            doomed = directory.with_name(f".{directory.name}.gone")  # a kill must not leave it without its record
            shutil.rmtree(doomed, ignore_errors=True)
            directory.rename(doomed)
            shutil.rmtree(doomed)
        directory.mkdir()
        write_file(directory / MEMBER, Identity(identity=identity).model_dump_json() + "\n")
        return directory

    def debs(self, member: Member, result: Result) -> tuple[Path, ...]:
        """What *member* offers to those that follow."""
        return tuple(self.directory(member) / output.path for output in result.outputs if output.kind == "deb")

    def write_index(self, debs: Sequence[Path]) -> None:
        """Packages: `deb [trusted=yes] file:DIR ./` then works for apt."""
        stanzas = []
        for deb in debs:
            with deb.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            stanzas.append(make_stanza(deb, f"./{deb.relative_to(self.path)}", digest))
        write_file(self.path / "Packages", "\n".join(stanzas))


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        with path.open("rb") as file:
            return kind.model_validate_json(file.read(MAX_RECORD))
    except (OSError, ValidationError):
        return None
