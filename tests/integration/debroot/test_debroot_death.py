"""Whoever is killed, nothing stays: no process, no mount, no lock."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from debcore.command import Process, spawn
from debroot.gc import reclaim
from debroot.locks import take_free
from debroot.sandbox import Sandbox, start_in
from debroot.store import Layer, Store

pytestmark = pytest.mark.root

FindProcesses = Callable[[str], list[int]]

TOOL = """
import sys
from pathlib import Path
from debroot.sandbox import Sandbox, run_in
from debroot.store import Store
store = Store.open()
layer = store.find(sys.argv[1])
with store.throwaway() as upper:
    print(upper, flush=True)
    script = "touch /started; (setsid sleep %(mark)s &) ; sleep %(mark)s & wait"
    run_in(Sandbox(lowers=layer.lowers(), upper=upper), ["sh", "-c", script])
"""


def start_tool(layer: Layer, mark: str) -> Process:
    return spawn(
        [sys.executable, "-c", TOOL % {"mark": mark}, layer.id],
        extra_env={
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "DEBOOTC_STORE": str(layer.path.parents[1]),
        },
        stdout=-1,
    )


def wait_until(condition: Callable[[], bool], timeout: float = 120) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def read_line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


@pytest.mark.parametrize("delay", [0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.07, 0.1, None])
def test_killing_the_tool_at_any_point_leaves_nothing(
    store: Store, tools: Layer, find_processes: FindProcesses, delay: float | None
) -> None:
    mark = f"77{int((delay or 1) * 1000):04d}.{os.getpid()}"
    process = start_tool(tools, mark)
    upper = Path(read_line(process))
    if delay is None:
        wait_until(lambda: (upper / "started").exists() and len(find_processes(f"sleep {mark}")) >= 3)
    else:
        time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    wait_until(lambda: not find_processes(f"sleep {mark}"))
    wait_until(lambda: _lock_is_free(upper.parent))
    wait_until(lambda: _is_reclaimed(store, upper.parent))


def _is_reclaimed(store: Store, place: Path) -> bool:
    """By us, or by another who uses the store and was at it already."""
    reclaim(store)
    return not place.exists()


def _lock_is_free(place: Path) -> bool:
    fd = take_free(place)
    if fd is None:
        return False
    os.close(fd)
    return True


@pytest.mark.parametrize("victim", ["launcher", "middle", "init", "command"])
def test_killing_any_part_ends_the_others(tools: Layer, find_processes: FindProcesses, victim: str) -> None:
    mark = f"78{len(victim):04d}.{os.getpid()}"
    script = f"(setsid sleep {mark} &); exec sleep {mark}"
    with start_in(Sandbox(lowers=tools.lowers()), ["sh", "-c", script]) as running:
        wait_until(lambda: len(find_processes(f"sleep {mark}")) == 2)
        launcher = running.pid
        middle = _children(launcher)[0]
        init = _children(middle)[0]
        command = _children(init)[0]
        os.kill({"launcher": launcher, "middle": middle, "init": init, "command": command}[victim], signal.SIGKILL)
        wait_until(lambda: not find_processes(f"sleep {mark}"))
        if victim == "command":
            assert running.wait(120) == -9
    assert not Path(f"/proc/{launcher}").exists()


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_terminate_asks_first(tools: Layer) -> None:
    reading, writing = os.pipe()
    script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.1; done"
    with start_in(Sandbox(lowers=tools.lowers()), ["sh", "-c", script], stdout=writing) as running:
        os.close(writing)
        with os.fdopen(reading) as output:
            assert output.readline() == "up\n"
            running.terminate(120)
            assert output.read() == "bye\n"
        assert running.wait() == 3


def test_terminate_kills_what_does_not_listen(tools: Layer, find_processes: FindProcesses) -> None:
    mark = f"790001.{os.getpid()}"
    script = f"trap '' TERM; sleep {mark} & wait; sleep {mark}"
    with start_in(Sandbox(lowers=tools.lowers()), ["sh", "-c", script]) as running:
        wait_until(lambda: bool(find_processes(f"sleep {mark}")))
        running.terminate(1)  # of the sleeps nobody would see the end
    wait_until(lambda: not find_processes(f"sleep {mark}"))


def test_daemons_end_with_the_command(tools: Layer, find_processes: FindProcesses) -> None:
    mark = f"790002.{os.getpid()}"
    with start_in(Sandbox(lowers=tools.lowers()), ["sh", "-c", f"setsid sleep {mark} >/dev/null 2>&1 & exit 0"]) as it:
        assert it.wait(120) == 0
    wait_until(lambda: not find_processes(f"sleep {mark}"))
