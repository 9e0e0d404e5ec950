"""The lock of a root: exactly what stood in it. Two roots with the same content have the same lock, byte for byte."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from debcore.errors import ConfigError
from debcore.job.model import Sha256, Wire
from debcore.version import parse_version

#: A lock larger than this is refused (bytes). A root of ten thousand packages has 4 MB.
MAX_LOCK = 32 * 1024 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}")
_ARCH = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_FILENAME = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9][A-Za-z0-9.+~:%_/-]*|")


class LockedPackage(Wire):
    """One .deb. `role` says why it is there: the base root, or the build's dependencies."""

    name: str
    version: str
    arch: str
    sha256: Sha256
    size: int = Field(ge=0)  #: bytes
    filename: str  #: its path in the archive
    source: str | None = None
    role: Literal["base", "build-dep"] = "base"


class LockedRelease(Wire):
    """A Release file that the choice was made from."""

    uri: str  #: without scheme, user and password
    suite: str
    sha256: Sha256


class Lock(Wire):
    """lock.json."""

    api: int = 1
    preset: str
    suite: str
    arch: str
    packages: tuple[LockedPackage, ...]
    replaced: tuple[LockedPackage, ...] = ()  #: of the base root, and gone or replaced in the finished one
    releases: tuple[LockedRelease, ...] = ()
    content: Sha256 | None = None  #: of everything else in the file (see `hash_content`): edited locks are refused

    def encode(self) -> bytes:
        """Canonical: sorted packages and releases, keys in schema order, no time stamps."""
        ordered = self.model_copy(
            update={
                "packages": _sort(self.packages),
                "replaced": _sort(self.replaced),
                "releases": tuple(sorted(self.releases, key=lambda r: (r.uri, r.suite))),
            }
        )
        content = hash_content(ordered.model_dump(mode="json"))
        return ordered.model_copy(update={"content": content}).model_dump_json(indent=1).encode() + b"\n"

    @property
    def sha256(self) -> str:
        """Hash of `encode()`: what environment.ready and result.json carry."""
        return hashlib.sha256(self.encode()).hexdigest()


def hash_content(document: dict[str, Any]) -> str:
    """SHA-256 of *document* without its `content`, as JSON with sorted keys and no blanks."""
    rest = {key: value for key, value in document.items() if key != "content"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def load_lock(path: Path, *, sha256: str | None = None) -> Lock:
    """The lock in *path*, unedited since it was written; *sha256*: what the whole file must hash to.

    Errors: ConfigError.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_LOCK + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(raw).hexdigest()
    if sha256 is not None and digest != sha256:
        raise ConfigError(
            str(path), f"has SHA-256 {digest}, not {sha256}", hint="it is not the lock that you asked for"
        )
    return parse_lock(raw, where=str(path))


def parse_lock(raw: bytes, *, where: str) -> Lock:
    """Errors: ConfigError on what is no lock, was edited, or names what cannot be a package."""
    if len(raw) > MAX_LOCK:
        raise ConfigError(where, f"larger than {MAX_LOCK} bytes: that is no lock")
    hint = "make a new one: deb-mock lock -o FILE"
    try:
        document = json.loads(raw)
        lock = Lock.model_validate(document)
        expected = hash_content(document)
    except (ValueError, ValidationError, RecursionError) as error:
        raise ConfigError(where, f"is no lock: {str(error).splitlines()[0]}", hint=hint) from error
    if lock.content is None:
        raise ConfigError(where, "does not carry the hash of its content", hint=hint)
    if lock.content != expected:
        raise ConfigError(where, f"was edited: its content has SHA-256 {expected}, not {lock.content}", hint=hint)
    if lock.api != 1:
        raise ConfigError(where, f"has api {lock.api}; this program speaks 1", hint="use the newer program")
    for package in (*lock.packages, *lock.replaced):
        _check_package(package, where=where)
    names = [(package.name, package.arch) for package in lock.packages]
    if len(set(names)) != len(names):
        raise ConfigError(where, "names a package twice", hint=hint)
    return lock


def _check_package(package: LockedPackage, *, where: str) -> None:
    sound = _NAME.fullmatch(package.name) and _ARCH.fullmatch(package.arch)
    if not sound or not _FILENAME.fullmatch(package.filename):
        said = f"{package.name}:{package.arch} {package.filename}"
        raise ConfigError(where, f"{said[:120]!r} is no package of an archive")
    parse_version(package.version)


def _sort(packages: tuple[LockedPackage, ...]) -> tuple[LockedPackage, ...]:
    return tuple(sorted(packages, key=lambda p: (p.name, p.arch, p.version, p.sha256)))
