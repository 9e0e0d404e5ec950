"""The install test: each package alone, then all together, in a root that knows the suites and the new packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from deb_mock.checks.apt import INSTALL, parse_problems
from deb_mock.checks.bed import Bed
from deb_mock.checks.model import Check, Finding, Found, NotRun


def run_check(bed: Bed) -> Found:
    debs = bed.subject.debs
    if not debs:
        raise NotRun("the .changes names no binary package")
    findings = [finding for deb in debs for finding in try_install(bed, [deb])]
    if len(debs) > 1 and not findings:
        names = {fields["package"] for fields in bed.subject.control.values()}
        apart = sorted(names & {name for deb in debs for name in conflicts_of(bed, deb)})
        if apart:
            text = f"they conflict with each other by their fields: {', '.join(apart)}"
            findings = [Finding("not-run", "all-together", bed.subject.source, text)]
        else:
            findings = list(try_install(bed, debs))
    return Found(tuple(findings), bed.version_of(bed.site.base, "apt"))


def try_install(bed: Bed, debs: Sequence[Path]) -> Iterator[Finding]:
    """Install *debs* in a fresh overlay."""
    subject = " ".join(bed.subject.control[deb]["package"] for deb in debs)
    bed.log.subsubsection(f"Install {subject}")
    with bed.open(bed.ready, {deb.name: deb for deb in debs}) as space:
        argv = ["sh", "-c", INSTALL, "install", *(f"./{deb.name}" for deb in debs)]
        ran = bed.run(space, argv, root=True, apt=True)
    if ran.status != 0:
        yield from parse_problems(ran.text, subject)


def conflicts_of(bed: Bed, deb: Path) -> Iterator[str]:
    """Names of packages that *deb* cannot be installed with, whatever their version."""
    fields = bed.subject.control[deb]
    for relation in f"{fields.get('conflicts', '')},{fields.get('breaks', '')}".split(","):
        name = relation.split("(")[0].strip().partition(":")[0]
        if name and name != fields["package"] and "(" not in relation:
            yield name


CHECK = Check("install", "each package installs, alone and with the others", (), run_check)
