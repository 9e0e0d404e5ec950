"""What a build left: the files that its .changes names, checked, and their description for the log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from debian.deb822 import Deb822

from deb_mock.buildlog import BuildLog
from deb_mock.buildtype import Parts
from deb_mock.dsc import Dsc
from deb_mock.order import Order
from deb_mock.outcome import StepFailed
from deb_mock.take import take_results
from deb_mock.workspace import Workspace
from debcore.job import FailureReport, JobDirectory, Output

Kind = Literal["deb", "udeb", "dsc", "source", "changes", "buildinfo", "file"]
#: Files that a .changes may name: all that Debian's tools make begin so. A build that names `result.json` or a file
#: of the user is refused.
RESULT_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+_[A-Za-z0-9.+~-]+(?:_[A-Za-z0-9.+~-]+)?\.[A-Za-z0-9.]+")
#: A .changes or .buildinfo above this size is refused, bytes.
MAX_CONTROL = 16 * 1024 * 1024


def changes_name(dsc: Dsc, parts: Parts, arch: str, *, version: str | None = None) -> str:
    """The name dpkg-buildpackage gives the .changes; *version* if it is not the source's.

    Source: dpkg-buildpackage(1), file names.
    """
    of = arch if parts.any else "all" if parts.all else "source"
    file_version = dsc.file_version if version is None else version.rpartition(":")[2]
    return f"{dsc.source}_{file_version}_{of}.changes"


def kind_of(name: str) -> Kind:
    suffixes: dict[str, Kind] = {".deb": "deb", ".udeb": "udeb", ".dsc": "dsc", ".changes": "changes"}
    suffixes |= {".buildinfo": "buildinfo"}
    source = (".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst", ".diff.gz", ".asc")
    return next(
        (kind for end, kind in suffixes.items() if name.endswith(end)), "source" if name.endswith(source) else "file"
    )


def collect_results(space: Workspace, order: Order, dsc: Dsc, parts: Parts, build_log: BuildLog) -> tuple[Output, ...]:
    """Copy the .changes and all files it names into the order's directory, and describe them in the log.

    Errors: StepFailed if the .changes is missing, or lies about a file or about what was built.
    """
    version = order.built_version(dsc.version)
    changes = changes_name(dsc, parts, order.choice.host_arch, version=version)
    named: dict[str, str] = {}

    def find_named() -> list[str]:
        text = (order.directory / changes).read_bytes()[:MAX_CONTROL]
        named.update(parse_changes(text, dsc=dsc, name=changes, version=version))
        return list(named)

    taken = take_results(space, changes, order.directory, find_named)
    missing = [name for name in (changes, *named) if name not in taken.files]
    if missing or taken.status != 0:
        what = "dpkg-buildpackage left no" if taken.status != 0 else "the build left no plain file"
        raise _refused(f"{what} {(missing or [changes])[0]}")
    directory = JobDirectory(order.directory)
    outputs = [directory.output(name, kind_of(name)) for name in (*sorted(named), changes)]
    for output in outputs[:-1]:
        if output.sha256 != named[output.path]:
            raise _refused(f"{changes} does not give the hash of {output.path}")
    _describe(order.directory, outputs, taken.description, build_log)
    return tuple(outputs)


def parse_changes(text: bytes, *, dsc: Dsc, name: str, version: str | None = None) -> dict[str, str]:
    """File name → sha256 of a .changes for *dsc*, with *version* if it is not the source's. Errors: StepFailed."""
    fields = Deb822(text.decode("utf-8", "replace"))
    if (fields.get("Source", "").split(" ")[0], fields.get("Version")) != (dsc.source, version or dsc.version):
        raise _refused(f"{name} is for {fields.get('Source')} {fields.get('Version')}")
    named = {}
    for line in fields.get("Checksums-Sha256", "").strip().splitlines():
        words = line.split()
        if len(words) != 3:
            raise _refused(f"{name}: bad line {line!r}")
        if not RESULT_NAME.fullmatch(words[2]):
            raise _refused(f"{name} names {words[2]!r}, which is no name of a package's file")
        named[words[2]] = words[0]
    return named


def _refused(message: str) -> StepFailed:
    return StepFailed(FailureReport(stage="results", kind="output", message=message))


def _describe(directory: Path, outputs: Sequence[Output], packages: bytes, build_log: BuildLog) -> None:
    """sbuild's sections Changes, Buildinfo and Package contents. *packages*: what dpkg said of them."""
    for title, kind in (("Changes", "changes"), ("Buildinfo", "buildinfo")):
        build_log.subsection(title)
        for output in outputs:
            if output.kind == kind:
                build_log.subsubsection(f"{output.path}:")
                build_log.write((directory / output.path).read_bytes()[:MAX_CONTROL])
    build_log.subsection("Package contents")
    build_log.write(packages)
