"""A job of kind check as an order, and what is refused before anything is read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from deb_mock.checks.job import make_check_order
from deb_mock.jobs import run_job
from debcore.errors import ConfigError
from debcore.job import Job, JobDirectory, Status, Target

FILES = {"x_1_amd64.changes": b"Source: x\n", "policy.toml": b"[lintian]\nwarning = 'fatal'\n", "in/x.log": b"a log\n"}


def make_job(path: Path, **changes: object) -> Job:
    (path / "in").mkdir()
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    inputs = [
        {"path": name, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in FILES.items()
    ]
    fields: dict[str, object] = {
        "kind": "check",
        "job": "7",
        "attempt": 2,
        "source": "x_1_amd64.changes",
        "inputs": inputs,
        "target": Target(preset="debian-trixie-amd64", arch="amd64").model_dump(),
        "checks": {"names": ["blhc", "lintian"], "policy": "policy.toml", "log": "in/x.log"},
        "limits": {"memory": 5},
        "deadline_s": 100,
    }
    return Job.model_validate(fields | changes)


def test_a_job_becomes_an_order(tmp_path: Path) -> None:
    order = make_check_order(make_job(tmp_path), JobDirectory(tmp_path))
    assert (order.changes, order.log, order.directory) == (
        tmp_path / "x_1_amd64.changes", tmp_path / "in/x.log", tmp_path,
    )  # fmt: skip
    assert order.gate.checks == ("lintian", "blhc")
    assert order.gate.policy.action("lintian", "warning") == "fatal"
    assert (order.identity.job, order.identity.attempt, order.timeout) == ("7", 2, 100)
    assert order.choice.settings.limits.memory == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": None}, "names no .changes"),
        ({"source": "x_1.dsc"}, "names no .changes"),
        ({"source": "other.changes"}, "none of the inputs"),
        ({"checks": {"policy": "in/other.toml"}}, "none of the inputs"),
        ({"checks": {"log": "build.log"}}, "none of the inputs"),
        ({"checks": {"names": ["lintain"]}}, "no check"),
        ({"checks": {"fail_on": ["lintian:everything"]}}, "everything"),
        ({"inputs": [{"path": "policy.toml", "sha256": "0" * 64, "size": 1}]}, "SHA-256"),
    ],
)
def test_a_job_that_cannot_be_run_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_check_order(make_job(tmp_path, **changes), JobDirectory(tmp_path))


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({}, "build", "deb-mock build runs jobs of kind build, not check"),
        ({"kind": "build"}, "check", "deb-mock check runs jobs of kind check, not build"),
        ({"secrets": ["s"]}, "check", "a check gets no secrets"),
    ],
)
def test_the_wrong_verb_is_answered_with_a_result(
    tmp_path: Path, changes: dict[str, object], kind: str, message: str
) -> None:
    directory = JobDirectory(tmp_path)
    directory.write_job(make_job(tmp_path, **changes))
    assert run_job(tmp_path, kind=kind) == 3  # type: ignore[arg-type]
    result = directory.find_result()
    assert result is not None
    assert result.failure is not None
    assert (result.status, message in result.failure.message) == (Status.INVALID, True)
