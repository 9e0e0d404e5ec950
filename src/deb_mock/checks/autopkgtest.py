"""autopkgtest: the package's own tests (debian/tests), on the packages as they are installed. Source: autopkgtest(1).

Each test starts in a testbed of its own where it asks for that: the overlay is thrown away. There is no init system in
it and no network but apt-only, so tests that need more are reported as not run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from deb_mock.checks.bed import LOWER, Bed
from deb_mock.checks.model import NO_TESTS, Check, Finding, Found, NotRun
from deb_mock.dsc import Dsc
from deb_mock.roots import find_sources
from debcore.errors import Failure
from debroot.resolve import fetch_source

SERVER = Path(__file__).parent / "inside" / "autopkgtest-virt-overlay"

#: Exit statuses after which the tests themselves have not decided anything.
BROKEN = {
    16: "the testbed failed",
    20: "autopkgtest failed unexpectedly",
}
ERRONEOUS = (12, 14)
#: What a test may demand and does not get here; breaks-testbed it gets.
RESTRICTIONS = ("isolation-machine", "isolation-container", "needs-internet", "needs-reboot", "needs-sudo")
LINE = re.compile(r"^(\S+)\s+(PASS|FAIL|SKIP|FLAKY)(?:\s+(.*))?$")
#: Runs as root in the sandbox. `$1`: testbed directory, then the lower directories, `--`, and words for autopkgtest.
SCRIPT = """set -eu
server="$PWD/autopkgtest-virt-overlay"; chmod 755 "$server"
place=$1; shift
lowers=; while [ "$1" != -- ]; do lowers="$lowers $1"; shift; done; shift
status=0
autopkgtest --no-built-binaries --needs-internet=skip --summary-file=summary "$@" \\
    -- "$server" "$place" $lowers || status=$?
echo "@@ summary"
cat summary
exit $status
"""


def parse_summary(text: str) -> Iterator[Finding]:
    """Lines of autopkgtest's summary: `name  PASS|FAIL|SKIP|FLAKY reason`. A pass is no finding."""
    for line in text.splitlines():
        if not (match := LINE.match(line)):
            continue
        name, word, reason = match[1], match[2], match[3] or ""
        if word == "FAIL":
            yield Finding("error", "test-failed", name, reason)
        elif word == "FLAKY":
            yield Finding("info", "flaky-test-failed", name, reason)
        elif word == "SKIP":
            yield Finding("not-run", restriction_of(reason), name, reason)
        elif "superficial" in reason:
            yield Finding("info", "superficial-test", name, reason)


def restriction_of(reason: str) -> str:
    """The restriction that a test was skipped for, or `skipped`."""
    return next((word for word in RESTRICTIONS if word in reason), "skipped")


def run_check(bed: Bed) -> Found:
    layer = bed.tools(CHECK.packages)
    lowers = bed.ready.lowers()
    with TemporaryDirectory(prefix="deb-mock-check-") as scratch:
        dsc = find_dsc(bed, Path(scratch))
        if not has_tests(dsc):
            raise NotRun("the source package has no tests (no field Testsuite)", tag=NO_TESTS)
        files = {path.name: path for path in (*dsc.all_files, *bed.subject.debs)}
        with bed.open(layer, {**files, SERVER.name: SERVER}) as space:
            places = [f"{LOWER}/{n}" for n in range(len(lowers))]
            words = [*bed.options(CHECK.name), *(f"./{deb.name}" for deb in bed.subject.debs), f"./{dsc.name}"]
            argv = ["sh", "-c", SCRIPT, "autopkgtest", f"{space.surroundings.mount}/testbed", *places, "--", *words]
            ran = bed.run(space, argv, root=True, apt=True, lowers=bed.ready)
    summary = ran.text.rpartition("@@ summary\n")[2]
    return Found(conclude(ran.status, summary, bed.subject.source), bed.version_of(layer, "autopkgtest"))


def conclude(status: int, summary: str, source: str) -> tuple[Finding, ...]:
    """Findings of a run. Errors: NotRun if no test has said anything."""
    findings = tuple(dict.fromkeys(parse_summary(summary)))  # what is skipped stands there twice
    last = summary.strip().splitlines()[-1:] or ["it left no summary"]
    if status in ERRONEOUS:
        return (*findings, Finding("error", "erroneous-package", source, last[0]))
    if status in BROKEN or status < 0:
        raise NotRun(f"{BROKEN.get(status, f'autopkgtest was ended by signal {-status}')}: {last[0]}")
    tried = [match[2] for line in summary.splitlines() if (match := LINE.match(line)) and match[2] != "SKIP"]
    if not tried:
        reasons = "; ".join(dict.fromkeys(f"{f.subject}: {f.text}" for f in findings))
        raise NotRun(f"no test could be tried here: {reasons or last[0]}", tag=NO_TESTS)
    if status in (4, 6) and not any(finding.level == "error" for finding in findings):
        return (*findings, Finding("error", "test-failed", source, last[0]))
    return findings


def has_tests(dsc: Dsc) -> bool:
    return any(word.strip().startswith("autopkgtest") for word in dsc.fields.get("Testsuite", "").split(","))


def find_dsc(bed: Bed, scratch: Path) -> Dsc:
    """The source package: beside the packages, or the archive's of the same version. Errors: NotRun."""
    subject = bed.subject
    if subject.dsc is not None:
        return subject.dsc
    site = bed.site
    try:
        sources = find_sources(site.choice, source=True)
        name, content = fetch_source(
            site.store, sources=sources, name=subject.source, version=subject.source_version, max_age=bed.max_age
        )
    except Failure as error:
        raise NotRun(f"its source package is not beside it, and the archive does not give it: {error}") from error
    from deb_mock.dsc import check_files, load_dsc

    for file, data in content.items():
        (scratch / file).write_bytes(data)
    dsc = load_dsc(scratch / name)
    check_files(dsc)
    return dsc


CHECK = Check(
    "autopkgtest", "the package's own tests pass on the installed packages", ("autopkgtest", "mount"), run_check
)
