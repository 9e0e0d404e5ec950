"""Source packages on disk: a .dsc and the files it names. Everything in them is hostile until checked."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from debian.deb822 import Deb822

from debcore.command import find_program, run
from debcore.errors import ConfigError, Failure
from debcore.path import check_file_name

#: A .dsc larger than this is refused (bytes); the largest of the archive are below 1 MB.
MAX_DSC = 8 * 1024 * 1024
#: Source package name: Policy 5.6.1.
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
#: Version: Policy 5.6.12.
VERSION = re.compile(r"(?:\d+:)?[0-9][A-Za-z0-9.+~:-]*")


@dataclass(frozen=True)
class SourceFile:
    """One file that a .dsc names. `size` in bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Dsc:
    """A .dsc whose fields were checked; its files may not have been (see `check_files`)."""

    path: Path
    name: str  #: file name of the .dsc itself; `path` may be a symbolic link with another
    source: str
    version: str
    format: str
    architectures: tuple[str, ...]
    files: tuple[SourceFile, ...]
    fields: Mapping[str, str]
    signed: bool

    @property
    def upstream_version(self) -> str:
        """The version without epoch and Debian revision: what dpkg-source -x names the directory after."""
        version = self.version.partition(":")[2] or self.version
        return version.rpartition("-")[0] or version

    @property
    def file_version(self) -> str:
        """The version as in file names: without epoch."""
        return self.version.partition(":")[2] or self.version

    @property
    def all_files(self) -> tuple[Path, ...]:
        """The files named, then the .dsc, in the .dsc's directory."""
        return (*(self.path.parent / file.name for file in self.files), self.path)


def parse_dsc(text: bytes, *, path: Path) -> Dsc:
    """Errors: ConfigError naming *path* and the field that is wrong."""
    if len(text) > MAX_DSC:
        raise ConfigError(str(path), f"larger than {MAX_DSC} bytes: that is no .dsc")
    try:
        paragraph = Deb822(_strip_signature(text).decode("utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"is no .dsc: {error}") from error
    fields = {str(key): str(value) for key, value in paragraph.items()}
    for field in ("Format", "Source", "Version", "Checksums-Sha256"):
        if not fields.get(field, "").strip():
            hint = "only source packages with SHA-256 sums are accepted" if field.startswith("Check") else ""
            raise ConfigError(str(path), f"has no field {field}", hint=hint)
    source, version = fields["Source"].strip(), fields["Version"].strip()
    if not NAME.fullmatch(source):
        raise ConfigError(f"{path}:Source", f"{source!r} is no source package name")
    if not VERSION.fullmatch(version):
        raise ConfigError(f"{path}:Version", f"{version!r} is no Debian version")
    found = Dsc(
        path=path,
        name=check_file_name(path.name, where=str(path)),
        source=source,
        version=version,
        format=fields["Format"].strip(),
        architectures=tuple(fields.get("Architecture", "any").split()),
        files=tuple(_parse_files(fields["Checksums-Sha256"], path=path)),
        fields=fields,
        signed=b"-----BEGIN PGP SIGNED MESSAGE-----" in text,
    )
    listed = {line.split()[-1] for line in fields.get("Files", "").splitlines() if line.split()}
    if listed and listed != {file.name for file in found.files}:
        raise ConfigError(f"{path}:Files", "names other files than Checksums-Sha256")
    return found


def load_dsc(path: Path) -> Dsc:
    """Read the .dsc at *path*; a symbolic link to a .dsc is followed, its files are looked for beside its target."""
    if path.is_symlink():
        path = path.resolve()
    if not path.is_file():
        raise ConfigError(str(path), "no such file")
    with path.open("rb") as file:
        return parse_dsc(file.read(MAX_DSC + 1), path=path)


def check_files(dsc: Dsc) -> None:
    """Errors: ConfigError if a file is missing, no plain file, or not of the size and SHA-256 that the .dsc says."""
    for file in dsc.files:
        path = dsc.path.parent / file.name
        where = f"{dsc.path}: {file.name}"
        hint = "fetch the source package again; deb-mock source NAME=VERSION gets it from the archive"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise ConfigError(where, "the file is missing", hint=hint) from error
        except OSError as error:
            raise ConfigError(where, f"cannot be read: {error.strerror}", hint="symbolic links are refused") from error
        with os.fdopen(fd, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(where, "is no plain file")
            if status.st_size != file.size:
                raise ConfigError(where, f"has {status.st_size} bytes, the .dsc says {file.size}", hint=hint)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != file.sha256:
            raise ConfigError(where, f"has SHA-256 {digest}, the .dsc says {file.sha256}", hint=hint)


def check_signature(dsc: Dsc, keyrings: Sequence[Path]) -> str:
    """Verify the .dsc's OpenPGP signature with gpgv, or sqop where gpgv is missing; returns what it said.

    Errors: ConfigError without a signature or with one that none of *keyrings* verifies.
    """
    demand = "a signature is demanded (--require-signature or source.require_signature)"
    if not dsc.signed:
        raise ConfigError(str(dsc.path), f"is not signed, and {demand}", hint="sign it with: debsign " + dsc.name)
    usable = [path for path in keyrings or default_keyrings() if path.is_file()]
    if not usable:
        hint = "name one with --keyring, or install debian-keyring"
        raise ConfigError(str(dsc.path), f"{demand}, but there is no keyring", hint=hint)
    if find_program("gpgv"):
        options = [word for path in usable for word in ("--keyring", str(path.resolve()))]
        done = run(["gpgv", "--quiet", *options, "--output", "-", str(dsc.path)], check=False)
    else:
        keys = [str(path) for path in usable]
        done = run(["sqop", "inline-verify", *keys], stdin=dsc.path.read_bytes(), check=False)
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.status != 0:
        last = (said.splitlines() or ["no reason given"])[-1]
        hint = f"looked in {', '.join(map(str, usable))}; --keyring adds another"
        raise ConfigError(str(dsc.path), f"bad or unknown signature: {last}", hint=hint)
    # What was signed is what the verifier printed; our own reading of the file must be the same.
    if parse_dsc(done.stdout, path=dsc.path).fields != dsc.fields:
        raise ConfigError(str(dsc.path), "the signature covers another text than the one that stands there")
    return said


def default_keyrings() -> tuple[Path, ...]:
    """Keyrings of Debian's developers and maintainers, where the package debian-keyring is installed."""
    directory = Path("/usr/share/keyrings")
    names = ("debian-keyring.gpg", "debian-nonupload.gpg", "debian-maintainers.gpg", "debian-keyring.pgp")
    return tuple(directory / name for name in names if (directory / name).is_file())


def _parse_files(field: str, *, path: Path) -> Iterable[SourceFile]:
    names = set()
    for line in field.strip().splitlines():
        words = line.split()
        where = f"{path}:Checksums-Sha256"
        if len(words) != 3 or not re.fullmatch(r"[0-9a-f]{64}", words[0]) or not re.fullmatch(r"\d{1,15}", words[1]):
            raise ConfigError(where, f"{line.strip()!r} is not: hash size name")
        try:
            name = check_file_name(words[2], where=where)
        except Failure as error:
            raise ConfigError("", str(error), hint=error.hint) from error
        if name in names or name == path.name:
            raise ConfigError(where, f"names {name} twice")
        names.add(name)
        yield SourceFile(name=name, size=int(words[1]), sha256=words[0])


def _strip_signature(text: bytes) -> bytes:
    """The signed text of an inline-signed document; *text* itself if it is not one."""
    start = text.find(b"-----BEGIN PGP SIGNED MESSAGE-----")
    if start < 0:
        return text
    if text[:start].strip():
        raise ValueError("text before the signed part")
    body = text[start:].replace(b"\r\n", b"\n")
    _, _, body = body.partition(b"\n\n")
    end = body.find(b"\n-----BEGIN PGP SIGNATURE-----")
    if end < 0:
        raise ValueError("the signature is cut off")
    lines = (line.removeprefix(b"- ") for line in body[:end].split(b"\n"))
    return b"\n".join(lines) + b"\n"
