"""The graph with real processes: order, reuse, failures, kills."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from deb_bootc_compose.directory import ComposeDirectory, Status, make_compose_directory
from deb_bootc_compose.graph import Node
from deb_bootc_compose.journal import read_journal
from deb_bootc_compose.manifest.model import Compose, Release
from debcore.command import Process, spawn
from debcore.errors import DepsUnmet, Failure

DRIVER = Path(__file__).with_name("toy_compose.py")
#: Seconds for each wait: a busy machine takes its time to start a process.
PATIENCE = 120.0
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
COMPOSE = Compose(
    schema_="deb-bootc-compose/1", suite="trixie", release=Release(name="Example", short="Example", version="13")
)


@pytest.fixture(scope="module")
def driver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("driver", DRIVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def directory(tmp_path: Path) -> ComposeDirectory:
    return make_compose_directory(tmp_path, COMPOSE, now=NOW)


def ran(directory: ComposeDirectory) -> list[str]:
    path = directory.work / "ran"
    return path.read_text().split() if path.exists() else []


def start(directory: ComposeDirectory) -> Process:
    return spawn([sys.executable, DRIVER, directory.path])


def wait_for(directory: ComposeDirectory, name: str) -> None:
    end = time.monotonic() + PATIENCE
    while name not in ran(directory):
        assert time.monotonic() < end, f"{name} did not start"
        time.sleep(0.02)


def task_processes(directory: ComposeDirectory, task: str = "") -> list[int]:
    """Of *task*, or of all."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(os.fsencode(directory.work / "tasks" / task) in word for word in words):
            found.append(int(entry.name))
    return found


def processes_of_group(leader: int) -> list[int]:
    """proc_pid_stat(5), field 5."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def assert_no_task_left(directory: ComposeDirectory) -> None:
    end = time.monotonic() + PATIENCE
    while task_processes(directory):
        assert time.monotonic() < end, "a task outlived its compose"
        time.sleep(0.05)


def test_tasks_run_in_order_and_give_results(driver: ModuleType, directory: ComposeDirectory) -> None:
    made = driver.compose(directory.path)
    assert made["d"] == {"text": "abacd"}
    assert ran(directory)[0] == "a"
    assert ran(directory)[-1] == "d"
    assert "b: working on b" in made["said"]
    assert directory.status() is Status.FINISHED


def test_a_finished_compose_is_never_changed(driver: ModuleType, directory: ComposeDirectory) -> None:
    driver.compose(directory.path)
    with pytest.raises(Failure, match="never changed"):
        driver.compose(directory.path)


@pytest.mark.parametrize("victim", ["a", "b", "d"])
def test_kill_9_at_a_task_and_resume_repeats_nothing_done(
    driver: ModuleType, directory: ComposeDirectory, victim: str
) -> None:
    if victim == "b":
        (directory.work / "hold").touch()
    process = start(directory)
    wait_for(directory, victim)
    if victim == "b":
        wait_for(directory, "c")
        end = time.monotonic() + PATIENCE
        while not any(
            e.type == "task.finished" and e.data["task"] == "c" for e in read_journal(directory.journal_path)
        ):
            assert time.monotonic() < end
            time.sleep(0.02)
    process.kill()
    process.wait()
    assert_no_task_left(directory)
    assert directory.status() is Status.STARTED
    assert not directory.is_running(), "a killed compose is known as such"
    done = [e.data["task"] for e in read_journal(directory.journal_path) if e.type == "task.finished"]
    (directory.work / "hold").unlink(missing_ok=True)
    (directory.work / "ran").unlink()
    made = driver.compose(directory.path)
    assert made["d"] == {"text": "abacd"}
    assert not set(ran(directory)) & set(done)
    assert set(ran(directory)) | set(done) == {"a", "b", "c", "d"}


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_tasks_too(directory: ComposeDirectory, signum: signal.Signals) -> None:
    (directory.work / "hold").touch()
    process = start(directory)
    wait_for(directory, "b")
    process.send_signal(signum)
    assert process.wait(timeout=PATIENCE) != 0
    assert_no_task_left(directory)


def start_deaf(directory: ComposeDirectory) -> tuple[Process, int]:
    """A compose whose task b hears no SIGTERM, and the pid of that task."""
    (directory.work / "hold").touch()
    (directory.work / "stubborn").touch()
    process = start(directory)
    wait_for(directory, "deaf")
    (worker,) = task_processes(directory, "b")
    return process, worker


def test_a_task_that_does_not_end_is_killed_with_what_it_started(
    driver: ModuleType, directory: ComposeDirectory
) -> None:
    process, worker = start_deaf(directory)
    group = processes_of_group(worker)
    assert len(group) == 2, "the task, and what it started"
    process.terminate()
    assert process.wait(timeout=PATIENCE) != 0
    assert not task_processes(directory)
    end = time.monotonic() + PATIENCE
    while processes_of_group(worker):
        assert time.monotonic() < end, "what a task started outlived it"
        time.sleep(0.05)
    (directory.work / "hold").unlink()
    (directory.work / "stubborn").unlink()
    assert driver.compose(directory.path)["d"] == {"text": "abacd"}


def test_a_task_waits_for_the_one_of_the_compose_that_was_killed(
    driver: ModuleType, directory: ComposeDirectory
) -> None:
    process, worker = start_deaf(directory)
    process.kill()
    process.wait()
    (directory.work / "stubborn").unlink()
    again = start(directory)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            times = ran(directory).count("b")
            if worker not in task_processes(directory, "b"):  # in this order: the other begins once it has gone
                break
            assert times == 1, "two of them at the same time"
            assert time.monotonic() < end, "a task outlived its compose"
            time.sleep(0.02)
        (directory.work / "hold").unlink()
        assert again.wait(timeout=PATIENCE) == 0
        assert ran(directory).count("b") == 2
        assert not processes_of_group(worker)
    finally:
        again.kill()
        again.wait()


def test_a_killed_task_fails_the_compose_and_resume_goes_on(driver: ModuleType, directory: ComposeDirectory) -> None:
    (directory.work / "hold").touch()
    process = start(directory)
    wait_for(directory, "b")
    (pid,) = task_processes(directory, "b")
    os.kill(pid, signal.SIGKILL)
    assert process.wait(timeout=PATIENCE) != 0
    assert not [one for one in processes_of_group(pid) if one != pid]
    failed = [e for e in read_journal(directory.journal_path) if e.type == "task.failed"]
    assert "SIGKILL" in failed[0].data["error"]["message"]
    (directory.work / "hold").unlink()
    assert driver.compose(directory.path)["d"] == {"text": "abacd"}


def test_a_failure_keeps_its_class_and_hint(driver: ModuleType, directory: ComposeDirectory) -> None:
    (directory.work / "fail-b").touch()
    with pytest.raises(DepsUnmet, match="task b: nothing provides it") as caught:
        driver.compose(directory.path)
    assert caught.value.hint == "provide it"
    assert "d" not in ran(directory)


def test_a_bug_names_the_log(driver: ModuleType, directory: ComposeDirectory) -> None:
    (directory.work / "bug-c").touch()
    with pytest.raises(Failure, match="ZeroDivisionError") as caught:
        driver.compose(directory.path)
    assert "logs/c.log" in caught.value.hint
    assert "Traceback" in (directory.logs / "c.log").read_text()


def test_an_optional_task_leaves_the_rest(driver: ModuleType, directory: ComposeDirectory) -> None:
    (directory.work / "fail-b").touch()
    given = [Node(**{**vars(node), "optional": node.id == "b"}) for node in driver.nodes()]
    made = driver.compose(directory.path, given=given)
    assert made["b"] is None
    assert made["d"] is None
    assert made["c"] == {"text": "ac"}


def test_another_input_runs_what_depends_on_it(driver: ModuleType, directory: ComposeDirectory) -> None:
    driver.compose(directory.path)
    (directory.path / "STATUS").write_text("DOOMED\n")
    (directory.work / "ran").unlink()
    made = driver.compose(directory.path, given=driver.nodes(word="x"))
    assert ran(directory)[0] == "a"
    assert len(ran(directory)) == 4
    assert made["d"] == {"text": "xbxcd"}


def test_a_lost_output_is_made_again(driver: ModuleType, directory: ComposeDirectory) -> None:
    driver.compose(directory.path)
    (directory.path / "STATUS").write_text("DOOMED\n")
    (directory.work / "ran").unlink()
    (directory.output / "c").unlink()
    driver.compose(directory.path)
    assert ran(directory) == ["c"], "its result is the same, so d stays"


def test_two_composes_in_one_directory_are_refused(driver: ModuleType, directory: ComposeDirectory) -> None:
    (directory.work / "hold").touch()
    process = start(directory)
    try:
        wait_for(directory, "b")
        assert directory.is_running()
        with pytest.raises(Failure, match="another process"):
            driver.compose(directory.path)
    finally:
        process.terminate()
        process.wait()
