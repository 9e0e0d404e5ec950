"""A check of packages that are built already: the top of `deb-mock check`. Its directory is like a build's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from deb_mock.buildlog import BuildLog
from deb_mock.checks.bed import Site
from deb_mock.checks.gate import check_gate, describe, run_gate, show_findings
from deb_mock.checks.registry import find_checks
from deb_mock.checks.subject import Subject, load_subject
from deb_mock.config import Choice
from deb_mock.dsc import Dsc
from deb_mock.order import Gate, Identity, Order
from deb_mock.outcome import report_of, status_of
from deb_mock.recorder import Recorder
from deb_mock.roots import find_sources, make_base
from deb_mock.state import Deadline, State
from debcore.errors import Failure, HostFailed, Interrupted
from debcore.job import AptSource, CheckReport, JobDirectory, Limits, Output, Result, Status
from debroot.store import Store


@dataclass(frozen=True, kw_only=True)
class CheckOrder:
    """Which packages, against what, and where the results go."""

    changes: Path
    choice: Choice
    directory: Path
    gate: Gate
    identity: Identity = field(default_factory=Identity)
    extra: tuple[AptSource, ...] = ()
    log: Path | None = None  #: the build log, where it is not beside the packages
    timeout: float | None = None  #: seconds for all of it


def limits_of(choice: Choice) -> Limits:
    limits = choice.settings.limits
    return Limits(memory=limits.memory, disk=limits.disk, processes=limits.processes, silence_s=limits.silence)


def run_checks(order: CheckOrder, store: Store) -> Result:
    """Run the checks of *order*; result.json comes last, whatever happened. Raises only Interrupted and HostFailed."""
    directory = JobDirectory(order.directory)
    recorder = Recorder(order, directory)
    subject: Subject | None = None
    reports: tuple[CheckReport, ...] = ()
    problem: BaseException | None = None
    try:
        with recorder.running("source"):
            subject = load_subject(order.changes, log=order.log)
        sources = find_sources(order.choice, extra=order.extra)
        with recorder.running("root", f"Preparing the {order.choice.preset.name} root"):
            base = make_base(store, order.choice, sources)
        site = Site(
            store=store, choice=order.choice, sources=sources, base=base, subject=subject,
            limits=limits_of(order.choice), remaining=Deadline(order.timeout).remaining,
        )  # fmt: skip
        reports = run_gate(site, find_checks(order.gate.checks), order.gate.policy, recorder, directory)
        check_gate(reports)
    except (Failure, OSError, Interrupted) as error:
        problem = error
    result = Result(
        job=order.identity.job,
        attempt=order.identity.attempt,
        status=Status.BUILT if problem is None else status_of(problem),
        outputs=logs_of(directory, reports),
        failure=None if problem is None else report_of(problem, stage=recorder.stage),
        stages=tuple(recorder.stages),
        source=subject.source if subject else None,
        version=subject.version if subject else None,
        arch=order.choice.arch,
        checks=reports,
    )
    try:
        recorder.build_complete(result)
        recorder.close()
        directory.write_result(result)
    except OSError as error:
        raise HostFailed(
            f"the result cannot be written: {error}", hint="make room, or choose another --resultdir"
        ) from (problem or error)
    if isinstance(problem, Interrupted):
        raise problem
    return result


def check_build(order: Order, store: Store, recorder: Recorder, build_log: BuildLog, state: State, dsc: Dsc) -> None:
    """Check what *order* has just built; reports and logs go to *state*. Errors: GateFailed by the policy."""
    assert order.gate is not None
    directory = JobDirectory(order.directory)
    changes = next(order.directory / output.path for output in state.outputs if output.kind == "changes")
    sources = find_sources(order.choice, extra=order.extra)
    site = Site(
        store=store, choice=order.choice, sources=sources, base=make_base(store, order.choice, sources),
        subject=load_subject(changes, dsc=dsc, log=build_log.path), limits=order.limits, remaining=state.remaining,
        options=order.gate.options,
    )  # fmt: skip
    build_log.subsection("Post Build")
    state.checks = run_gate(site, find_checks(order.gate.checks), order.gate.policy, recorder, directory)
    for report in state.checks:
        build_log.subsubsection(report.name)
        if order.gate.as_sbuild and report.log:
            copy_log(directory.path / report.log, build_log)
        build_log.line(f"I: {describe(report)}")
        for line in show_findings(report):
            build_log.line(f"  {line}")
    state.outputs = (*state.outputs, *logs_of(directory, state.checks))
    if not order.gate.as_sbuild:
        check_gate(state.checks)


def copy_log(path: Path, build_log: BuildLog) -> None:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            build_log.write(block)


def logs_of(directory: JobDirectory, reports: tuple[CheckReport, ...]) -> tuple[Output, ...]:
    return tuple(directory.output(report.log, "log") for report in reports if report.log)
