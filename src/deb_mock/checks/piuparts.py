"""piuparts: install, remove, purge, and upgrade from the archive's version; what stays behind. Source: piuparts(1).

It works on a copy of the testbed inside our sandbox; the mounts that it makes are the sandbox's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from deb_mock.checks.bed import LOWER, Bed, has_memory
from deb_mock.checks.model import Check, Finding, Found, Level, NotRun

#: `0m7.1s ERROR: FAIL: Package purging left files on system:`
LINE = re.compile(r"^\d+m[\d.]+s (ERROR|WARNING|INFO|DEBUG|DUMP): (.*)$")
DETAIL = re.compile(r"^  (/\S+|\S.*)$")
#: What the message begins with → tag.
TAGS = (
    ("purging left files", "files-left-after-purge"),
    ("modified after", "files-modified"),
    ("files have been modified", "files-modified"),
    ("have disappeared", "files-removed"),
    ("left processes", "processes-left"),
    ("left processes running", "processes-left"),
    ("broken symlinks", "broken-symlinks"),
    ("debsums", "debsums"),
    ("Command failed", "command-failed"),
    ("diversion", "diversions"),
    ("purging test", "verdict"),
)
#: Memory that a run on a file system in memory may take, bytes: two copies of the root and what is installed.
ROOM = 4 << 30
#: Runs as root in the sandbox. `$1`: a directory on the disk, `$2`: where piuparts works, then the lower directories,
#: `--`, and the .changes and options.
SCRIPT = """set -eu
disk=$1 work=$2; shift 2
lowers=$1; shift
while [ "$1" != -- ]; do lowers="$lowers:$1"; shift; done; shift
mkdir -p "$disk/upper" "$disk/work" "$disk/root" "$work"
mount -t overlay overlay -o "userxattr,lowerdir=$lowers,upperdir=$disk/upper,workdir=$disk/work" "$disk/root"
exec piuparts --existing-chroot="$disk/root" --tmpdir="$work" --keep-sources-list --no-eatmydata "$@"
"""


def parse_log(text: str, source: str) -> Iterator[Finding]:
    """Errors and warnings of a piuparts log, each with the first lines of its detail."""
    current: tuple[Level, str, list[str]] | None = None
    for line in [*text.splitlines(), "0m0.0s INFO: end"]:
        match = LINE.match(line)
        if match is None:
            if current is not None and (detail := DETAIL.match(line)):
                current[2].append(detail[1].strip())
            continue
        if current is not None:
            yield _finding(*current, source)
            current = None
        if match[1] in ("ERROR", "WARNING"):
            level: Level = "error" if match[1] == "ERROR" else "warning"
            current = (level, match[2].removeprefix("FAIL: ").removeprefix("WARN: "), [])


def _finding(level: Level, message: str, details: list[str], source: str) -> Finding:
    tag = next((tag for words, tag in TAGS if words in message), "other")
    shown = "; ".join(details[:8]) + (f"; and {len(details) - 8} more" if len(details) > 8 else "")
    return Finding(level, tag, source, f"{message.rstrip(':')}: {shown}" if shown else message)


def run_check(bed: Bed) -> Found:
    debs = bed.subject.debs
    if not debs:
        raise NotRun("the .changes names no binary package")
    layer = bed.tools(CHECK.packages)
    lowers = bed.ready.lowers()
    with bed.open(layer, {deb.name: deb for deb in debs}) as space:
        disk = f"{space.surroundings.mount}/testbed"
        work = "/tmp/piuparts" if has_memory(ROOM, bed.site.limits) else f"{disk}/piuparts"  # noqa: S108 -- inside
        places = [f"{LOWER}/{n}" for n in range(len(lowers))]
        words = [
            f"--distribution={bed.site.choice.suite}",
            "--warn-on-others",
            *bed.options(CHECK.name),
            *(deb.name for deb in debs),
        ]
        ran = bed.run(
            space,
            ["sh", "-c", SCRIPT, "piuparts", disk, work, *places, "--", *words],
            root=True,
            apt=True,
            lowers=bed.ready,
        )
    findings = tuple(parse_log(ran.text, bed.subject.source))
    if ran.status != 0 and not any(finding.level == "error" for finding in findings):
        raise NotRun(f"piuparts itself failed with status {ran.status}; see its log")
    if ran.status == 0 and "PASS: All tests." not in ran.text:
        raise NotRun("piuparts ended without a verdict; see its log")
    return Found(findings, bed.version_of(layer, "piuparts"))


CHECK = Check("piuparts", "the packages install, upgrade and leave nothing behind", ("piuparts", "mount"), run_check)
