"""Programs: what they print, how they fail, what a person sees of it."""

from __future__ import annotations

import sys

import click
import pytest

from debcore.cli import LazyGroup, dispatch, printable
from debcore.command import run
from debcore.errors import BuildFailed, CommandFailed, ConfigError, DepsUnmet, Failure, HostFailed, LimitHit


def test_output_and_status() -> None:
    done = run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin=b"in", check=False)
    assert (done.status, done.stdout, done.stderr) == (3, b"in", b"err\n")


def test_a_failure_carries_the_command_and_its_last_words() -> None:
    with pytest.raises(CommandFailed, match="status 3: the reason") as caught:
        run(["sh", "-c", "echo noise >&2; echo the reason >&2; exit 3"])
    assert caught.value.command == "sh -c 'echo noise >&2; echo the reason >&2; exit 3'"


def test_a_missing_program_names_the_next_step() -> None:
    with pytest.raises(HostFailed, match="not installed") as caught:
        run(["no-such-program-here"])
    assert "apt-file" in caught.value.hint


def test_a_program_that_does_not_end_is_ended() -> None:
    with pytest.raises(CommandFailed, match="no end after"):
        run(["sleep", "60"], timeout=0.05)


@pytest.mark.parametrize(
    ("failure", "status"),
    [(Failure, 3), (BuildFailed, 4), (DepsUnmet, 5), (HostFailed, 6), (LimitHit, 7)],
)
def test_exit_statuses_never_change(failure: type[Failure], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def command() -> None:
        raise failure("it \x1b[31mbroke", hint="mend it")

    with pytest.raises(SystemExit) as exit_:
        dispatch(command, prog="tool", argv=[])
    assert exit_.value.code == status
    assert capsys.readouterr().err == "tool: it \\x1b[31mbroke\n  [mend it]\n"


def test_usage_errors_are_2(capsys: pytest.CaptureFixture[str]) -> None:
    group = LazyGroup("tool", verbs={"build": ("json", "build it")})
    with pytest.raises(SystemExit) as exit_:
        dispatch(group, prog="tool", argv=["bulid"])
    assert exit_.value.code == 2
    assert "No such command 'bulid'" in capsys.readouterr().err


def test_where_leads_the_message() -> None:
    assert str(ConfigError("a.toml:3", "no key 'x'")) == "a.toml:3: no key 'x'"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert printable("a\tb\n\x1b[2J\r") == "a\tb\n\\x1b[2J\\x0d"


def test_python_of_the_tests_is_new_enough() -> None:
    assert sys.version_info >= (3, 11)
