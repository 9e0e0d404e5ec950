"""Builds that are stopped: by Ctrl-C, by an agent, by kill -9. Nothing stays behind, and the result says so."""

from __future__ import annotations

import fcntl
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from debcore.errors import Failure
from debcore.job import Checks, Input, Job, JobDirectory, Status, Target, read_events

from .conftest import unique_sleep

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

#: Words that only the processes of this run of the tests carry.
SLEEP, DAEMON = unique_sleep(), unique_sleep()
#: Makes a package whose postinst leaves a daemon in a session of its own, and does not end.
POSTINST = (
    "mkdir -p debian/tmp/DEBIAN; "
    f"printf '#!/bin/sh\\nset -e\\nsetsid {DAEMON} >/dev/null 2>&1 </dev/null &\\n{SLEEP}\\n' "
    "> debian/tmp/DEBIAN/postinst; chmod 755 debian/tmp/DEBIAN/postinst"
)


def wait_for(condition: Callable[[], bool], *, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def running(command: str) -> bool:
    """Whether a process runs *command*, and no other that only has it in its command line, such as a shell."""
    return any(line == command.replace(" ", "\0").encode() + b"\0" for line in command_lines())


def mentioned(word: str) -> bool:
    """Whether a process has *word* in its command line."""
    return any(word.encode() in line.replace(b"\0", b" ") for line in command_lines())


def command_lines() -> Iterator[bytes]:
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(OSError):
                yield (path / "cmdline").read_bytes()


def check_nothing_left(store: Path) -> None:
    """No throw-away root stays unused. One may be just that for a moment: being made or removed by a test beside us."""
    wait_for(lambda: leftovers(store) == [])


def leftovers(store: Path) -> list[str]:
    """Throw-away roots that nobody uses: their locks are free. Others may just be making or removing theirs."""
    found = []
    for path in (store / "tmp").iterdir():
        with suppress(OSError), (path / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found.append(path.name)
    return found


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_build_leaves_nothing(native: Any, tool: Any, tmp_path: Path, signum: signal.Signals) -> None:
    tree = native(build=SLEEP)
    process = tool.start("build", "-r", "trixie", tree, "--resultdir", tmp_path / "out")
    wait_for(lambda: running(SLEEP))
    process.send_signal(signum)
    assert process.wait(120) == 128 + signum
    wait_for(lambda: not mentioned(SLEEP))
    check_nothing_left(tool.store)
    assert not (tmp_path / "out").exists()


def test_kill_9_leaves_no_process_and_no_mount(native: Any, tool: Any, tmp_path: Path) -> None:
    tree = native(build=SLEEP)
    before = Path("/proc/self/mountinfo").read_text()
    process = tool.start("build", "-r", "trixie", tree, "--resultdir", tmp_path / "out")
    wait_for(lambda: running(SLEEP))
    process.kill()
    process.wait()
    wait_for(lambda: not mentioned(SLEEP))
    assert Path("/proc/self/mountinfo").read_text() == before
    assert JobDirectory(tmp_path / "out").find_result() is None
    assert tool.run("clean").status == 0
    check_nothing_left(tool.store)


@pytest.fixture
def job(native: Any, tool: Any, tmp_path: Path) -> Callable[..., JobDirectory]:
    """A job directory for a tiny package with this `build` command."""

    def make(build: str, **changes: Any) -> JobDirectory:
        path = tmp_path / "job"
        done = tool.run("source", native(build=build), "--resultdir", path)
        assert done.status == 0, done.stderr.decode()
        directory = JobDirectory(path)
        inputs = tuple(
            Input(path=o.path, sha256=o.sha256, size=o.size)
            for o in (directory.output(file.name) for file in sorted(path.iterdir()))
        )
        fields: dict[str, Any] = {"job": "j1", "attempt": 3, "request": "r", "build": "b", "source": "tiny_1.0.dsc"}
        target = Target(preset="debian-trixie-amd64", arch="amd64", distribution="local")
        directory.write_job(Job(**{**fields, "inputs": inputs, "target": target, **changes}))
        return directory

    return make


def test_a_job_runs_in_its_directory(job: Callable[..., JobDirectory], tool: Any) -> None:
    directory = job("true")
    done = tool.run("build", "--job", directory.path)
    assert done.status == 0, done.stderr.decode()
    result = directory.find_result()
    assert result is not None
    assert (result.job, result.attempt, result.status) == ("j1", 3, Status.BUILT)
    assert {output.kind for output in result.outputs} == {"deb", "changes", "buildinfo", "log", "lock", "file"}
    assert [output.path for output in result.outputs if output.kind == "file"] == ["tiny_1.0_amd64.provenance.json"]
    assert "\nDistribution: local\n" in (directory.path / "tiny_1.0_amd64.changes").read_text()
    events = list(read_events(directory.events_path))
    assert {(e.job, e.attempt, e.request, e.build, e.arch) for e in events} == {("j1", 3, "r", "b", "amd64")}
    assert events[-1].type == "build.complete"


def test_sigterm_cancels_a_job_and_the_result_says_so(job: Callable[..., JobDirectory], tool: Any) -> None:
    directory = job(SLEEP)
    process = tool.start("build", "--job", directory.path)
    wait_for(lambda: running(SLEEP))
    process.terminate()
    assert process.wait(120) == 143
    result = directory.find_result()
    assert result is not None
    assert result.status is Status.CANCELLED
    wait_for(lambda: not mentioned(SLEEP))
    check_nothing_left(tool.store)


def test_a_job_killed_before_its_root_stands_leaves_no_third_message(
    job: Callable[..., JobDirectory], tool: Any, tmp_path: Path
) -> None:
    directory = job("true")
    # in an empty store the root takes its time
    process = replace(tool, store=tmp_path / "store").start("build", "--job", directory.path)
    wait_for(lambda: any(e.type == "stage.started" and e.data["stage"] == "root" for e in events_of(directory)))
    process.kill()
    process.wait()
    assert "environment.ready" not in [event.type for event in events_of(directory)]
    assert directory.find_result() is None


@pytest.fixture
def check_job(native: Any, tool: Any, tmp_path: Path) -> Callable[..., JobDirectory]:
    """A job directory of kind check for a package whose postinst starts a daemon and then sleeps."""

    def make(**changes: Any) -> JobDirectory:
        path = tmp_path / "check"
        tree = native(build=POSTINST)
        built = tool.build(tree, path)
        assert built.status == 0, built.said
        given = [output for output in built.result.outputs if output.kind in ("deb", "changes", "buildinfo")]
        for name in ("result.json", "events.jsonl"):
            (path / name).unlink()
        directory = JobDirectory(path)
        directory.write_job(
            Job(
                kind="check", job="c1", source=next(o.path for o in given if o.kind == "changes"),
                inputs=tuple(Input(path=o.path, sha256=o.sha256, size=o.size) for o in given),
                target=Target(preset="debian-trixie-amd64", arch="amd64"), checks=Checks(names=("install",)), **changes,
            )
        )  # fmt: skip
        return directory

    return make


@pytest.mark.parametrize("signum", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_stopped_check_leaves_nothing_and_says_so(
    check_job: Callable[..., JobDirectory], tool: Any, signum: signal.Signals
) -> None:
    directory = check_job()
    before = Path("/proc/self/mountinfo").read_text()
    process = tool.start("check", "--job", directory.path)
    wait_for(lambda: process.poll() is not None or (running(SLEEP) and running(DAEMON)))
    assert process.poll() is None, "it has ended before its postinst slept"
    process.send_signal(signum)
    assert process.wait(120) == 143  # of a job, whichever signal it was
    result = directory.find_result()
    assert result is not None
    assert result.status is Status.CANCELLED
    wait_for(lambda: not mentioned(SLEEP) and not mentioned(DAEMON))
    check_nothing_left(tool.store)
    assert Path("/proc/self/mountinfo").read_text() == before


@pytest.mark.slow
def test_a_check_past_its_deadline_leaves_nothing(check_job: Callable[..., JobDirectory], tool: Any) -> None:
    directory = check_job(deadline_s=15)
    assert tool.run("check", "--job", directory.path).status == 7
    result = directory.find_result()
    assert result is not None
    assert (result.status, result.failure and result.failure.kind) == (Status.LIMIT, "time")
    wait_for(lambda: not mentioned(SLEEP) and not mentioned(DAEMON))
    check_nothing_left(tool.store)


def events_of(directory: JobDirectory) -> list[Any]:
    try:
        return list(read_events(directory.events_path))
    except Failure:
        return []


def with_small_disk(tool: Any, place: Path, size: str) -> Any:
    """The same tool in a mount namespace where *place* is a small file system."""
    script = f'mount --make-rprivate / && mount -t tmpfs -o size={size},mode=0711 small {place} && exec "$@"'
    return type(tool)(tool.store, ("unshare", "--mount", "sh", "-c", script, "sh", *tool.argv))


def test_a_full_store_is_the_hosts_fault(native: Any, tool: Any, tmp_path: Path) -> None:
    tree = native(build="head -c 100000000 /dev/zero > big")
    built = with_small_disk(tool, tool.store / "tmp", "30m").build(tree, tmp_path / "out")
    assert (built.status, built.result.status) == (6, Status.HOST), built.said
    assert built.result.failure.kind == "disk"
    assert "No space left on device" in built.said
    assert "DEBOOTC_STORE" in built.said


def test_a_full_result_directory_is_the_hosts_fault(native: Any, tool: Any, tmp_path: Path) -> None:
    tree = native(build="yes filling-the-disk | head -c 30000000")
    place = tmp_path / "small"
    place.mkdir()
    built = with_small_disk(tool, place, "4m").build(tree, place / "out")
    assert built.status == 6, built.said
    assert "no space left" in built.said.lower()
    assert "Traceback" not in built.said
    check_nothing_left(tool.store)
