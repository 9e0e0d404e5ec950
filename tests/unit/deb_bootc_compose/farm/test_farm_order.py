"""This host's side of a tree that the farm makes: what is refused at once, what is said meanwhile, how it may end."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deb_bootc_compose.compose import Options, load_started, start_compose
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.farm import order
from deb_bootc_compose.manifest.load import load_manifest
from deb_bootc_compose.worker import Task
from debcore.errors import BuildFailed, ConfigError, Failure, HostFailed
from debcore.hub.model import Reason
from debcore.hub.task_client import TaskClient
from debcore.hub.tasks import OrderedTask
from debcore.job import FailureReport, Output, Result, Status

MANIFEST = """\
schema: deb-bootc-compose/1
release: {name: Test, short: Test, version: "13"}
suite: trixie
packages: [bash]
variants:
  small: {arches: [amd64, arm64], ref: test/small}
  more: {arches: [riscv64], ref: test/more, base: {oci: ./below}}
"""


class Client:
    """Answers with each of *answers* in turn; its blobs hold what they are called."""

    def __init__(self, *answers: OrderedTask) -> None:
        self.answers = list(answers)

    def ordered_task(self, _job: int) -> OrderedTask:
        return self.answers.pop(0)

    def get_blob(self, sha256: str, to: Path, *, max_size: int) -> None:
        assert max_size == 5
        to.write_text(f"content of {sha256[0]}\n")


@pytest.fixture
def task(tmp_path: Path) -> Task:
    compose = ComposeDirectory(tmp_path)
    compose.logs.mkdir()
    document = {"task": "tree.small.arm64", "params": {}, "context": {}, "inputs": {}}
    made = Task(compose, document, io.BytesIO())
    made.scratch.mkdir(parents=True)
    return made


def said(task: Task) -> list[str]:
    return [json.loads(line)["text"] for line in cast(io.BytesIO, task._pipe).getvalue().splitlines()]


def ended(state: str, status: Status, outputs: tuple[Output, ...] = (), message: str = "") -> OrderedTask:
    failure = FailureReport(stage="tree", kind="tree", message=message) if message else None
    result = Result(job="7", status=status, outputs=outputs, failure=failure)
    return OrderedTask(job=7, state=state, agent="big", reason=message, result=result)


def output(path: str, letter: str, kind: Any = "file") -> Output:
    return Output(path=path, sha256=letter * 64, size=5, kind=kind)


@pytest.mark.parametrize(
    ("arch", "words"), [("s390x", "no variant is for s390x"), ("riscv64", "derivative's tree is made on this host")]
)
def test_what_the_farm_cannot_make_is_refused_at_once(tmp_path: Path, arch: str, words: str) -> None:
    (tmp_path / "compose.yaml").write_text(MANIFEST)
    with pytest.raises(ConfigError, match=words):
        start_compose(load_manifest(tmp_path), tmp_path / "composes", Options(farm=(arch,)))
    assert not (tmp_path / "composes").exists()


def test_a_resumed_compose_remembers_the_farm(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(MANIFEST)
    compose = start_compose(load_manifest(tmp_path), tmp_path / "composes", Options(farm=("arm64",)))
    assert load_started(compose).options.farm == ("arm64",)


def test_what_a_job_waits_for_is_said_once(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "time", SimpleNamespace(sleep=lambda _s: None))
    waits = OrderedTask(job=7, state="queued", why=(Reason(subject="job 7", fact="nobody builds for arm64"),))
    runs = OrderedTask(job=7, state="running", agent="big")
    done = ended("succeeded", Status.BUILT)
    assert order._wait(task, cast(TaskClient, Client(waits, runs, runs, done)), waits) == done
    assert said(task) == [
        "job 7 is queued: nobody builds for arm64", "job 7 is running on big", "job 7 is succeeded",
    ]  # fmt: skip


def test_the_builders_log_is_in_ours(task: Task) -> None:
    done = ended("succeeded", Status.BUILT, (output("tree.tar.zst", "a"), output("build.log", "b", "log")))
    order._take(task, cast(TaskClient, Client()), done, task.scratch / "packed")
    assert (task.scratch / "packed").read_text() == "content of a\n"
    assert (task.compose.logs / "tree.small.arm64.log").read_text() == "content of b\n"


@pytest.mark.parametrize(
    ("done", "kind", "words"),
    [
        (ended("failed", Status.FAILED, message="a package fails"), BuildFailed, "job 7.: a package fails"),
        (ended("failed", Status.INVALID, message="no tree"), Failure, "no tree"),
        (ended("failed", Status.HOST, message="disk full"), HostFailed, "disk full"),
        (OrderedTask(job=7, state="cancelled"), HostFailed, "cancelled"),
        (ended("succeeded", Status.BUILT), HostFailed, "without a tree"),
    ],
)
def test_a_tree_that_was_not_made_fails_as_the_builder_did(
    task: Task, done: OrderedTask, kind: type[Failure], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        order._take(task, cast(TaskClient, Client()), done, task.scratch / "packed")
    assert type(caught.value) is kind
    assert caught.value.hint
