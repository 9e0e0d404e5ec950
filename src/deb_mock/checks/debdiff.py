"""debdiff: what is different from the archive's packages: files, dependencies, control fields. Source: debdiff(1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deb_mock.checks.bed import Bed
from deb_mock.checks.model import Check, Finding, Found, NotRun

#: What went away is a warning, what came or changed is worth knowing.
ONLY = re.compile(r"^(?:New files|Files only|Files) in (first|second)[^,]*(?:, found in package (\S+))?")
MOVED = re.compile(r"^Files moved from package (\S+) to package (\S+)")
NEW_NAMES = "Warning: these package names were in the second list but not in the first"
NAME = re.compile(r"^[a-z0-9][a-z0-9+.-]+$")
FIELDS = re.compile(r"^Control files of package (\S+): lines which differ")
#: A field of a control file, which may have come or gone as a whole; lines that go on are not shown.
FIELD = re.compile(r"^(\[-|\{\+)?([A-Z][A-Za-z0-9-]*):\s*(.*(?:\[-|-\]|\{\+|\+\}).*)$")
ENTRY = re.compile(r"^([-dlrwxstST]{10})\s+(\S+)\s+(/.*)$")
SAME = ("Installed-Size", "Version")  #: fields that change with every build


def parse_diff(text: str, source: str) -> Iterator[Finding]:
    """Findings of a debdiff between two sets of .debs."""
    section, package, origin = "", source, ""
    for line in text.splitlines():
        if match := ONLY.match(line):
            section, package = match[1], match[2] or source
        elif match := MOVED.match(line):
            section, origin, package = "moved", match[1], match[2]
        elif line.startswith(("Files moved", "From package", "To package")):
            section = ""
        elif line.startswith(NEW_NAMES):
            section = "names"
        elif match := FIELDS.match(line):
            section, package = "fields", match[1]
        elif match := ENTRY.match(line):
            if section == "first":
                yield Finding("warning", "file-removed", package, match[3])
            elif section == "second":
                yield Finding("info", "file-added", package, match[3])
            elif section == "moved":
                yield Finding("info", "file-moved", package, f"{match[3]} from {origin}")
        elif section == "names" and NAME.match(line):
            yield Finding("info", "package-added", line)
        elif section == "fields" and (match := FIELD.match(line)) and match[2] not in SAME:
            yield Finding("info", f"{match[2].lower()}-changed", package, f"{match[1] or ''}{match[3]}"[:500])


def run_check(bed: Bed) -> Found:
    debs = bed.subject.debs
    if not debs:
        raise NotRun("the .changes names no binary package")
    published = bed.published()
    names = {bed.subject.control[deb]["package"] for deb in debs}
    old = bed.fetch([package for name, package in published.items() if name in names])
    if not old:
        raise NotRun("the archive has none of these packages")
    layer = bed.tools(CHECK.packages)
    files = {f"old/{name}": path for name, path in old.items()} | {f"new/{deb.name}": deb for deb in debs}
    with bed.open(layer, files) as space:
        first, second = ([name for name in files if name.startswith(prefix)] for prefix in ("old/", "new/"))
        ran = bed.run(space, ["debdiff", "--show-moved", "--from", *first, "--to", *second])
    if ran.status not in (0, 1):
        raise NotRun(f"debdiff itself failed with status {ran.status}; see its log")
    return Found(tuple(parse_diff(ran.text, bed.subject.source)), bed.version_of(layer, "devscripts"))


CHECK = Check("debdiff", "what differs from the archive's packages is meant", ("devscripts", "wdiff"), run_check)
