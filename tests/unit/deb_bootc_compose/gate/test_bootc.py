"""The gates of bootc without a machine: when they are run, what bootc is told, what is judged."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deb_bootc_compose.boot.qemu import Machine, qemu_argv
from deb_bootc_compose.boot.report import Answer
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.gate.bootc import install_words, judge_install, judge_upgrade, parse_status
from deb_bootc_compose.gate.judge import GateReport
from deb_bootc_compose.gate.machine import BLANK_DISK, Boot, Bootc, Line, split_boots
from deb_bootc_compose.graph import Graph, Node, OnlyIf, identify
from deb_bootc_compose.journal import Journal, read_results
from deb_bootc_compose.lock import Lock, LockedParent, write_lock
from deb_bootc_compose.publish.outputs import missing_gates
from deb_bootc_compose.runner import Runner
from deb_bootc_compose.tasks import KINDS, load_task
from deb_bootc_compose.tasks.bootc_upgrade import COMMIT as BEFORE_IS_COMMIT
from deb_bootc_compose.tasks.bootc_upgrade import WITHOUT, run_task
from deb_bootc_compose.tasks.tree import has_program
from deb_bootc_compose.worker import Task
from debcore.errors import Failure
from tests.unit.deb_bootc_compose.gate.test_judge import boot_lines

KEY = "server.amd64"
COMMIT, OLD, NEW = "a" * 64, f"sha256:{'b' * 64}", f"sha256:{'c' * 64}"
OURS = "d" * 64  #: the commit that bootc makes of an image is not ours


def status_of(digest: str) -> tuple[str, int]:
    image = {"image": {"image": "10.0.2.2:5000/x", "transport": "registry"}, "imageDigest": digest}
    host = {"apiVersion": "org.containers.bootc/v1", "kind": "BootcHost", "status": {"booted": {"image": image}}}
    return json.dumps(host), 0


Said = Mapping[str, tuple[str, int]]


def machine(*said: Said) -> list[Boot]:
    """One boot for each."""
    lines: list[str] = []
    for number, more in enumerate(said, start=1):
        lines += boot_lines(number, (OURS,), more, "DONE" if number == len(said) else "NEXT")
    return split_boots([Line(float(at), text) for at, text in enumerate(lines)])


def installer(install: tuple[str, int] = ("", 0), commit: str = COMMIT) -> list[Boot]:
    lines = [*boot_lines(1, (commit,), {"install": install}, "DONE")]
    return split_boots([Line(float(at), text) for at, text in enumerate(lines)])


def judged(changes: Said, *, first: list[Boot] | None = None, rollback: bool = True) -> GateReport:
    plan: list[dict[str, tuple[str, int]]] = [
        {"bootc-status": status_of(OLD), "upgrade": ("", 0)},
        {"bootc-status": status_of(NEW), "rollback": ("", 0)},
        {"bootc-status": status_of(OLD)},
    ]
    for name, value in changes.items():
        plan[int(name[0]) - 1][name[2:]] = value
    then = machine(*plan[: 3 if rollback else 2])
    return judge_upgrade(first or installer(), then, commit=COMMIT, before=OLD, after=NEW, rollback=rollback)


def test_an_upgrade_as_it_should_be() -> None:
    report = judged({})
    assert report.failed == ()
    assert [step.name for step in report.steps] == [
        "boot 1", "install", "boot 2", "upgrade", "boot 3", "rollback", "boot 4",
    ]  # fmt: skip
    assert judged({}, rollback=False).failed == ()


@pytest.mark.parametrize(
    ("changes", "name", "detail"),
    [
        ({"1=bootc-status": status_of(NEW)}, "previous-boots", "it runs the image sha256:cccccccccccc, not"),
        ({"1=upgrade": ("x\nerror: manifest unknown", 1)}, "upgrade", "manifest unknown"),
        ({"2=bootc-status": status_of(OLD)}, "new-boots", "not sha256:cccccccccccc"),
        ({"2=bootc-status": ("error: no", 1)}, "new-boots", "`bootc status` failed: error: no"),
        ({"2=failed": ("ssh.service loaded failed", 0)}, "new-boots", "unit ssh.service failed"),
        ({"2=kept:var": ("data.1: FAILED", 1)}, "var-kept (new)", "FAILED"),
        ({"2=rollback": ("error: No rollback available", 1)}, "rollback", "No rollback"),
        ({"3=bootc-status": status_of(NEW)}, "old-boots", "not sha256:bbbbbbbbbbbb"),
        ({"3=multi-user": ("ActiveState=inactive", 0)}, "old-boots", "multi-user.target was not reached"),
        ({"3=kept:etc-late": ("", 1)}, "etc-late-kept (old)", ""),
    ],
)
def test_each_promise_of_an_upgrade_is_named_when_it_is_broken(changes: Said, name: str, detail: str) -> None:
    (failed,) = judged(changes).failed
    assert failed.name == name
    assert detail in failed.detail


def test_an_installation_is_judged_by_what_it_made() -> None:
    good = machine({"bootc-status": status_of(NEW)})
    assert judge_install(installer(), good, commit=COMMIT, digest=NEW).failed == ()
    for first, then, names in (
        (installer(("error: bootupd is required", 1)), [], ["install"]),
        (installer(commit=OURS), good, ["image-boots"]),
        (installer(), machine({"bootc-status": status_of(OLD)}), ["installed-boots"]),
        (installer(), machine({"bootc-status": status_of(NEW), "state": ("degraded", 0)}), ["installed-boots"]),
        (installer(), [], ["plan"]),
    ):
        failed = judge_install(first, then, commit=COMMIT, digest=NEW).failed
        assert [check.name for check in failed] == names
    report = judge_upgrade(installer(("", 127)), [], commit=COMMIT, before=OLD, after=NEW, rollback=True)
    assert [check.name for check in report.failed] == ["install"]


def test_a_system_of_bootcs_other_backend_needs_no_deployment_of_ostree() -> None:
    image = {"image": {"imageDigest": NEW}, "composefs": {"verity": "0" * 128}}
    for booted, problems in ((image, 0), ({**image, "composefs": None}, 1)):
        said: Said = {
            "ostree": ("error: No deployments", 1), "bootc-status": (json.dumps({"status": {"booted": booted}}), 0)
        }  # fmt: skip
        assert len(judge_install(installer(), machine(said), commit=COMMIT, digest=NEW).failed) == problems


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"status": {"booted": null}}', '{"status": {"booted": {"image": 1}}}']
)
def test_a_status_without_a_booted_image_is_said(text: str) -> None:
    assert parse_status(Answer(0, text)).problem == "`bootc status` names no booted image"
    assert parse_status(None).problem


def test_bootc_is_told_the_backend_that_the_image_can_do() -> None:
    consoles = ("--karg=console=tty0", "--karg=console=ttyS0")
    assert install_words(bootupd=True, filesystem="xfs", arch="amd64") == ("--filesystem=xfs", *consoles)
    words = install_words(bootupd=False, filesystem="ext4", arch="amd64")
    assert words == ("--composefs-backend", "--bootloader=systemd", "--filesystem=ext4", *consoles)


def test_the_machine_has_a_registry_and_a_disk_that_is_kept(tmp_path: Path) -> None:
    extra = Bootc(tmp_path / "oci", NEW, blank=tmp_path, size=5)
    argv = qemu_argv(Machine(disk="/d", firmware_vars="/v", registry=extra.serve(), blank=BLANK_DISK))
    text = " ".join(argv)
    assert argv[:2] == ["sh", "-c"]
    assert argv[2] == f'python3 -I /registry.py /layout {NEW} 5000 < /dev/null 2>&1 & exec "$@"'
    assert f"if=none,id=blank,format=qcow2,file={BLANK_DISK} -device virtio-blk-pci,drive=blank" in text
    assert "restrict=on" not in text
    assert [(bind.target, bind.readonly) for bind in extra.binds()] == [
        ("/layout", True), ("/registry.py", True), ("/blank", False),
    ]  # fmt: skip
    assert "blank" not in " ".join(qemu_argv(Machine(disk="/d", firmware_vars="/v")))


def test_a_program_of_a_tree_is_seen_without_following_it(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    assert not has_program(tmp_path, "bootc")
    (tmp_path / "usr/bin/bootc").symlink_to("/nowhere")
    assert has_program(tmp_path, "bootc")


def nobody(_name: str, _text: str) -> None:
    """Is told nothing."""


class NoRunner(Runner):
    def start(self, name: str, document: Mapping[str, Any]) -> None:
        raise AssertionError(f"{name} was started")


def test_an_image_without_bootc_costs_no_process_and_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "logs").mkdir()
    journal = Journal(tmp_path / "journal.jsonl")
    tree = Node(id="tree.x", kind="tree", only_if=OnlyIf("lock", "trees", "no trees"), needs=("lock",))
    lock = Node(id="lock", kind="lock")
    journal.append("task.finished", task="lock", identity=identify(lock, {}), seconds=0, result={"value": {}}, files=[])
    caplog.set_level("INFO")
    with NoRunner(tmp_path / "work", tmp_path / "logs", command=lambda path: [path], progress=nobody) as runner:
        graph = Graph([lock, tree], root=tmp_path, journal=journal, runner=runner)
        assert graph.run()["tree.x"].result == {"value": {"applicable": False, "reason": "no trees"}, "files": []}
    assert "tree.x: no trees" in caplog.text
    assert read_results(tmp_path / "journal.jsonl")["tree.x"]["applicable"] is False
    journal.close()


def test_every_kind_has_its_module() -> None:
    for kind in KINDS:
        assert callable(load_task(kind).run_task)


def test_only_a_compose_with_bootc_must_have_passed_its_gates() -> None:
    variant = {"tests": ["boot", "update"], "outputs": {"container": {"name": "x"}}}
    manifest = {"specs": [{"name": "server", "arch": "amd64", "variant": variant}]}
    passed: dict[str, Mapping[str, Any]] = {f"{kind}.{KEY}": {} for kind in ("boot", "update")}
    assert list(missing_gates(manifest, {**passed, f"tree.{KEY}": {}})) == []
    told = {**passed, f"tree.{KEY}": {"bootc": {"bootupd": False}}}
    assert list(missing_gates(manifest, told)) == [f"bootc-install.{KEY}", f"bootc-upgrade.{KEY}"]
    assert list(missing_gates(manifest, {**told, f"bootc-install.{KEY}": {}, f"bootc-upgrade.{KEY}": {}})) == []


def make_task(tmp_path: Path, *, digest: str | None = OLD, **context: Any) -> Task:
    compose = ComposeDirectory(tmp_path)
    parent = LockedParent(commit=COMMIT, ref="test/server", version="13.0", compose="Example-1", digest=digest)
    write_lock(
        compose.lock_path,
        Lock(suite="trixie", timestamp=1, version="13.1", releases={}, variants={}, parents={KEY: parent}),
    )
    document: dict[str, Any] = {
        "task": f"bootc-upgrade.{KEY}", "params": {"key": KEY, "required": False, "ref": "test/server"},
        "inputs": {f"container.{KEY}": {"value": {"digest": NEW, "path": "oci"}}},
        "context": {"image": None, "repo": None, "layout": None, "bootc": None, **context},
    }  # fmt: skip
    return Task(compose, document, io.BytesIO())


def test_only_an_image_with_bootc_can_be_upgraded_from_by_it(tmp_path: Path) -> None:
    assert run_task(make_task(tmp_path, layout="/oci")).value == {"applicable": False, "reason": WITHOUT}
    assert run_task(make_task(tmp_path, digest=None)).value == {"applicable": False, "reason": BEFORE_IS_COMMIT}


def test_an_image_before_that_is_gone_or_damaged_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="the container image of Example-1 is not there") as caught:
        run_task(make_task(tmp_path))
    assert "--skip bootc-upgrade" in caught.value.hint
    with pytest.raises(Failure, match="its journal is torn"):
        run_task(make_task(tmp_path, damage=["its journal is torn", "remove it"]))
