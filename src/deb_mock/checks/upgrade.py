"""The upgrade test: from the archive's packages to these, all at once and each alone.

One alone shows a file that has moved between packages without Breaks and Replaces (Policy 7.6.1). Where dependencies
let apt upgrade nothing alone, dpkg still unpacks one package after the other, so each is unpacked alone too.

What the archive's version of the source made and this one does not make any more stays on users' systems, so it is
installed before, too: a file that moved out of it is a conflict like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deb_mock.checks.apt import INSTALL, parse_conflicts, parse_problems
from deb_mock.checks.bed import Bed, Ran
from deb_mock.checks.model import Check, Finding, Found, NotRun
from deb_mock.checks.subject import Subject
from debcore.version import compare_versions
from debroot.aptonly import Made
from debroot.store import Layer, Package


def run_check(bed: Bed) -> Found:
    debs = bed.subject.debs
    if not debs:
        raise NotRun("the .changes names no binary package")
    published = bed.published()
    old = [published[fields["package"]] for deb in debs if (fields := bed.subject.control[deb])["package"] in published]
    gone = find_gone(bed.subject, bed.archive.find_made(bed.subject.source))
    if not old and not gone:
        raise NotRun("the archive has none of these packages")
    newer = next((p for p in old if compare_versions(p.version, bed.subject.version) > 0), None)
    if newer is not None:
        raise NotRun(f"the archive has the newer {newer.name} {newer.version}")
    findings = [finding for group in find_groups(bed, old, gone) for finding in try_all(bed, group, debs)]
    return Found(tuple(dict.fromkeys(findings)), bed.version_of(bed.site.base, "apt"))


def find_gone(subject: Subject, made: Iterable[Made]) -> list[Package]:
    """What of *made* users may have and *subject*'s source does not make any more.

    An architecture that the .changes is not for says nothing: its packages were not built this time.
    """
    still = {fields["package"] for fields in subject.control.values()}
    if subject.dsc is not None:
        still |= {name.strip() for name in subject.dsc.fields.get("Binary", "").split(",")}
    return [
        one.package
        for one in made
        if one.package.name not in still
        and one.package.arch in subject.arches
        and compare_versions(one.source_version, subject.source_version) <= 0
    ]


@dataclass(frozen=True)
class Before:
    """A testbed as it is before the upgrade, or why it cannot be made."""

    packages: tuple[Package, ...]
    layer: Layer | None


def find_groups(bed: Bed, old: Sequence[Package], gone: Sequence[Package]) -> Iterator[Before]:
    """All of the archive's packages together; if they do not install so, *old*, and each of *gone* with it."""
    whole = install_old(bed, [*old, *gone])
    if whole.layer is not None or not gone:
        yield whole
        return
    if old:
        yield install_old(bed, old)
    for package in gone:
        yield install_old(bed, [*old, package])


def install_old(bed: Bed, old: Sequence[Package]) -> Before:
    """A testbed with *old* of the archive."""
    bed.log.subsubsection(f"Install {name_all(old)} of the archive")
    files = bed.fetch(old)
    layer, ran = bed.settle(files, ["sh", "-c", INSTALL, "install", *(f"./{name}" for name in files)])
    return Before(tuple(old), layer if ran.status == 0 else None)


def try_all(bed: Bed, before: Before, debs: Sequence[Path]) -> list[Finding]:
    """Upgrade all at once; where that is well, each alone. Errors: NotRun if there is nothing else to try."""
    if before.layer is None:
        names = {fields["package"] for fields in bed.subject.control.values()}
        if all(package.name in names for package in before.packages):
            raise NotRun("the archive's own version does not install; see the log")
        text = f"{name_all(before.packages)} of the archive do not install together; see the log"
        return [Finding("not-run", "old-packages", bed.subject.source, text)]
    findings = list(try_upgrade(bed, before.layer, debs))
    if findings:
        return findings
    if len(debs) == 1 and len(before.packages) == 1:
        return []
    return [
        finding
        for deb in debs
        for finding in (*try_upgrade(bed, before.layer, [deb]), *try_unpack(bed, before.layer, deb))
    ]


def name_all(packages: Iterable[Package]) -> str:
    return " ".join(f"{package.name} {package.version}" for package in packages)


def try_upgrade(bed: Bed, before: Layer, debs: Sequence[Path]) -> Iterator[Finding]:
    """Install *debs* in a fresh overlay of *before*."""
    subject = " ".join(bed.subject.control[deb]["package"] for deb in debs)
    bed.log.subsubsection(f"Upgrade of {subject}")
    ran = run_on(bed, before, debs, ["sh", "-c", INSTALL, "install"])
    if ran.status != 0:
        yield from parse_problems(ran.text, subject)


def try_unpack(bed: Bed, before: Layer, deb: Path) -> Iterator[Finding]:
    """Unpack *deb* in a fresh overlay of *before*: only its files matter, not what it depends on."""
    subject = bed.subject.control[deb]["package"]
    bed.log.subsubsection(f"Unpack {subject}")
    ran = run_on(bed, before, [deb], ["dpkg", "--auto-deconfigure", "--unpack"])
    if ran.status != 0:
        yield from parse_conflicts(ran.text, subject)


def run_on(bed: Bed, before: Layer, debs: Sequence[Path], argv: Sequence[str]) -> Ran:
    with bed.open(before, {deb.name: deb for deb in debs}) as space:
        return bed.run(space, [*argv, *(f"./{deb.name}" for deb in debs)], root=True, apt=True)


CHECK = Check("upgrade", "the packages upgrade those of the archive", (), run_check)
