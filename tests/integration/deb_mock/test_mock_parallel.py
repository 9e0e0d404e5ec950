"""Builds of one target at once never wait for each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.deb_mock.conftest import unique_sleep
from tests.integration.deb_mock.test_mock_stop import check_nothing_left, command_lines, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

#: The builds run it until they are ended.
SLEEP = unique_sleep()
COUNT = 4


def sleeping() -> int:
    """How many builds are asleep: the command itself, not the shell that started it."""
    return sum(line == SLEEP.replace(" ", "\0").encode() + b"\0" for line in command_lines())


def test_all_of_them_run_at_the_same_time(native: Any, tool: Any, tmp_path: Path) -> None:
    trees = [native(name=f"tiny{number}", build=SLEEP) for number in range(COUNT)]
    fresh = ("--set", "archive.max_age=1h", "-r", "debian-trixie-amd64")
    running = [tool.start("build", *fresh, "--resultdir", tmp_path / tree.name, tree) for tree in trees]
    try:
        wait_for(lambda: sleeping() == COUNT)
    finally:
        for process in running:
            process.terminate()
        statuses = [process.wait(300) for process in running]
    assert statuses == [143] * COUNT
    wait_for(lambda: sleeping() == 0)
    check_nothing_left(tool.store)
