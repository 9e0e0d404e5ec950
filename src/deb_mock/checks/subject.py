"""What is checked: a .changes file and the files that it names, each of which is what it says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from debian.deb822 import Deb822

from deb_mock.collect import MAX_CONTROL, RESULT_NAME
from deb_mock.dsc import Dsc, check_files, load_dsc
from debcore.deb822 import parse_files
from debcore.errors import ConfigError, Failure
from debroot.debfile import parse_fields, read_control


@dataclass(frozen=True)
class Subject:
    """The packages of one build."""

    changes: Path
    source: str
    version: str  #: of the binary packages
    source_version: str  #: without what a binNMU appends
    files: tuple[Path, ...]  #: all that the .changes names
    control: Mapping[Path, Mapping[str, str]]  #: fields of each .deb, names in lower case
    dsc: Dsc | None  #: the source package, if all its files are there
    log: Path | None
    arches: tuple[str, ...] = ()  #: as the .changes says: what else the source makes is not here

    @property
    def debs(self) -> tuple[Path, ...]:
        """The .debs, without those of debug symbols."""
        return tuple(deb for deb, fields in self.control.items() if fields.get("auto-built-package") != "debug-symbols")


def find_changes(what: Path) -> Path:
    """*what*, or the only .changes in the directory *what*. Errors: ConfigError."""
    if not what.is_dir():
        if what.suffix != ".changes" or not what.is_file():
            raise ConfigError(str(what), "is no .changes file and no directory", hint="deb-mock build makes one")
        return what
    found = sorted(what.glob("*.changes"))
    if not found:
        raise ConfigError(str(what), "has no .changes file", hint="name the directory with a build's results")
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ConfigError(str(what), f"has more than one .changes file: {names}", hint="name one of them")
    return found[0]


def load_subject(changes: Path, *, dsc: Dsc | None = None, log: Path | None = None) -> Subject:
    """Read *changes* and check its files. *dsc* and *log* are looked for beside it if they are not given.

    Errors: ConfigError on names that lead out, and on files that are missing or have other hashes.
    """
    with changes.open("rb") as file:
        text = file.read(MAX_CONTROL + 1)
    if len(text) > MAX_CONTROL:
        raise ConfigError(str(changes), f"larger than {MAX_CONTROL} bytes: that is no .changes")
    fields = Deb822(text.decode("utf-8", "replace"))
    source, _, source_version = fields.get("Source", "").partition(" ")
    version = fields.get("Version", "").strip()
    if not source or not version or "Checksums-Sha256" not in fields:
        raise ConfigError(str(changes), "has no Source, Version or Checksums-Sha256")
    here = changes.absolute().parent
    files = []
    for listed in parse_files(fields["Checksums-Sha256"], algorithm="sha256", where=str(changes)):
        if not RESULT_NAME.fullmatch(listed.name):
            raise ConfigError(str(changes), f"names {listed.name!r}, which is no name of a package's file")
        files.append(check_file(here / listed.name, size=listed.size, sha256=listed.digest))
    plain = source_version.strip("() ") or version
    beside = here / f"{source}_{plain.partition(':')[2] or plain}.dsc"
    written = here / "build.log"
    return Subject(
        changes=changes.absolute(),
        source=source,
        version=version,
        source_version=plain,
        files=tuple(files),
        control={path: parse_fields(read_control(path)) for path in files if path.suffix == ".deb"},
        dsc=dsc or find_complete(beside),
        log=log or (written if written.is_file() else None),
        arches=tuple(fields.get("Architecture", "").split()),
    )


def find_complete(path: Path) -> Dsc | None:
    """The .dsc at *path* if it is there with all its files: a .changes of a later revision does not name the upstream
    tarball."""
    if not path.is_file():
        return None
    dsc = load_dsc(path)
    if not all((path.parent / file.name).is_file() for file in dsc.files):
        return None
    check_files(dsc)
    return dsc


def check_file(path: Path, *, size: int, sha256: str) -> Path:
    """Errors: ConfigError if *path* is no plain file with this size and hash."""
    hint = "build the package again, or fetch its files again"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}", hint=hint) from error
    with os.fdopen(fd, "rb") as file:
        try:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise Failure(f"{path} cannot be read: {error.strerror}") from error
        if os.fstat(fd).st_size != size or digest != sha256:
            raise ConfigError(str(path), "is not the file that the .changes names", hint=hint)
    return path
