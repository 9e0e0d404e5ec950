"""A job directory of kind check: packages that were built elsewhere, checked as an agent hands them over."""

from __future__ import annotations

from pathlib import Path

from deb_mock.checks.registry import make_gate
from deb_mock.checks.run import CheckOrder
from deb_mock.config import choose
from deb_mock.jobs import check_inputs, identity_of, job_layer
from debcore.errors import ConfigError
from debcore.job import Job, JobDirectory


def make_check_order(job: Job, directory: JobDirectory) -> CheckOrder:
    """The checks that *job* describes, its inputs checked. Errors: ConfigError."""
    if job.source is None or not job.source.endswith(".changes"):
        raise ConfigError("job.json:source", "names no .changes")
    check_inputs(job, directory.path)
    wanted = job.checks
    gate = make_gate(wanted.names, file=find_input(job, directory, wanted.policy, "policy"), fail_on=wanted.fail_on)
    changes = find_input(job, directory, job.source, "source")
    assert changes is not None
    return CheckOrder(
        changes=changes,
        choice=choose(preset=job.target.preset, arch=job.target.arch, options=[job_layer(job)]),
        directory=directory.path,
        gate=gate,
        identity=identity_of(job),
        extra=job.target.sources,
        log=find_input(job, directory, wanted.log, "log"),
        timeout=job.deadline_s,
    )


def find_input(job: Job, directory: JobDirectory, path: str | None, field: str) -> Path | None:
    """The input *path*. Errors: ConfigError if it is none, so that nothing is read whose hash was not checked."""
    if path is not None and path not in {entry.path for entry in job.inputs}:
        raise ConfigError(f"job.json:{field}", f"{path} is none of the inputs")
    return directory.path / path if path is not None else None
