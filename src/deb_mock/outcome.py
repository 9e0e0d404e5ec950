"""From an exception to a result, and from a result to what a person reads at the end."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from deb_mock.buildtype import NothingToBuild
from debcore.cli import printable
from debcore.errors import BuildFailed, CommandFailed, DepsUnmet, Failure, HostFailed, Interrupted, LimitHit, find_full
from debcore.job import FailureReport, Limits, Result, Status
from debroot.indexes import MAKE_ROOM

STATUSES: tuple[tuple[type[BaseException], Status], ...] = (
    (BuildFailed, Status.FAILED),
    (DepsUnmet, Status.DEPS),
    (HostFailed, Status.HOST),
    (LimitHit, Status.LIMIT),
    (Failure, Status.INVALID),
    (Interrupted, Status.CANCELLED),
)
#: sbuild's words for the log's summary.
SBUILD_STATUS = {
    Status.BUILT: "successful",
    Status.FAILED: "attempted",
    Status.DEPS: "given-back",
    Status.INVALID: "failed",
    Status.HOST: "given-back",
    Status.LIMIT: "attempted",
    Status.CANCELLED: "failed",
}


def sbuild_status(result: Result) -> str:
    """sbuild's word for how it ended."""
    if result.failure and result.failure.kind == "architecture":
        return "skipped"
    return SBUILD_STATUS[result.status]


class Explained(Exception):
    """Marks failures that carry the report of what stands in the log."""

    report: FailureReport


class StepFailed(BuildFailed, Explained):
    """The package's own step failed; `report` tells where in the log."""

    def __init__(self, report: FailureReport) -> None:
        super().__init__(report.message, hint=report.hint)
        self.report = report


class HostStepFailed(HostFailed, Explained):
    """A step failed for a reason that lies in the host, such as a full disk."""

    def __init__(self, report: FailureReport) -> None:
        super().__init__(report.message, hint=report.hint)
        self.report = report


class LimitStepFailed(LimitHit, Explained):
    """A step ran into a limit and said so itself."""

    def __init__(self, report: FailureReport) -> None:
        super().__init__(report.message, hint=report.hint)
        self.report = report


class DepsStepFailed(DepsUnmet, Explained):
    """Dependencies cannot be met; `report` says which and why."""

    def __init__(self, report: FailureReport) -> None:
        super().__init__(report.message, hint=report.hint)
        self.report = report


def fail_step(report: FailureReport, limits: Limits) -> Failure:
    """The failure that *report* amounts to. A full disk and a full table of processes are the limit's where one was
    set, and else the host's."""
    given = {"disk": limits.disk, "processes": limits.processes}
    if report.kind in given:
        return HostStepFailed(report) if given[report.kind] is None else LimitStepFailed(report)
    if report.kind == "memory":
        return LimitStepFailed(report)
    return StepFailed(report)


def status_of(error: BaseException) -> Status:
    if isinstance(error, OSError):
        return Status.HOST
    return next(status for kind, status in STATUSES if isinstance(error, kind))


def report_of(error: BaseException, *, stage: str) -> FailureReport:
    """What result.json says about *error*."""
    if isinstance(error, Explained):
        return error.report
    if isinstance(error, Interrupted):
        return FailureReport(stage=stage, kind="cancelled", message=f"stopped by {error}")
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = MAKE_ROOM if full else ""
        return FailureReport(stage=stage, kind="disk" if full else "host", message=str(error), hint=hint)
    excerpt: tuple[str, ...] = ()
    if isinstance(error, CommandFailed):
        from deb_mock.classify import split_lines

        excerpt = tuple(line.text for line in split_lines(error.output.encode(), 0))[-24:]
    hint = error.hint if isinstance(error, Failure) else ""
    kind = _kind(error, stage)
    message = str(error)
    if kind == "disk":
        hint = hint or MAKE_ROOM
        if isinstance(error, CommandFailed) and (line := find_full(error.output)):
            message = f"{error.argv[0]}: {line}"
    return FailureReport(stage=stage, kind=kind, message=message, excerpt=excerpt, hint=hint)


def _kind(error: BaseException, stage: str) -> str:
    text = f"{error} {error.output}" if isinstance(error, CommandFailed) else str(error)
    if find_full(text):
        return "disk"
    if isinstance(error, DepsUnmet):
        return "dependency"
    if isinstance(error, LimitHit):
        words = {
            "memory": "memory",
            "disk": "disk",
            "printed nothing": "silence",
            "printed more": "log",
            "process": "processes",
        }
        return next((kind for word, kind in words.items() if word in text), "time")
    if isinstance(error, HostFailed):
        return "host"
    if isinstance(error, NothingToBuild):
        return "architecture"
    if "signature" in text or "signed" in text:
        return "signature"
    return "source" if stage == "source" else "input"


def translate_install(error: CommandFailed) -> Failure:
    """Installing dependencies failed: a full disk is the host's fault, a maintainer script the archive's."""
    from deb_mock.classify import Line, explain

    lines = [Line(0, text) for text in error.output.splitlines()]
    text = "\n".join(line.text for line in lines)
    if find_full(text):
        report = explain(lines, stage="install").model_copy(update={"log_offset": None})
        return HostStepFailed(report)
    broken = [
        line.text for line in lines if "error processing" in line.text or "subprocess returned error" in line.text
    ]
    if broken:
        failure = DepsUnmet(
            f"a dependency cannot be installed: {broken[0].strip()}",
            hint="its maintainer script failed; scripts have no network (Policy 4.9), as nothing else in a build has",
        )
        failure.__cause__ = error
        return failure
    return error


def describe(result: Result, *, log: str) -> Iterator[str]:
    """What a person sees at the end of a build that failed: class, first error, excerpt, hint; no wall of text."""
    failure = result.failure
    assert failure is not None
    kind = "" if failure.kind in ("unknown", "input") else f" ({failure.kind})"
    yield f"{_WORDS[result.status]} in stage {failure.stage}{kind}: {printable(failure.message)}"
    excerpt = failure.excerpt[1:] if failure.excerpt[:1] == (failure.message,) else failure.excerpt  # it is said
    yield from (f"  | {printable(line)}" for line in excerpt[:24] if line.strip())
    if failure.log_offset is not None:
        yield f"  {log}, from byte {failure.log_offset}"
    if failure.hint:
        yield f"  [{printable(failure.hint)}]"


_WORDS = {
    Status.INVALID: "input refused",
    Status.FAILED: "the package failed to build",
    Status.DEPS: "dependencies cannot be met",
    Status.HOST: "this host failed",
    Status.LIMIT: "a limit was hit",
    Status.CANCELLED: "cancelled",
}
