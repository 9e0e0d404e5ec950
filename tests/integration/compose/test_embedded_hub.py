"""The shared hub: one for all composes of a user, gone with the last of them, whatever way they go."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deb_bootc_compose.embedded import attached
from debcore.command import Process, spawn
from debcore.errors import HostFailed

HUB = (sys.executable, Path(__file__).with_name("toy_hub.py"))
#: A compose that only holds the hub.
HOLDER = """
import sys, time
from pathlib import Path
from deb_bootc_compose.embedded import attached
with attached(Path(sys.argv[1]), command=sys.argv[2:]) as hub:
    Path(sys.argv[1], f"holds-{hub.url.rpartition(':')[2]}").touch()
    time.sleep(600)
"""


def starts(state: Path) -> list[int]:
    path = state / "state/starts"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_gone(pid: int) -> None:
    end = time.monotonic() + 120
    while is_alive(pid):
        assert time.monotonic() < end, "the hub outlived its composes"
        time.sleep(0.05)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "hub"
    for pid in starts(tmp_path / "hub"):
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def hold(state: Path) -> Process:
    process = spawn([sys.executable, "-c", HOLDER, state, *HUB])
    end = time.monotonic() + 120
    while not list(state.glob("holds-*")):
        assert time.monotonic() < end
        time.sleep(0.05)
    return process


def test_a_hub_starts_and_leaves_with_its_compose(state: Path) -> None:
    with attached(state, command=HUB) as hub:
        assert hub.url.startswith("http://127.0.0.1:")
        with hub.client() as client:
            assert client.health().ok
        (pid,) = starts(state)
        assert is_alive(pid)
    wait_gone(pid)


def test_a_second_compose_uses_the_same_hub(state: Path) -> None:
    with attached(state, command=HUB) as first:
        with attached(state, command=HUB) as second:
            assert second == first
        time.sleep(0.5)
        (pid,) = starts(state)
        assert is_alive(pid), "the first still needs it"
    wait_gone(pid)


def test_the_hub_outlives_the_compose_that_started_it(state: Path) -> None:
    process = hold(state)
    with attached(state, command=HUB):
        process.kill()
        process.wait()
        time.sleep(0.5)
        (pid,) = starts(state)
        assert is_alive(pid)
    wait_gone(pid)


def test_kill_9_of_the_only_compose_ends_the_hub(state: Path) -> None:
    process = hold(state)
    (pid,) = starts(state)
    process.kill()
    process.wait()
    wait_gone(pid)


def test_a_killed_hub_is_replaced(state: Path) -> None:
    with attached(state, command=HUB) as first:
        os.kill(starts(state)[0], signal.SIGKILL)
        wait_gone(starts(state)[0])
        with attached(state, command=HUB) as second:
            assert second.url != first.url
            with second.client() as client:
                assert client.health().ok


def test_a_hub_that_is_leaving_is_waited_for(state: Path) -> None:
    (state / "state").mkdir(parents=True)
    (state / "state/linger").write_text("1")
    with attached(state, command=HUB):
        pass
    (pid,) = starts(state)
    end = time.monotonic() + 120
    while not (state / "state/leaving").exists():  # then it has seen the end of its last compose
        assert time.monotonic() < end
        time.sleep(0.01)
    with attached(state, command=HUB):
        assert not is_alive(pid), "two hubs never share a state directory"
        assert len(starts(state)) == 2


def test_a_hub_that_does_not_start_says_why(state: Path) -> None:
    (state / "state").mkdir(parents=True)
    (state / "state/broken").touch()
    with pytest.raises(HostFailed, match="on fire") as caught, attached(state, command=HUB):
        pass
    assert "hub.log" in caught.value.hint
