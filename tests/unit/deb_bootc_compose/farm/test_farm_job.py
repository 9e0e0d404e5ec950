"""The job directory of a tree: its specification goes there and back, and what is wrong with it is a result."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from deb_bootc_compose.farm.job import SPEC, deb_path, packages_of, run_job, spec_from_json, spec_to_json
from deb_bootc_compose.tree.make import TreeSpec, tree_id
from deb_bootc_compose.tree.spec import AddFile, FinishOptions, Units
from debcore.errors import Failure
from debcore.job import Job, JobDirectory, Result, Status, Target
from debroot.store import Layer, Package


def make_package(name: str, sha256: str, **more: Any) -> Package:
    return Package(name=name, version="1", arch="arm64", sha256=sha256 * 64, size=7, **more)


APT, BASH = (
    make_package("apt", "a", uri="https://example.org/apt.deb", filename="pool/apt.deb"),
    make_package("bash", "b"),
)
SPECIFICATION = TreeSpec(
    suite="trixie", arch="arm64", base=(APT,), archive=(BASH,), hub=(make_package("bash", "b"),),
    finish=FinishOptions(add_files=(AddFile(path="/etc/motd", content=b"\xff"),), units=Units(enable=("a.service",))),
)  # fmt: skip


def write_job(path: Path, spec: str, **more: Any) -> JobDirectory:
    directory = JobDirectory(path)
    (path / SPEC).write_text(spec)
    task = {"kind": "tree", "tree": tree_id(SPECIFICATION)}
    target = Target(preset="debian-trixie-arm64", arch="arm64")
    directory.write_job(Job(**({"kind": "task", "job": "7", "attempt": 2, "target": target, "task": task} | more)))
    return directory


def refused(directory: JobDirectory) -> Result:
    run_job(directory.path)
    result = directory.find_result()
    assert result is not None
    assert (result.job, result.attempt, result.outputs) == ("7", 2, ())
    assert result.failure is not None
    return result


def test_a_specification_goes_there_and_back() -> None:
    back = spec_from_json(json.loads(json.dumps(spec_to_json(SPECIFICATION))))
    assert tree_id(back) == tree_id(SPECIFICATION)
    assert back.finish == SPECIFICATION.finish
    assert back.base == (dataclasses.replace(APT, uri=None, filename=""),), "where it was found is no part of a tree"
    assert [deb_path(package) for package in packages_of(back)] == ["debs/" + "a" * 64, "debs/" + "b" * 64]


def test_a_derivative_is_not_for_the_farm(tmp_path: Path) -> None:
    below = Layer("tree-x", tmp_path, (), (), "arm64", "trixie")
    with pytest.raises(Failure, match="derivative"):
        spec_to_json(dataclasses.replace(SPECIFICATION, below=below))


@pytest.mark.parametrize(
    ("spec", "more", "status", "words"),
    [
        ("{", {}, Status.INVALID, "is no tree of this version"),
        ('{"suite": "trixie"}', {}, Status.INVALID, "is no tree of this version"),
        ("{}", {"kind": "build"}, Status.INVALID, "makes trees, and no other tasks"),
        ("{}", {"task": {"kind": "boot"}}, Status.INVALID, "makes trees, and no other tasks"),
        (None, {"task": {"kind": "tree", "tree": "0" * 64}}, Status.HOST, "otherwise than the compose's"),
    ],
)
def test_what_is_wrong_is_a_result(
    tmp_path: Path, spec: str | None, more: dict[str, Any], status: Status, words: str
) -> None:
    directory = write_job(tmp_path, json.dumps(spec_to_json(SPECIFICATION)) if spec is None else spec, **more)
    result = refused(directory)
    assert result.status is status
    assert result.failure is not None
    assert words in result.failure.message


def test_a_deb_that_is_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "job/debs").mkdir(parents=True)
    monkeypatch.setenv("DEBOOTC_STORE", str(tmp_path / "store"))
    directory = write_job(tmp_path / "job", json.dumps(spec_to_json(SPECIFICATION)))
    (directory.path / deb_path(APT)).write_bytes(b"another")
    result = refused(directory)
    assert result.status is Status.INVALID
    assert result.failure is not None
    assert "SHA-256" in result.failure.message
