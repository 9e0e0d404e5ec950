"""One compose that is killed, and finds its disk full, before, within and after each of its tasks: nothing shows."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deb_bootc_compose.directory import ComposeDirectory, Status
from deb_bootc_compose.journal import read_journal
from debcore.command import Completed, run
from debroot.gc import list_store
from debroot.store import Store
from tests.integration.compose.world import BIN, MANIFEST, Composer, copy_base, outputs

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(2400)]

KEY = "server.amd64"
#: In the order in which one after the other is run.
TASKS = ("lock", *(f"{kind}.{KEY}" for kind in ("tree", "lint", "commit", "container", "image", "replay")), "metadata",
         "publish")  # fmt: skip
KILLS = ("before", "begun", "within", "inside", "after")
HOOKS = Path(__file__).with_name("mishaps")
SIZE = "3g"
PR_SET_CHILD_SUBREAPER = 36  #: prctl(2)
PATIENCE = 120.0  #: seconds; tasks of a killed compose have ten


class Victim:
    """A compose with one mishap after the other."""

    def __init__(self, manifest: Path, disk: Path, state: Path, temporary: Path) -> None:
        self.manifest = manifest
        self.disk = disk
        self.env = {
            "PYTHONPATH": str(HOOKS), "MISHAP_DISK": str(disk), "XDG_STATE_HOME": str(state), "TMPDIR": str(temporary)
        }  # fmt: skip
        self.path: Path | None = None

    def go_on(self, how: str, task: str) -> Completed:
        words: list[str | Path] = ["build", self.manifest, "--target", self.disk / "out"]
        if self.path is not None:
            words = ["resume", self.path]
        words += ["--jobs", "1"]  # the other tasks are not what is looked at
        done = run([BIN, *words], extra_env={**self.env, "MISHAP": f"{how}:{task}"}, check=False, timeout=1500)
        if self.path is None:
            (self.path,) = (self.disk / "out").glob("Test-13-*")
        (self.disk / "filler").unlink(missing_ok=True)
        return done

    @property
    def compose(self) -> ComposeDirectory:
        assert self.path is not None
        return ComposeDirectory(self.path)

    def finished(self) -> list[str]:
        journal = self.compose.journal_path
        return [entry.data["task"] for entry in read_journal(journal) if entry.type == "task.finished"]


@pytest.fixture(scope="module")
def orphans_are_ours() -> Iterator[None]:
    """What outlives a compose that we started becomes a child of this process: prctl(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
    yield
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 0) == 0


def await_orphans() -> None:
    """Until no process is left of all that was started."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        assert time.monotonic() < end, f"still there: {children()}"
        if pid == 0:
            time.sleep(0.05)


def children() -> list[str]:
    found = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in found]


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory, store_dir: Path, orphans_are_ours: None) -> Iterator[Victim]:
    """On a file system of its own, which can be full."""
    del store_dir, orphans_are_ours
    manifest, disk = tmp_path_factory.mktemp("manifest"), tmp_path_factory.mktemp("disk")
    copy_base(manifest)
    (manifest / "compose.yaml").write_text(MANIFEST)
    (manifest / "motd").write_text(f"Made by {secrets.token_hex(8)}.\n")  # a tree that was never made
    run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", disk])
    yield Victim(manifest, disk, tmp_path_factory.mktemp("state"), tmp_path_factory.mktemp("temporary"))
    run(["umount", disk])  # it would be busy if anything were left


def nothing_is_published(compose: ComposeDirectory) -> bool:
    """No link, no ref, no tag."""
    heads = compose.output / "server/amd64/ostree/repo/refs/heads"
    index = compose.output / "server/amd64/oci/index.json"
    named = index.is_file() and "org.opencontainers.image.ref.name" in index.read_text()
    refs = [path for path in heads.rglob("*") if path.is_file()] if heads.is_dir() else []
    return not (named or refs or (compose.path.parent / "latest-Test-13").exists())


def names(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


@pytest.mark.parametrize("task", TASKS)
def test_a_task_survives_every_mishap(victim: Victim, task: str) -> None:
    for how in KILLS:
        done = victim.go_on(how, task)
        said = f"{how} {task}: {done.stderr.decode()}"
        assert done.status == -9, said
        assert victim.compose.status() is Status.STARTED, said
        assert not victim.compose.is_running(), said
        assert task not in victim.finished(), said
        assert task == "publish" or nothing_is_published(victim.compose), said
        if how not in ("within", "inside"):  # those are gone on with at once, while the task still lives
            await_orphans()

    for how in ("itself", "bereft", "torn"):
        done = victim.go_on(how, task)
        said = f"{how} {task}: {done.stderr.decode()}"
        assert done.status == 6, said
        assert "SIGKILL" in said
        assert f"resume {victim.path}" in said
        await_orphans()

    for how in ("stopped", "deaf") if task.startswith("tree") else ("stopped",):
        done = victim.go_on(how, task)
        said = f"{how} {task}: {done.stderr.decode()}"
        assert done.status == 128 + signal.SIGTERM, said
        assert f"resume {victim.path}" in said
        assert victim.compose.status() is Status.TERMINATED, said
        assert task not in victim.finished(), said
        assert task == "publish" or nothing_is_published(victim.compose), said
        await_orphans()

    for how in ("full", "filled"):
        done = victim.go_on(how, task)
        said = f"{how} {task}: {done.stderr.decode()}"
        assert done.status == 7, said
        assert "no space left" in said.lower(), said
        assert f"resume {victim.path}" in said, said
        assert "Traceback" not in said
        assert task not in victim.finished(), said
        assert task == "publish" or nothing_is_published(victim.compose), said
        await_orphans()

    done = victim.go_on("ended", task)
    assert done.status == -9, done.stderr.decode()
    assert task in victim.finished()
    await_orphans()


def test_after_all_that_it_is_as_if_nothing_had_happened(victim: Victim, tmp_path: Path) -> None:
    done = victim.go_on("", "")
    assert done.status == 0, done.stderr.decode()
    await_orphans()
    compose = victim.compose
    assert compose.status() is Status.FINISHED
    done_twice = {task for task in victim.finished() if victim.finished().count(task) > 1}
    assert done_twice <= {"metadata", "publish"}, "these are made again by each resume"
    sums = (compose.output / "SHA256SUMS").read_text()
    run(["sha256sum", "--check", "--strict", "--quiet", "-"], cwd=compose.output, stdin=sums.encode())

    undisturbed = Composer(victim.manifest, {"XDG_STATE_HOME": victim.env["XDG_STATE_HOME"]})
    made = undisturbed.call("build", victim.manifest, "--target", tmp_path, "--locked", compose.lock_path, "--json")
    once = ComposeDirectory(Path(json.loads(made.stdout)["path"]))
    assert outputs(once) == outputs(compose)
    assert names(compose.output) == names(once.output)
    assert not list(Path(victim.env["TMPDIR"]).iterdir())
    extra = set(names(compose.work)) - set(names(once.work))
    assert not extra
    assert not [one.id for one in list_store(Store.open(), only=("leftover",)) if not one.in_use]
    assert sorted(path.name for path in compose.path.parent.iterdir()) == [compose.id, "latest-Test-13"]
