"""Options of the quality gate: for `check`, and for `build`, which can check what it has built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from deb_mock.order import Gate

Function = TypeVar("Function", bound=Callable[..., Any])


def gate_options(function: Function) -> Function:
    """--check, --policy and --fail-on."""
    for option in (
        click.option(
            "--fail-on", multiple=True, metavar="[CHECK:]LEVEL",
            help="Findings of this level and graver fail: error, warning, info, pedantic, not-run.",
        ),
        click.option(
            "--policy", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
            help="A policy file (TOML) that wins over the system's, yours and the project's.",
        ),
        click.option(
            "checks", "--check", multiple=True, metavar="CHECK,…",
            help="Which checks; `deb-mock check --list` names them.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


#: sbuild's names of switches → our checks.
SBUILD = {"run_lintian": "lintian", "run_piuparts": "piuparts", "run_autopkgtest": "autopkgtest"}


def build_gate_options(function: Function) -> Function:
    """The same for `build`, with sbuild's switches."""
    for name, check in SBUILD.items():
        word = f"--{name.replace('_', '-')}"
        function = click.option(name, word, is_flag=True, help=f"As --check {check}.")(function)
    return gate_options(function)


def parse_gate(options: Mapping[str, Any], *, project: Path | None) -> Gate | None:
    """The checks of a build; None if none was asked for. Errors: ConfigError, UsageError."""
    given = [word for words in options["checks"] for word in words.split(",") if word]
    given += [check for name, check in SBUILD.items() if options[name]]
    if not given:
        if options["policy"] or options["fail_on"]:
            raise click.UsageError("--policy and --fail-on need --check")
        return None
    from deb_mock.checks.registry import make_gate

    return make_gate(given, project=project, file=options["policy"], fail_on=options["fail_on"])
