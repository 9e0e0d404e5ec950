"""deb-bootc-compose diff"""

from __future__ import annotations

from pathlib import Path

import click

from deb_bootc_compose.cli.build import default_target
from deb_bootc_compose.compare import text
from deb_bootc_compose.compare.composes import Side, StoreDebs, compare, load_side
from debcore.cli import print_json
from debroot.store import Store


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--target", type=click.Path(path_type=Path), help="Where composes are kept (default: composes/ beside "
              "the manifest in this directory).")  # fmt: skip
@click.option("--changelogs/--no-changelogs", default=True, show_default=True, help="What the changelogs of upgraded "
              "packages say; their .debs are fetched where the store lacks them.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(before: str, after: str, target: Path | None, changelogs: bool, as_json: bool) -> None:
    """Show what changed from BEFORE to AFTER: packages, their changelogs and fixed CVEs, what an update fetches.

    Each is a compose (a directory or an id) or a lock file.

    deb-bootc-compose diff composes/latest-server-13 compose.lock.json
    """
    targets = [target or default_target(Path())]
    print_difference(load_side(before, targets), load_side(after, targets), changelogs=changelogs, as_json=as_json)


def print_difference(before: Side, after: Side, *, changelogs: bool, as_json: bool) -> None:
    difference = compare(before, after, StoreDebs(Store.open()) if changelogs else None)
    if as_json:
        print_json(text.document(difference))
        return
    for line in text.lines(difference):
        click.echo(line)
