"""Builds that fail: a shell in the root at once, the root kept, and going on in it."""

from __future__ import annotations

import os
import pty
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from debcore.command import Process, spawn
from debcore.job import JobDirectory, Status
from tests.integration.deb_mock.conftest import unique_sleep
from tests.integration.deb_mock.test_mock_stop import check_nothing_left, running, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

FRESH = ("--set", "archive.max_age=1h", "-r", "debian-trixie-amd64")


class Terminal:
    """A program on a terminal of its own: `expect` what it prints, `type` what a person would."""

    def __init__(self, process: Process, fd: int) -> None:
        self.process, self.seen, self._fd = process, "", fd

    def expect(self, text: str, *, seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self._fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._fd, 1 << 16).decode(errors="replace")
                except OSError:  # its last process has gone
                    assert text in self.seen, self.seen
                    return
        self.seen = self.seen[self.seen.index(text) + len(text) :]

    def type(self, line: str) -> None:
        os.write(self._fd, line.encode() + b"\n")


@pytest.fixture
def terminal(tool: Any) -> Callable[..., Any]:
    """terminal(WORDS…): deb-mock with these, on a terminal, as the leader of its session."""

    @contextmanager
    def start(*words: str | Path) -> Iterator[Terminal]:
        ours, theirs = pty.openpty()
        argv = ["setsid", "--ctty", *tool.argv, *words]
        env = tool.environment({"TERM": "dumb"})
        process = spawn(argv, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    return start


def failing(native: Any, name: str = "tiny") -> Path:
    """A package whose build fails until there is a file `mended` in its tree."""
    found: Path = native(name=name, build="touch started; test -e mended")
    return found


def test_a_shell_in_the_failed_root_before_it_goes(native: Any, tool: Any, terminal: Any, tmp_path: Path) -> None:
    tree = failing(native)
    with terminal("build", *FRESH, "--resultdir", tmp_path / "out", "--debug-on-failure", tree) as screen:
        screen.expect("A shell in its root")
        screen.type('echo "[$(pwd) $(id -u) $(ls -d started) $DEB_BUILD_OPTIONS]"')
        screen.expect("[/build/reproducible-path/tiny-1.0 0 started parallel=")
        screen.type("exit 0")
        screen.expect("the package failed to build")
        assert screen.process.wait(120) == 4
    check_nothing_left(tool.store)
    result = JobDirectory(tmp_path / "out").find_result()
    assert result is not None
    assert result.status is Status.FAILED


def test_sbuilds_word_for_that_shell(native: Any, terminal: Any, tool: Any, tmp_path: Path) -> None:
    words = ("sbuild", "-d", "trixie", "--build-dir", tmp_path, "--anything-failed-commands=%SBUILD_SHELL")
    with terminal(*words, failing(native)) as screen:
        screen.expect("A shell in its root")
        screen.type("ls -d started; exit 0")
        screen.expect("\r\nstarted")
        assert screen.process.wait(120) == 2
    done = tool.run(*words, failing(native, "other"))
    assert (done.status, "%SBUILD_SHELL needs a terminal" in done.stderr.decode()) == (1, True)


def test_ctrl_c_in_that_shell_ends_only_what_runs_in_it(native: Any, terminal: Any, tmp_path: Path) -> None:
    with terminal("build", *FRESH, "--resultdir", tmp_path / "out", "--debug-on-failure", failing(native)) as screen:
        screen.expect("A shell in its root")
        sleep = unique_sleep()
        screen.type(f"{sleep}; echo after-$((1 + 1))")
        wait_for(lambda: running(sleep))
        os.write(screen._fd, b"\x03")
        screen.type("echo alive-$((2 + 2))")
        screen.expect("alive-4")
        screen.type("exit")
        screen.expect("the package failed to build")
        assert screen.process.wait(120) == 4


@pytest.mark.parametrize(
    "words",
    [
        ("build", "--debug-on-failure", "."),
        ("shell", "--last-failed"),
        ("resume", "--from=build", "--debug-on-failure"),
    ],
)
def test_without_a_terminal_a_shell_is_refused_with_another_way(tool: Any, words: tuple[str, ...]) -> None:
    done = tool.run(*words)
    assert done.status == 3
    assert b"needs a terminal" in done.stderr
    assert b"[" in done.stderr


@pytest.fixture
def kept(newest_kept: None, native: Any, tool: Any, tmp_path: Path) -> Path:
    """The result directory of a build that failed and whose root was kept."""
    done = tool.run("build", *FRESH, "--keep-failed", "--resultdir", tmp_path / "out", failing(native))
    assert done.status == 4
    assert b"deb-mock shell --last-failed" in done.stderr
    return tmp_path / "out"


def test_a_kept_root_is_mended_and_the_build_goes_on(kept: Path, tool: Any, terminal: Any) -> None:
    with terminal("shell", "--last-failed") as screen:
        screen.expect("which failed")
        screen.type("ls started && touch mended && exit")
        assert screen.process.wait(120) == 0
    done = tool.run("resume", "--from", "build", kept)
    assert done.status == 0, done.stderr.decode()
    result = JobDirectory(kept).find_result()
    assert result is not None
    assert result.status is Status.BUILT
    assert result.reproducible is False
    assert {output.kind for output in result.outputs} >= {"deb", "changes", "buildinfo", "log"}
    assert [stage.name for stage in result.stages] == ["build", "results"]  # nothing was unpacked or installed again
    log = (kept / "build.log").read_text()
    assert "--no-pre-clean" in log
    assert "the root of a build that failed" in log
    assert tool.run("resume", "--from", "build", kept).status == 3  # it has served
    check_nothing_left(tool.store)


def test_from_clean_runs_clean_and_from_unpack_undoes_what_was_mended(kept: Path, tool: Any) -> None:
    assert tool.run("run", "--last-failed", "--", "touch", "mended").status == 0
    assert tool.run("resume", "--from", "unpack", kept).status == 4
    assert tool.run("run", "--last-failed", "--", "test", "-e", "mended").status == 1
    assert tool.run("run", "--last-failed", "--", "touch", "mended").status == 0
    done = tool.run("resume", "--from", "clean")
    assert done.status == 0, done.stderr.decode()
    assert "--no-pre-clean" not in (kept / "build.log").read_text()


def test_a_kept_root_is_used_by_one_at_a_time(kept: Path, tool: Any) -> None:
    sleep = unique_sleep()
    process = tool.start("run", "--last-failed", "--", *sleep.split())
    try:
        wait_for(lambda: running(sleep))
        done = tool.run("resume", "--from", "build", kept)
        assert done.status == 3
        assert b"in use" in done.stderr
        assert JobDirectory(kept).find_result() is not None  # what was there stays
    finally:
        process.terminate()
        process.wait(120)


def test_without_being_asked_nothing_is_kept(native: Any, tool: Any, tmp_path: Path) -> None:
    assert tool.run("build", *FRESH, "--resultdir", tmp_path / "out", failing(native)).status == 4
    done = tool.run("resume", "--from", "build", tmp_path / "out")
    assert done.status == 3
    assert b"--keep-failed" in done.stderr


def test_a_command_runs_in_the_failed_root_before_it_goes(native: Any, tool: Any, tmp_path: Path) -> None:
    words = ("--run-on-failure", "echo ran as $(id -u) after $(ls /build/reproducible-path/tiny-1.0/started)")
    built = tool.build(failing(native), tmp_path / "out", *words)
    assert built.status == 4
    assert "ran as 0 after /build/reproducible-path/tiny-1.0/started" in built.log
