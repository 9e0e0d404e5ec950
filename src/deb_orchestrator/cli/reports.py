"""What checks found, in lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from debcore.cli import printable
from debcore.hub.checks import BuildCheck
from debcore.job import CheckReport

#: Findings of one check, and characters of one finding, that are printed; `--json` has all.
SHOWN = 20
WIDTH = 240


def describe_checks(build: int, checks: Sequence[BuildCheck]) -> list[str]:
    """A head for each order, a line for each check, and what the policy minds."""
    return [printable(line) for one in checks for line in _describe(build, one)]


def _describe(build: int, one: BuildCheck) -> Iterator[str]:
    what = "gate" if one.gate else "check"
    where = f", on {one.agent}" if one.agent else ""
    yield f"{what} {one.id} {one.arch}: {one.state}, asked for by {one.by}{where}"
    if one.reason and not any(report.fatal for report in one.reports):
        yield f"  {one.reason}"
    if one.failure is not None and one.failure.hint and not one.reports:
        yield f"  [{one.failure.hint}]"
    for report in one.reports:
        yield f"  {describe_report(report)}"
        minded = [f for f in report.findings if f.action in ("fatal", "warn") and report.outcome != "not-run"]
        for finding in minded[:SHOWN]:
            text = f"{finding.action}: {finding.level}: {finding.subject}: {finding.tag} {finding.text}"
            yield f"    {text.strip()[:WIDTH]}"
        if len(minded) > SHOWN:
            yield f"    and {len(minded) - SHOWN} more"
        if report.fatal:
            yield f"    [deb-orchestrator logs {build} --check {one.id}/{report.name}]"


def describe_report(report: CheckReport) -> str:
    if report.outcome == "not-run":
        return f"{report.name}: not run: {report.reason}"
    counts = ", ".join(f"{n} {level}" for level, n in report.counts.items())
    return f"{report.name}: {report.outcome}{f' ({counts})' if counts else ''}"
