"""Builders lie: what a build sends back is compared with what the hub knows of the source. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deb_orchestrator.domain.source import Source
from debcore.errors import Failure


class Refused(Failure):
    """What the builder sent cannot be from the source it was given."""


@dataclass(frozen=True)
class Opened:
    """A file of a build as the sealed reader saw it: `fields` of a .deb's control, a .changes or a .buildinfo."""

    name: str
    kind: str  #: debcore.job.Output.kind
    sha256: str
    size: int
    fields: Mapping[str, str]


@dataclass(frozen=True)
class Sent:
    """What the builder was given."""

    source: Source
    arch: str
    dsc_sha256: str
    files: Mapping[str, str]  #: name of each source file → SHA-256
    binnmu: int | None = None  #: N of +bN


def check_artifacts(sent: Sent, opened: Sequence[Opened]) -> None:
    """Errors: Refused with the first contradiction."""
    debs = [file for file in opened if file.kind in ("deb", "udeb")]
    if not debs:
        raise Refused("the build made no package", hint="its log says why")
    names = {file.name: file for file in opened}
    if len(names) != len(opened):
        raise Refused("two files have one name")
    for file in debs:
        _check_deb(sent, file)
    for file in opened:
        if file.kind in ("changes", "buildinfo"):
            _check_listing(sent, file, names)
    listed = {
        name
        for file in opened
        if file.kind == "changes"
        for name, *_ in _checksums(file.fields.get("Checksums-Sha256", ""))
    }
    if any(file.kind == "changes" for file in opened):
        for file in debs:
            if file.name not in listed:
                raise Refused(f"{file.name} is not in the .changes")


def _check_deb(sent: Sent, file: Opened) -> None:
    package, version = file.fields.get("Package", ""), file.fields.get("Version", "")
    arch = file.fields.get("Architecture", "")
    source, source_version = split_source(file.fields.get("Source", package), version)
    if (source, source_version) != (sent.source.name, sent.source.version):
        raise Refused(
            f"{file.name} says it is from {source} {source_version}, not {sent.source.name} {sent.source.version}"
        )
    _check_binary_name(sent, package, file.name)
    if arch != sent.arch and (arch != "all" or sent.binnmu is not None):
        raise Refused(f"{file.name} is for {arch}, and {sent.arch} was asked for")
    if sent.binnmu is not None and not version.endswith(f"+b{sent.binnmu}"):
        raise Refused(f"{file.name} has not the version of a binNMU +b{sent.binnmu}", hint="is its deb-mock too old?")
    expected = f"{package}_{re.sub('^[0-9]+:', '', version)}_{arch}.{file.kind}"
    if file.name != expected:
        raise Refused(f"{file.name} should be named {expected}")


def _check_binary_name(sent: Sent, package: str, where: str) -> None:
    known = {binary.name for binary in sent.source.binaries}
    if package not in known and package.removesuffix("-dbgsym") not in known:
        raise Refused(
            f"{where}: {sent.source.name} makes no package {package}", hint="its .dsc lists the packages it makes"
        )


def _check_listing(sent: Sent, file: Opened, names: Mapping[str, Opened]) -> None:
    fields = file.fields
    source, version = split_source(fields.get("Source", ""), fields.get("Version", ""))
    if (source, version) != (sent.source.name, sent.source.version):
        raise Refused(f"{file.name} is of {source} {version}, not {sent.source.name} {sent.source.version}")
    for package in fields.get("Binary", "").split():
        _check_binary_name(sent, package, file.name)
    for arch in fields.get("Architecture", "").split():
        if arch not in (sent.arch, "all", "source"):
            raise Refused(f"{file.name} is for {arch}, and {sent.arch} was asked for")
    for name, size, sha256 in _checksums(fields.get("Checksums-Sha256", "")):
        if name.endswith(".dsc") and sha256 != sent.dsc_sha256:
            raise Refused(f"{file.name} names another {name} than the one sent")
        if name in sent.files and sent.files[name] == sha256:
            continue
        other = names.get(name)
        if other is None:
            raise Refused(f"{file.name} names {name}, which was not sent")
        if (other.sha256, other.size) != (sha256, size):
            raise Refused(f"{file.name} gives {name} another hash or size than the file has")


def split_source(field: str, version: str) -> tuple[str, str]:
    """Name and version of a Source field, whose version stands in brackets where it differs. Policy 5.6.1."""
    match = re.fullmatch(r"\s*(\S+)\s*(?:\((\S+)\))?\s*", field)
    return (match[1], match[2] or version) if match else (field, version)


def _checksums(value: str) -> Iterable[tuple[str, int, str]]:
    for line in value.split("\n"):
        words = line.split()
        if len(words) == 3 and words[1].isdigit():
            yield words[2], int(words[1]), words[0]
        elif words:
            raise Refused(f"{line.strip()[:80]!r} is no line of checksums")
