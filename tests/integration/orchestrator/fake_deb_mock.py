"""Stands in for deb-mock where a test is about the farm: `build --job DIR` makes a valid job directory at once, and
`check --job DIR` reports what was ordered: of a source `shoddy…` lintian fails.

What it does is said by the source's name: `broken…` fails, `sleepy…` sleeps at its first attempt, `slow…` for 3 s,
`held…` waits for a file `go-SOURCE` beside RUNS, `thief…` sends another source's package, `leaky…` prints all the
secrets that it finds. Each run adds a line to RUNS.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deb_orchestrator.domain.source import Source, parse_source
from debcore.command import run
from debcore.deb822 import parse_stanza
from debcore.job import CheckFinding, CheckReport, EventLog, FailureReport, JobDirectory, Output, Result, Status


def main(argv: list[str]) -> int:
    if argv == ["job-api"]:
        print('{"tool": "deb-mock", "api": [1], "kinds": ["build", "check"]}')
        return 0
    assert argv[1] == "--job"
    if argv[0] == "check":
        return check(JobDirectory(Path(argv[2])))
    assert argv[0] == "build"
    directory = JobDirectory(Path(argv[2]))
    job = directory.load_job()
    assert job.source is not None
    for one in job.inputs:
        assert hashlib.sha256((directory.path / one.path).read_bytes()).hexdigest() == one.sha256
    source = parse_source(parse_stanza((directory.path / job.source).read_bytes()))
    with Path(os.environ["RUNS"]).open("a") as runs:
        runs.write(f"{source.name} {job.attempt} {os.getpid()}\n")
    log = directory.log_path.open("w")
    print(f"building {source.name}", *[f"from {uri} {one.suites[0]}" for one in job.target.sources for uri in one.uris],
          file=log, flush=True)  # fmt: skip
    found = ""
    if source.name.startswith("leaky"):
        found = (
            directory.path.joinpath("job.json").read_text() + directory.path.parent.joinpath("claim.json").read_text()
        )
        Path(f"{os.environ['RUNS']}.seen").write_text(found)
        print(found, file=log, flush=True)
    if source.name.startswith("sleepy") and job.attempt == 1:
        time.sleep(300)
    while source.name.startswith("held") and not Path(os.environ["RUNS"]).with_name(f"go-{source.name}").exists():
        time.sleep(0.05)
    lock = json.dumps({"packages": [], "seen": found})
    (directory.path / "lock.json").write_text(lock)
    events = EventLog(directory.events_path, job=job.job, attempt=job.attempt)
    digest = hashlib.sha256(lock.encode()).hexdigest()
    events.emit("environment.ready", lock="lock.json", lock_sha256=digest, packages=0)
    if source.name.startswith("slow"):
        time.sleep(3)
    outputs = [directory.output("lock.json", "lock")]
    debs = []
    failure = None
    if source.name.startswith("broken"):
        failure = FailureReport(stage="build", kind="compile", message="main.c:1: error: no")
    elif source.name.startswith("leaky"):
        failure = FailureReport(stage="build", kind="compile", message=found, excerpt=(found,))
    else:
        names = ["bash"] if source.name.startswith("thief") else [one.name for one in source.binaries]
        for name in names:
            debs.append(directory.output(make_deb(directory.path, name, source.name, source.version), "deb"))
        outputs += [*debs, make_changes(directory, source, debs)]
    print("the end", file=log, flush=True)
    outputs.append(directory.output("build.log", "log"))
    status = Status.FAILED if failure else Status.BUILT
    events.emit("build.complete", status=status)
    directory.write_result(
        Result(job=job.job, attempt=job.attempt, status=status, outputs=tuple(outputs), failure=failure,
               source=source.name, version=source.version, arch=job.target.arch, lock_sha256=digest)
    )  # fmt: skip
    return status.exit_status


def check(directory: JobDirectory) -> int:
    """All inputs must be what the job says; each check leaves a log."""
    job = directory.load_job()
    assert job.kind == "check"
    assert job.source is not None
    for one in job.inputs:
        assert hashlib.sha256((directory.path / one.path).read_bytes()).hexdigest() == one.sha256
    changes = parse_stanza((directory.path / job.source).read_bytes())
    reports = []
    for name in job.checks.names:
        (directory.path / f"{name}.log").write_text(f"{name} of {changes['Source']}\n")
        bad = name == "lintian" and changes["Source"].startswith("shoddy")
        found = CheckFinding(level="error", tag="no-copyright", subject=changes["Source"], text="<i>", action="fatal")
        reports.append(
            CheckReport(
                name=name, outcome="failed" if bad else "passed", fatal=bad, tool=f"{name} 1",
                log=f"{name}.log", findings=(found,) if bad else (), counts={"error": 1} if bad else {},
            )
        )  # fmt: skip
    failed = any(report.fatal for report in reports)
    failure = FailureReport(stage="check-lintian", kind="lintian gate", message="no-copyright") if failed else None
    result = Result(
        job=job.job, attempt=job.attempt, status=Status.FAILED if failed else Status.BUILT, checks=tuple(reports),
        failure=failure, outputs=tuple(directory.output(f"{report.name}.log", "log") for report in reports),
    )  # fmt: skip
    directory.write_result(result)
    return result.status.exit_status


def make_changes(directory: JobDirectory, source: Source, debs: Sequence[Output]) -> Output:
    sums = "".join(f"\n {deb.sha256} {deb.size} {deb.path}" for deb in debs)
    path = f"{source.name}_{source.version}_amd64.changes"
    (directory.path / path).write_text(
        f"Format: 1.8\nSource: {source.name}\nBinary: {' '.join(deb.path.split('_')[0] for deb in debs)}\n"
        f"Architecture: amd64\nVersion: {source.version}\nChecksums-Sha256:{sums}\n"
    )
    return directory.output(path, "changes")


def make_deb(directory: Path, name: str, source: str, version: str) -> str:
    tree = directory / f"tree-{name}"
    (tree / "DEBIAN").mkdir(parents=True)
    origin = f"Source: {source}\n" if name != source else ""
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: T <t@example.org>\n{origin}"
        "Description: a test\n"
    )
    path = f"{name}_{version}_amd64.deb"
    run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, directory / path])
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
