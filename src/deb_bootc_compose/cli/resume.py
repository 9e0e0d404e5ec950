"""deb-bootc-compose resume"""

from __future__ import annotations

from pathlib import Path

import click

from deb_bootc_compose.cli.show import composing, print_summary
from deb_bootc_compose.directory import find_compose


@click.command()
@click.argument("compose", metavar="COMPOSE")
@click.option("--target", type=click.Path(path_type=Path), default=Path("composes"), show_default=True,
              help="Where to look for COMPOSE if it is an id.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 64), help="Tasks at the same time (default: the number of processors).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; progress is then JSON too, a line "
              "for each event on standard error.")  # fmt: skip
def command(compose: str, target: Path, jobs: int | None, as_json: bool) -> None:
    """Go on with COMPOSE, a directory or an id: only what is missing is done.

    It does not matter how it was stopped: Ctrl-C, a failed task, kill -9, a power cut. What the manifest said when the
    compose began holds; later changes of the file are not looked at.
    """
    print_summary(composing(find_compose(compose, [target]), jobs=jobs, as_json=as_json), as_json=as_json)
