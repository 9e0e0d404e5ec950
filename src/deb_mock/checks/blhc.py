"""blhc: hardening flags of the compiler, from the build log. Source: blhc(1), section EXIT STATUS."""

from __future__ import annotations

import re
from collections.abc import Iterator

from deb_mock.checks.bed import Bed
from deb_mock.checks.model import Check, Finding, Found, Level, NotRun

#: Bit of the exit status.
NO_COMPILER = 1
#: Characters of a command line that are shown.
SHOWN = 200
MISSING = re.compile(r"^(C|CXX|CPP|LD|D|Ada)FLAGS missing \(([^)]*)\): (.*)$")
QUIET = re.compile(r"^NONVERBOSE BUILD: (.*)$")


def parse_flags(text: str, source: str) -> Iterator[Finding]:
    """A finding for each set of flags that compilers lacked, and one for a log that hides them."""
    seen: dict[tuple[str, str], list[str]] = {}
    for line in text.splitlines():
        if match := MISSING.match(line):
            seen.setdefault((f"{match[1].lower()}flags-missing", match[2]), []).append(match[3])
        elif match := QUIET.match(line):
            seen.setdefault(("nonverbose-build", ""), []).append(match[1])
    for (tag, flags), commands in seen.items():
        level: Level = "warning" if tag == "nonverbose-build" else "error"
        more = f" (and {len(commands) - 1} more)" if commands[1:] else ""
        yield Finding(level, tag, source, f"{flags}: {commands[0].strip()[:SHOWN]}{more}".removeprefix(": "))


def run_check(bed: Bed) -> Found:
    if bed.subject.log is None:
        raise NotRun("there is no build.log beside the packages")
    layer = bed.tools(CHECK.packages)
    with bed.open(layer, {"build.log": bed.subject.log}) as space:
        ran = bed.run(space, ["blhc", "--debian", "build.log"])
    findings = tuple(parse_flags(ran.text, bed.subject.source))
    if ran.status & NO_COMPILER and not findings:
        raise NotRun("the build log has no compiler commands")
    if ran.status and not findings:
        raise NotRun(f"blhc ended with status {ran.status}; see its log")
    return Found(findings, bed.version_of(layer, "blhc"))


CHECK = Check("blhc", "compilers were given the hardening flags", ("blhc",), run_check)
