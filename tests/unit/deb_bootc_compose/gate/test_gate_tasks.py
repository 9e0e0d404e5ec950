"""What the update gate does where there is nothing to update from, and how its verdict is told."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from deb_bootc_compose import metadata
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.gate.judge import Check, GateReport, Step
from deb_bootc_compose.lock import Lock, LockedParent, write_lock
from deb_bootc_compose.tasks.update import FIRST, conclude, run_task
from deb_bootc_compose.worker import Task
from debcore.errors import BuildFailed, Failure

KEY = "server.amd64"


def make_task(
    tmp_path: Path, *, required: bool = False, parents: dict[str, LockedParent] | None = None
) -> tuple[Task, io.BytesIO]:
    compose = ComposeDirectory(tmp_path)
    lock = Lock(suite="trixie", timestamp=1, version="13.1", releases={}, variants={}, parents=parents or {})
    write_lock(compose.lock_path, lock)
    compose.logs.mkdir()
    commit = {"value": {"commit": "b" * 64, "repo": "compose/repo", "key": None}}
    params = {"key": KEY, "arch": "amd64", "suite": "trixie", "ref": "test/server", "rollback": True}
    params |= {"required": required, "sign": False, "url": None, "kargs": []}
    pipe = io.BytesIO()
    document: dict[str, Any] = {"task": f"update.{KEY}", "params": params, "inputs": {f"commit.{KEY}": commit}}
    return Task(compose, {**document, "context": {"image": None, "repo": None}}, pipe), pipe


def test_a_first_compose_says_that_it_is_one(tmp_path: Path) -> None:
    task, pipe = make_task(tmp_path)
    done = run_task(task)
    assert done.value == {"applicable": False, "reason": FIRST}
    assert FIRST.encode() in pipe.getvalue()
    tests = metadata.tests(
        "Example-13-20261122.n.4", {"type": "nightly", "label": None}, {"update": {KEY: done.value}}, {}
    )
    assert tests["payload"]["tests"] == {"update": {KEY: {"verdict": "not applicable", **done.value}}}


def test_a_manifest_may_demand_a_compose_before(tmp_path: Path) -> None:
    task, _ = make_task(tmp_path, required=True)
    with pytest.raises(BuildFailed, match="test/server is new") as caught:
        run_task(task)
    assert "--previous" in caught.value.hint


def test_verdicts_of_update_and_rollback_stand_apart() -> None:
    value = {"applicable": True, "rollback": True}
    kind = {"type": "nightly", "label": None}
    made = metadata.tests("Example-13-20261122.n.4", kind, {"update": {KEY: value}}, {"update": {KEY: {"steps": []}}})
    tests = made["payload"]["tests"]
    assert tests["update"][KEY]["verdict"] == tests["rollback"][KEY]["verdict"] == "passed"
    assert tests["update"][KEY]["record"] == {"steps": []}


def test_a_gate_that_failed_names_its_checks_and_where_to_look(tmp_path: Path) -> None:
    task, _ = make_task(tmp_path)
    checks = (Check(name="update", ok=True), Check(name="var-kept (new)", ok=False, detail="data.1: FAILED"))
    report = GateReport(
        gate="update", before="a" * 64, after="b" * 64, steps=(Step(name="boot 1", seconds=40.2),), checks=checks,
        boots=(),
    )  # fmt: skip
    with pytest.raises(BuildFailed, match=r"the update gate: var-kept \(new\): data.1: FAILED$") as caught:
        conclude(task, report, console=tmp_path / "console", path=tmp_path / "record")
    assert f"{tmp_path}/console" in caught.value.hint


def test_what_came_before_and_is_gone_is_a_failure(tmp_path: Path) -> None:
    parent = LockedParent(commit="a" * 64, ref="test/server", version="13.0", compose="Example-13-20261121.n.0")
    task, _ = make_task(tmp_path, parents={KEY: parent})
    from deb_bootc_compose.tasks.update import image_before

    with (
        pytest.raises(Failure, match=r"Example-13-20261121\.n\.0, is not there") as caught,
        image_before(task, None, parent),  # type: ignore[arg-type]
    ):
        pass
    assert "--skip update" in caught.value.hint
