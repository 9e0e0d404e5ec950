"""Roots are brought up to date while there is nothing to do, and not a moment longer."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deb_orchestrator.agent.capacity import find_free_mb, find_memory_mb
from deb_orchestrator.agent.idle import MOST, IdleUpdates
from debcore.hub.model import BuildSpec
from debcore.job import Job, Target
from tests.unit.orchestrator.agent.test_agent_parts import wait_until

#: Notes its words, then lasts for ever if it was told to.
TOOL = """\
import pathlib, sys, time
here = pathlib.Path(sys.argv[1])
with (here / "calls").open("a") as file:
    file.write(" ".join(sys.argv[2:]) + "\\n")
while (here / "slow").exists():
    time.sleep(0.02)
"""


def spec_of(preset: str, arch: str = "amd64", build_arch: str | None = None) -> BuildSpec:
    job = Job(job="1", source="x.dsc", target=Target(preset=preset, arch=arch, build_arch=build_arch))
    return BuildSpec(job=job, suite="s")


def calls(place: Path) -> list[str]:
    path = place / "calls"
    return path.read_text().splitlines() if path.exists() else []


@contextmanager
def running(updates: IdleUpdates) -> Iterator[threading.Thread]:
    stop = threading.Event()
    thread = threading.Thread(target=updates.run, args=(stop,))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join()


def make(place: Path, busy: threading.Event, *, every_s: float = 3600) -> IdleUpdates:
    return IdleUpdates((sys.executable, "-c", TOOL, str(place)), place, busy.is_set, quiet_s=0, every_s=every_s)


def test_each_root_that_was_used_is_updated_once_in_a_while(tmp_path: Path) -> None:
    make(tmp_path, threading.Event()).note(spec_of("trixie", "arm64"))
    updates = make(tmp_path, threading.Event())  # as after a restart
    updates.note(spec_of("sid", "riscv64", build_arch="amd64"))
    updates.note(spec_of("sid", "riscv64", build_arch="amd64"))
    with running(updates):
        wait_until(lambda: len(calls(tmp_path)) == 2)
    assert calls(tmp_path) == ["init -r sid --arch amd64", "init -r trixie --arch arm64"]
    with running(make(tmp_path, threading.Event(), every_s=0)):
        wait_until(lambda: len(calls(tmp_path)) >= 5)


def test_work_ends_it_at_once_and_none_begins_beside_work(tmp_path: Path) -> None:
    busy = threading.Event()
    (tmp_path / "slow").touch()
    looks: list[bool] = []

    def is_busy() -> bool:
        looks.append(busy.is_set())
        return looks[-1]

    updates = IdleUpdates((sys.executable, "-c", TOOL, str(tmp_path)), tmp_path, is_busy, quiet_s=0, every_s=3600)
    updates.note(spec_of("trixie"))
    busy.set()
    with running(updates):
        wait_until(lambda: len(looks) >= 3)
        assert not (tmp_path / "idle.log").exists(), "nothing was begun beside work"
        busy.clear()
        wait_until(lambda: len(calls(tmp_path)) == 1)
        busy.set()
    # the thread has ended although the tool would last for ever
    assert calls(tmp_path) == ["init -r trixie --arch amd64"]


def test_only_so_many_roots_are_kept_in_mind(tmp_path: Path) -> None:
    updates = make(tmp_path, threading.Event())
    for n in range(MOST + 3):
        updates.note(spec_of(f"p{n}"))
    assert len(updates._load()) == MOST
    assert updates._load()[0] == (f"p{MOST + 2}", "amd64")
    (tmp_path / "roots.json").write_text("{broken")
    assert updates._load() == []


def test_what_the_host_has(tmp_path: Path) -> None:
    assert find_memory_mb() > 100
    assert find_free_mb(tmp_path) >= 0
