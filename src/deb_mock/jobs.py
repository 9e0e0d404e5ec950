"""Job directories: a build or a check as an agent hands it over. All is read from and written to one directory."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from deb_mock.addition import Addition, make_addition
from deb_mock.buildlog import BuildLog
from deb_mock.config import choose
from deb_mock.order import Identity, Order
from deb_mock.outcome import report_of, status_of
from deb_mock.settings import Layer, check_layer
from deb_mock.source import DscSource
from debcore.errors import ConfigError, Failure, HostFailed, Interrupted
from debcore.job import Job, JobDirectory, Result, Status
from debcore.trace import tracing

if TYPE_CHECKING:
    from deb_mock.reproduce import Check

#: What deb-mock runs in a job directory; the verb has the same name.
Kind = Literal["build", "check"]


def run_job(path: Path, *, kind: Kind = "build") -> int:
    """Run the job of *kind* in *path* and return the exit status of its result. SIGTERM cancels: the result says so.

    Errors: Failure if there is no job.json to answer.
    """
    directory = JobDirectory(path.absolute())
    job = directory.load_job()
    with tracing(job.trace):
        return _run(job, directory, kind)


def _run(job: Job, directory: JobDirectory, kind: Kind) -> int:
    path = directory.path
    if (directory.path / "result.json").exists():
        raise Failure(f"{path} has a result already", hint="a job directory is used once; make a new attempt")
    try:
        check_job(job, kind)
        result = _check(job, directory) if kind == "check" else _build(job, directory)
    except (Failure, OSError, Interrupted) as error:
        result = refuse(job, error)
        try:
            directory.write_result(result)
        except OSError as full:
            raise HostFailed(f"the result cannot be written: {full}", hint=f"make room for {path}") from error
    return result.status.exit_status


def check_job(job: Job, kind: Kind) -> None:
    """Errors: ConfigError if *job* is for another verb, or names secrets."""
    if job.kind != kind:
        hint = f"run it with deb-mock {job.kind} --job" if job.kind in get_args(Kind) else ""
        raise ConfigError("job.json:kind", f"deb-mock {kind} runs jobs of kind {kind}, not {job.kind}", hint=hint)
    if job.secrets:
        raise ConfigError("job.json:secrets", f"a {kind} gets no secrets")


def _check(job: Job, directory: JobDirectory) -> Result:
    from deb_mock.checks.job import make_check_order
    from deb_mock.checks.run import run_checks
    from debroot.store import Store

    order = make_check_order(job, directory)
    try:
        return run_checks(order, Store.open())
    except Interrupted:
        if (found := directory.find_result()) is None:
            raise
        return found


def _build(job: Job, directory: JobDirectory) -> Result:
    from deb_mock.build import run_build
    from debroot.store import Store

    order = make_order(job, directory)
    build_log = BuildLog(directory.log_path)
    try:
        return run_build(order, Store.open(), build_log)
    except Interrupted:
        if (found := directory.find_result()) is None:
            raise
        return found
    finally:
        with contextlib.suppress(OSError):
            build_log.close()


def make_order(job: Job, directory: JobDirectory) -> Order:
    """The build that *job* describes, its inputs checked. Errors: ConfigError."""
    if job.source is None:
        raise ConfigError("job.json:source", "names no .dsc")
    check_inputs(job, directory.path)
    target = job.target
    choice = choose(preset=target.preset, arch=target.build_arch or target.arch, options=[job_layer(job)])
    from deb_mock.dsc import load_dsc

    dsc_path = directory.path / job.source
    if dsc_path.is_symlink():
        raise ConfigError("job.json:source", "is a symbolic link")
    return Order(
        source=DscSource(load_dsc(dsc_path)),
        choice=choice,
        directory=directory.path,
        identity=identity_of(job),
        extra=job.target.sources,
        distribution=job.target.distribution,
        timeout=job.deadline_s,
        addition=find_addition(job),
        check=find_check(job),
        plain_logs=True,
    )


def find_addition(job: Job) -> Addition | None:
    """The changelog entry of a binNMU. Errors: ConfigError."""
    if job.binnmu is None:
        return None
    return make_addition(
        binnmu=job.binnmu.number, reason=job.binnmu.reason, suffix=None, timestamp=None,
        maintainer=job.binnmu.maintainer, entry=None, environment=lambda _name: None,
    )  # fmt: skip


def find_check(job: Job) -> Check | None:
    """The verification that is asked for. Errors: ConfigError on variations that there are not."""
    from deb_mock.reproduce import Check
    from deb_mock.variations import choose_variations

    if job.verify is None:
        return None
    return Check(vary=choose_variations(job.verify.vary), find_variation=job.verify.find_variation)


def identity_of(job: Job) -> Identity:
    return Identity(job=job.job, attempt=job.attempt, request=job.request, build=job.build)


def job_layer(job: Job) -> Layer:
    """The job's own settings: they win over those of the host's files, but for limits that the host sets lower."""
    target, limits = job.target, job.limits
    build: dict[str, object] = {
        "type": target.build,
        "profiles": list(target.profiles),
        "options": list(target.options),
    }
    if target.build_arch not in (None, target.arch):
        build["host"] = target.arch
    asked = {
        "memory": limits.memory,
        "disk": limits.disk,
        "processes": limits.processes,
        "silence": limits.silence_s,
        "log": limits.log,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return check_layer(Layer("job.json", {"build": build, "limits": given}))


def check_inputs(job: Job, path: Path) -> None:
    """Errors: ConfigError if an input is not the file that the job names by hash."""
    for entry in job.inputs:
        file = path / entry.path
        if file.is_symlink() or not file.is_file():
            raise ConfigError(f"job.json:inputs: {entry.path}", "is missing or no plain file")
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if (file.stat().st_size, digest) != (entry.size, entry.sha256):
            raise ConfigError(f"job.json:inputs: {entry.path}", f"has SHA-256 {digest}, not {entry.sha256}")


def refuse(job: Job, error: BaseException) -> Result:
    """The result of a job that could not even be started."""
    return Result(
        job=job.job,
        attempt=job.attempt,
        status=Status.CANCELLED if isinstance(error, Interrupted) else status_of(error),
        failure=report_of(error, stage="start"),
        arch=job.target.arch,
    )
