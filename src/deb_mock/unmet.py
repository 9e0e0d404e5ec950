"""Build dependencies that cannot be met: apt's words and dose3's proof as one report, and dose3's own in the log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from deb_mock.buildlog import BuildLog
from deb_mock.outcome import DepsStepFailed
from debcore.errors import DepsUnmet, Failure
from debcore.job import AptSource, FailureReport, Unmet
from debroot.dose import ask_dose, describe_unmet, parse_report
from debroot.store import Package, Store

#: What apt calls the stanza that stands in for the source package.
STAND_IN = re.compile(r"^builddeps:\S+")
#: Reasons and lines of an excerpt.
MOST = 8
LINES = 36


@contextmanager
def proving_unmet(
    build_log: BuildLog,
    store: Store,
    sources: Sequence[AptSource],
    arch: str,
    depends: str,
    conflicts: str,
    debs: Sequence[Package],
) -> Iterator[None]:
    """What apt finds unmet inside is put to dose3. Errors: DepsStepFailed, with both their words."""
    try:
        yield
    except DepsUnmet as error:
        build_log.line(f"E: {error}")
        build_log.subsubsection("dose3")
        unmet: tuple[Unmet, ...] = ()
        hint = error.hint
        try:
            said = ask_dose(store, sources, arch, depends, conflicts, debs=debs)
        except Failure as problem:
            build_log.line(f"W: dose3 could not be asked: {problem}")
        else:
            build_log.line(said.strip())
            unmet = parse_report(said, arch=arch)
            if unmet and all(reason.kind == "conflict" for reason in unmet):
                hint = "no versions of these can be installed together: one must go, or the archive must change"
            if not unmet:
                hint = "dose3 finds packages that would do: apt takes the first alternative that exists, and obeys pins"
                build_log.line("I: dose3 finds packages that would do")
        raise DepsStepFailed(make_report(str(error), unmet, hint=hint)) from error


def make_report(apt: str, unmet: tuple[Unmet, ...], *, hint: str) -> FailureReport:
    """dose3's sentences as the message where there are any, else apt's line that names a package."""
    told = [list(describe_unmet(reason)) for reason in unmet]
    words = [STAND_IN.sub("build-dependencies", line.strip()) for line in apt.splitlines() if line.strip()]
    named = next((line for line in words if "Depends:" in line or "Conflicts:" in line), (words or ["apt failed"])[-1])
    message = "; ".join(lines[0] for lines in told[:MOST]) or named
    excerpt = [*(line for lines in told for line in lines), "apt:", *words]
    return FailureReport(
        stage="resolve", kind="dependency", message=message, excerpt=tuple(excerpt[:LINES]), hint=hint, unmet=unmet
    )
