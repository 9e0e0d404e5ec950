"""What every verb has: help with an example, JSON; and Tab in a real bash."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from deb_mock.cli import VERBS, group
from debcore.command import run


def verbs(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for word in command.list_commands(context):
        found = command.get_command(context, word)
        assert found is not None
        yield from verbs(f"{name} {word}".strip(), found)


ALL = dict(verbs("", group))


@pytest.mark.parametrize("name", ALL)
def test_every_verb_teaches_by_an_example_and_speaks_json(name: str) -> None:
    command = ALL[name]
    assert f"deb-mock {name}" in (command.help or "").partition("\b")[2], "no example"
    assert any("--json" in parameter.opts for parameter in command.params)
    assert [o.name for o in command.params if isinstance(o, click.Option) and not (o.help or o.hidden)] == []


def press_tab(words: list[str], tmp_path: Path) -> list[str]:
    """What bash offers after *words*, by the script that `deb-mock completion bash` prints."""
    tool = tmp_path / "deb-mock"
    tool.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from deb_mock.cli import main; main()' \"$@\"\n")
    tool.chmod(0o755)
    script = f"""
source <(deb-mock completion bash)
complete -p deb-mock >/dev/null || exit 1
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}) COMP_CWORD={len(words) - 1}
_deb_mock_completion deb-mock
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = run(["bash", "-c", script], extra_env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=False)
    assert done.status == 0, done.stderr
    return done.text.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["deb-mock", ""], {"build", "chain", "completion"}),
        (["deb-mock", "bui"], {"build"}),
        (["deb-mock", "build", "--result"], {"--resultdir"}),
        (["deb-mock", "build", "-r", "debian-trixie-am"], {"debian-trixie-amd64"}),
        (["deb-mock", "build", "--set", "limits.mem"], {"limits.memory="}),
        (["deb-mock", "build", "--enable-plugin", "cc"], {"ccache"}),
        (["deb-mock", "config", ""], {"show"}),
    ],
)
def test_tab_completes_in_bash(words: list[str], offered: set[str], tmp_path: Path) -> None:
    assert offered <= set(press_tab(words, tmp_path))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    done = run([sys.executable, "-c", "from deb_mock.cli import main; main()", "completion", shell])
    assert "_DEB_MOCK_COMPLETE" in done.text
    assert f"{shell}_complete" in done.text


def test_completing_a_verb_imports_no_verb() -> None:
    code = (
        "import sys, click; from deb_mock.cli import group;"
        "group.shell_complete(click.Context(group), 'b');"
        "print([m for m in sys.modules if m.startswith('deb_mock.cli.')])"
    )
    assert run([sys.executable, "-c", code]).text.strip() == "[]"


def test_every_verb_is_told_in_one_line() -> None:
    assert all(text and not text.endswith(".") and len(text) < 70 for _, text in VERBS.values())
