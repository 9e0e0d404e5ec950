"""Cancelling from another thread: what waits is stopped once, and what cleans up afterwards is not."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from debcore import cancel
from debcore.cancel import Cancel, Cancelled, cancelling
from debcore.command import run
from debcore.errors import CommandFailed
from debroot.locks import hold_shared, take_free


def wait_for_a_lock(directory: Path) -> None:
    with hold_shared(directory):
        pass


@pytest.mark.parametrize(
    "wait",
    [
        lambda directory: run(["sleep", "60"]),
        wait_for_a_lock,
        lambda directory: cancel.pause(60),
    ],
    ids=["program", "lock", "pause"],
)
def test_a_set_token_stops_what_waits(wait: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    held = take_free(tmp_path)
    assert held is not None
    token = Cancel()
    threading.Timer(0.2, token.set).start()
    started = time.monotonic()
    with cancelling(token), pytest.raises(Cancelled):
        wait(tmp_path)
    os.close(held)
    assert time.monotonic() - started < 30


def test_what_cleans_up_is_not_stopped_again() -> None:
    token = Cancel()
    token.set()
    with cancelling(token):
        with pytest.raises(Cancelled):
            cancel.check()
        assert run(["echo", "cleaned up"]).text == "cleaned up\n"


def test_a_token_concerns_only_its_own_block_and_thread() -> None:
    token = Cancel()
    said: list[str] = []
    with cancelling(token):
        other = threading.Thread(target=lambda: said.append(run(["echo", "other"]).text))
        token.set()
        other.start()
        other.join()
        with pytest.raises(Cancelled):
            run(["sleep", "60"])
    cancel.check()
    assert said == ["other\n"]


def test_output_and_status_are_the_same_with_a_token() -> None:
    script = "head -c 300000 /dev/zero | tr '\\0' x; sleep 0.5; cat; exit 3"
    with cancelling(Cancel()), pytest.raises(CommandFailed) as caught:
        run(["sh", "-c", script], stdin=b"y" * 200000)
    assert caught.value.exit_status == 3
    with cancelling(Cancel()):
        done = run(["sh", "-c", script], stdin=b"y" * 200000, check=False)
    assert done.stdout == b"x" * 300000 + b"y" * 200000


def test_a_time_limit_holds_with_a_token() -> None:
    with cancelling(Cancel()), pytest.raises(CommandFailed, match="no end after"):
        run(["sleep", "60"], timeout=0.5)
