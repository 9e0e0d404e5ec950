"""The quality gate: runs checks on what a build made, lets the policy judge, and says what fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack

from deb_mock.buildlog import BuildLog
from deb_mock.checks.bed import Bed, Site
from deb_mock.checks.model import LEVELS, Check, Finding, Found, NotRun
from deb_mock.checks.policy import Policy
from deb_mock.outcome import StepFailed
from deb_mock.recorder import Recorder
from debcore.errors import DepsUnmet, Failure, LimitHit
from debcore.job import CheckFinding, CheckReport, FailureReport, JobDirectory

log = logging.getLogger(__name__)

#: Findings of one check that a report holds; its log has all.
MAX_FINDINGS = 1000
#: Characters of a finding that a person is shown.
SHOWN = 240


def run_gate(
    site: Site, checks: Sequence[Check], policy: Policy, recorder: Recorder, directory: JobDirectory
) -> tuple[CheckReport, ...]:
    """Run *checks* one after the other. Each leaves NAME.log in *directory*. Errors: HostFailed if a disk is full."""
    for waiver in policy.expired():
        log.warning("The waiver for %s %s ended on %s", waiver.check, waiver.tag, waiver.until)
    return tuple(_run_one(site, check, policy, recorder, directory) for check in checks)


def _run_one(site: Site, check: Check, policy: Policy, recorder: Recorder, directory: JobDirectory) -> CheckReport:
    begin = time.monotonic()
    check_log = BuildLog(directory.path / f"{check.name}.log")
    found, problem = Found(), None
    try:
        with recorder.running(stage_of(check.name), f"Checking: {check.name}"), ExitStack() as stack:
            found, problem = _try(check, Bed(site, check_log, stack))
            report = judge(check.name, found, problem, policy, source=site.subject.source)
            report = report.model_copy(
                update={"seconds": round(time.monotonic() - begin, 3), "log": f"{check.name}.log"}
            )  # fmt: skip
            recorder.progress(describe(report), check=check.name, outcome=report.outcome)
    finally:
        check_log.line(f"I: {check.name}: {problem or 'ended'}")
        check_log.close()
    return report


def _try(check: Check, bed: Bed) -> tuple[Found, NotRun | None]:
    try:
        return check.run(bed), None
    except NotRun as error:
        return Found(), error
    except LimitHit as error:  # the package's own code may have taken it
        bed.site.remaining()  # but if the time of all is over, that ends all
        return Found((Finding("error", "limit", bed.subject.source, str(error)),)), None
    except (DepsUnmet, Failure) as error:
        bed.log.line(f"E: {error}")
        return Found(), NotRun(str(error))


def stage_of(name: str) -> str:
    return f"check-{name}"


def judge(name: str, found: Found, problem: NotRun | None, policy: Policy, *, source: str) -> CheckReport:
    """The report of one check, findings sorted from grave to harmless. *problem*: why it did not run."""
    if problem is not None:
        found = Found((Finding("not-run", problem.tag, source, str(problem)),))
    ordered = sorted(found.findings, key=lambda finding: LEVELS.index(finding.level))
    judged = [
        CheckFinding(
            level=f.level, tag=f.tag, subject=f.subject, text=f.text, action=policy.judge(name, f, source=source)
        )
        for f in ordered
    ]  # fmt: skip
    fatal = any(finding.action == "fatal" for finding in judged)
    return CheckReport(
        name=name,
        outcome="not-run" if problem else "failed" if fatal else "passed",
        fatal=fatal,
        reason=str(problem or ""),
        tool=found.tool,
        findings=tuple(judged[:MAX_FINDINGS]),
        counts={level: n for level in LEVELS if (n := sum(f.level == level for f in ordered))},
    )


def describe(report: CheckReport) -> str:
    """One line for a person."""
    if report.outcome == "not-run":
        return f"{report.name}: not run: {report.reason}"
    counts = ", ".join(f"{n} {level}" for level, n in report.counts.items())
    return f"{report.name}: {report.outcome}{f' ({counts})' if counts else ''}"


def show_findings(report: CheckReport, *, all_of_them: bool = False) -> list[str]:
    """Lines with the findings that matter by the policy; what did not run is said by its reason alone."""
    if report.outcome == "not-run":
        return []
    return [
        f"{finding.action}: {finding.level}: {finding.subject}: {finding.tag} {finding.text}".rstrip()[:SHOWN]
        for finding in report.findings
        if all_of_them or finding.action in ("fatal", "warn")
    ]


class GateFailed(StepFailed):
    """The packages were built, and the policy refuses them."""


def check_gate(reports: Sequence[CheckReport]) -> None:
    """Errors: GateFailed if the policy says so."""
    fatal = [report for report in reports if report.fatal]
    if not fatal:
        return
    first = fatal[0]
    lines = [line for line in show_findings(first) if line.startswith("fatal")]
    said = lines[0].removeprefix("fatal: ") if lines else first.reason
    others = f"; also {', '.join(report.name for report in fatal[1:])}" if fatal[1:] else ""
    raise GateFailed(
        FailureReport(
            stage=stage_of(first.name),
            kind=f"{first.name} gate",
            message=f"{said}{others}"[:600],
            excerpt=tuple(lines[:24]),
            hint=f"see {first.log}; a policy file says what is fatal, and a waiver in it lets a known finding pass",
        )
    )
