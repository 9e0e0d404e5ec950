"""Options by which people say what is checked, of one build or of all of a target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def check_options(which: str, *, policy: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--check`, `--fail-on` and `--policy`: the verb gets `checks`, `fail_on` and `policy`, the policy's text.

    *which* and *policy*: help, for these say different things to different verbs.
    """

    def add(verb: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--policy", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
                         callback=_read, help=policy),
            click.option("--fail-on", multiple=True, metavar="[CHECK:]LEVEL",
                         help="This level of findings and graver ones fail."),
            click.option("--check", "--checks", "checks", multiple=True, metavar="NAMES", callback=_split, help=which),
        ):  # fmt: skip
            verb = option(verb)
        return verb

    return add


def _split(_ctx: click.Context, _param: click.Parameter, words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for word in words for name in word.split(",") if name)


def _read(_ctx: click.Context, _param: click.Parameter, path: Path | None) -> str | None:
    return None if path is None else path.read_text()
