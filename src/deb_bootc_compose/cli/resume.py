"""deb-bootc-compose resume"""

from __future__ import annotations

from pathlib import Path

import click

from deb_bootc_compose.cli.show import composing, print_forecast, print_summary
from deb_bootc_compose.compose import load_started
from deb_bootc_compose.directory import find_compose
from deb_bootc_compose.tasks import KINDS


@click.command()
@click.argument("compose", metavar="COMPOSE")
@click.option("--target", type=click.Path(path_type=Path), default=Path("composes"), show_default=True,
              help="Where to look for COMPOSE if it is an id.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 64), help="Tasks at the same time (default: the number of processors).")
@click.option("--from", "again_from", type=click.Choice(list(KINDS)), help="Do tasks of this kind and those after it "
              "once more, though they are done.")  # fmt: skip
@click.option("-n", "--dry-run", is_flag=True, help="Only say which tasks would run, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; progress is then JSON too, a line "
              "for each event on standard error.")  # fmt: skip
def command(compose: str, target: Path, jobs: int | None, as_json: bool, again_from: str | None, dry_run: bool) -> None:
    """Go on with COMPOSE, a directory or an id: only what is missing is done.

    It does not matter how it was stopped: Ctrl-C, a failed task, kill -9, a power cut. What the manifest said when the
    compose began holds; later changes of the file are not looked at.
    """
    directory = find_compose(compose, [target])
    if dry_run:
        print_forecast(load_started(directory), directory, again_from=again_from, as_json=as_json)
        return
    print_summary(composing(directory, jobs=jobs, as_json=as_json, again_from=again_from), as_json=as_json)
