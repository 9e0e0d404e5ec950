"""Reading a .buildinfo. It comes from strangers: every field is checked before anything is done with it.

Source: deb-buildinfo(5), format 1.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from deb_mock.buildtype import Parts
from deb_mock.exact import Exact
from debcore.deb822 import ListedFile, Stanza, parse_files, parse_stanza
from debcore.errors import ConfigError, Failure
from debcore.path import check_file_name
from debcore.version import parse_version

#: Bytes. Those of the archive's largest packages are below 200 kB.
MAX_BUILDINFO = 4 * 1024 * 1024
MAX_PACKAGES = 20_000
_SOURCE = re.compile(r"([a-z0-9][a-z0-9+.-]{1,127})(?: \(([^()\s]+)\))?")
_ARCH = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_INSTALLED = re.compile(r"([a-z0-9][a-z0-9+.-]{1,127})(?::([a-z0-9-]{1,64}))? \(= ([^()\s]+)\)")
_ASSIGNMENT = re.compile(r'([A-Za-z_][A-Za-z0-9_]{0,127})="((?:[^"\\]|\\.)*)"')
#: Directories that a build may have been in. Others, such as /usr, would hide a part of the root.
_PATH = re.compile(
    r"/(?:build|tmp|home|srv|opt|root|mnt|media|var/tmp|usr/src)(?:/[A-Za-z0-9+~_=@:,-][A-Za-z0-9.+~_=@:,-]*)+"
)
#: What the sandbox decides by itself; dpkg records none of them.
_OURS = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "IFS", "ENV", "BASH_ENV", "PERL5LIB", "PERL5OPT"})
_SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"


@dataclass(frozen=True)
class Buildinfo:
    """One build as it is said to have been."""

    source: str
    source_version: str
    version: str  #: of the binaries; another than the source's after a binary-only rebuild
    architectures: tuple[str, ...]  #: what was built: `all`, `source` and at most one architecture
    build_arch: str
    files: tuple[ListedFile, ...]  #: digest: SHA-256
    path: str | None  #: of the unpacked source tree
    environment: Mapping[str, str]
    installed: tuple[Exact, ...]
    built_at: datetime | None
    changelog: str | None  #: Binary-Only-Changes
    tainted_by: tuple[str, ...]

    @property
    def parts(self) -> Parts:
        some = any(arch not in ("all", "source") for arch in self.architectures)
        return Parts(any=some, all="all" in self.architectures, source="source" in self.architectures)

    @property
    def packages(self) -> tuple[ListedFile, ...]:
        """The binary packages."""
        return tuple(file for file in self.files if file.name.endswith((".deb", ".udeb")))


def load_buildinfo(path: Path, *, certificates: Sequence[bytes] = (), require_signature: bool = False) -> Buildinfo:
    """Read and check the .buildinfo at *path*. A signature is verified if one is demanded, or *certificates* are given.

    Errors: ConfigError naming the field; Failure on a signature that is missing or bad.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BUILDINFO + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
    if len(raw) > MAX_BUILDINFO:
        raise ConfigError(str(path), f"larger than {MAX_BUILDINFO} bytes: that is no .buildinfo")
    return parse_buildinfo(_take_payload(raw, path, certificates, require_signature), where=str(path))


def _take_payload(raw: bytes, path: Path, certificates: Sequence[bytes], demanded: bool) -> bytes:
    from debcore.openpgp import verify_inline

    signed = raw.lstrip().startswith(_SIGNED)
    if demanded and not signed:
        raise ConfigError(str(path), "is not signed, and a signature is demanded", hint="sign it with: debsign")
    if demanded and not certificates:
        raise ConfigError(str(path), "a signature is demanded, but there is no keyring", hint="name one with --keyring")
    if signed and certificates:
        return verify_inline(raw, certificates, where=str(path)).payload
    return strip_signature(raw, where=str(path)) if signed else raw


def strip_signature(raw: bytes, *, where: str) -> bytes:
    """The text of a clear-signed document, its signature unchecked. Errors: ConfigError if it is cut off."""
    text = raw.lstrip().replace(b"\r\n", b"\n")
    _, _, body = text.partition(b"\n\n")
    end = body.find(b"\n-----BEGIN PGP SIGNATURE-----")
    if end < 0 or not text.startswith(_SIGNED):
        raise ConfigError(where, "the signature is cut off")
    return b"\n".join(line.removeprefix(b"- ") for line in body[:end].split(b"\n")) + b"\n"


def parse_buildinfo(raw: bytes, *, where: str) -> Buildinfo:
    """Errors: ConfigError naming *where* and the field."""
    try:
        stanza = parse_stanza(raw, where=where)
        return _read(stanza, where)
    except ConfigError:
        raise
    except Failure as error:
        raise ConfigError("", str(error), hint=error.hint) from error


def _read(stanza: Stanza, where: str) -> Buildinfo:
    if (format_ := stanza.require("Format", where=where)) != "1.0":
        raise ConfigError(f"{where}:Format", f"{format_[:20]!r} is not known", hint="only 1.0 is")
    source = _SOURCE.fullmatch(" ".join(stanza.require("Source", where=where).split()))
    if source is None:
        raise ConfigError(f"{where}:Source", f"{stanza['Source'][:80]!r} is no source package")
    version = _check_version(stanza.require("Version", where=where), f"{where}:Version")
    architectures = tuple(stanza.require("Architecture", where=where).split())
    build_arch = stanza.require("Build-Architecture", where=where)
    real = [arch for arch in architectures if arch not in ("all", "source")]
    if len(architectures) > 3 or len(real) > 1 or not all(map(_ARCH.fullmatch, (*architectures, build_arch))):
        raise ConfigError(f"{where}:Architecture", f"{stanza['Architecture'][:80]!r} for {build_arch[:40]!r}")
    return Buildinfo(
        source=source[1],
        source_version=_check_version(source[2] or version, f"{where}:Source"),
        version=version,
        architectures=architectures,
        build_arch=build_arch,
        files=_read_files(stanza, where),
        path=_read_path(stanza.get("Build-Path", "").strip(), f"{where}:Build-Path"),
        environment=read_environment(stanza.get("Environment", ""), where=f"{where}:Environment"),
        installed=_read_installed(stanza.require("Installed-Build-Depends", where=where), where),
        built_at=_read_date(stanza.get("Build-Date", "")),
        changelog=stanza.get("Binary-Only-Changes") or None,
        tainted_by=tuple(stanza.get("Build-Tainted-By", "").split()),
    )


def _read_files(stanza: Stanza, where: str) -> tuple[ListedFile, ...]:
    if not stanza.get("Checksums-Sha256", "").strip():
        raise ConfigError(f"{where}:Checksums-Sha256", "is missing: nothing could be compared")
    files = parse_files(stanza["Checksums-Sha256"], algorithm="sha256", where=f"{where}:Checksums-Sha256")
    for file in files:
        check_file_name(file.name, where=f"{where}:Checksums-Sha256")
    return files


def _read_path(path: str, where: str) -> str | None:
    if not path:
        return None
    if len(path) > 255 or not _PATH.fullmatch(path) or ".." in path.split("/"):
        hint = "only paths below /build, /tmp, /home, /srv, /opt, /root and the like can be made again"
        raise ConfigError(where, f"{path[:120]!r} is no path to build in", hint=hint)
    return path


def read_environment(field: str, *, where: str) -> dict[str, str]:
    """The variables of an Environment field. Errors: ConfigError on what is no assignment or may not be set."""
    found: dict[str, str] = {}
    for line in field.splitlines():
        if not line.strip():
            continue
        match = _ASSIGNMENT.fullmatch(line.strip())
        if match is None or "\0" in line:
            raise ConfigError(where, f'{line.strip()[:80]!r} is not NAME="value"')
        if match[1] in _OURS or match[1] in found:
            raise ConfigError(where, f"{match[1]} may not be set there")
        found[match[1]] = re.sub(r"\\(.)", r"\1", match[2])
    return found


def _read_installed(field: str, where: str) -> tuple[Exact, ...]:
    entries = [" ".join(entry.split()) for entry in field.split(",") if entry.strip()]
    if len(entries) > MAX_PACKAGES:
        raise ConfigError(f"{where}:Installed-Build-Depends", f"more than {MAX_PACKAGES} packages")
    found = []
    for entry in entries:
        match = _INSTALLED.fullmatch(entry)
        if match is None:
            raise ConfigError(f"{where}:Installed-Build-Depends", f"{entry[:80]!r} is not: name (= version)")
        found.append(Exact(match[1], _check_version(match[3], where), match[2] or ""))
    if len({(exact.name, exact.arch) for exact in found}) != len(found):
        raise ConfigError(f"{where}:Installed-Build-Depends", "names a package twice")
    return tuple(sorted(found))


def _check_version(text: str, where: str) -> str:
    try:
        parse_version(text)
    except Failure as error:
        raise ConfigError(where, f"{text[:80]!r} is no version") from error
    return text


def _read_date(text: str) -> datetime | None:
    from datetime import UTC

    try:
        return parsedate_to_datetime(text.strip()).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
