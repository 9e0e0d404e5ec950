"""deb-bootc-compose diff"""

from __future__ import annotations

from pathlib import Path

import click

from deb_bootc_compose.cli.build import default_target
from deb_bootc_compose.compare import text
from deb_bootc_compose.compare.composes import Difference, Side, StoreDebs, compare, load_side
from deb_bootc_compose.report.difference import make_page
from debcore.cli import print_json
from debcore.path import write_file
from debroot.store import Store


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--target", type=click.Path(path_type=Path), help="Where composes are kept (default: composes/ beside "
              "the manifest in this directory).")  # fmt: skip
@click.option("--changelogs/--no-changelogs", default=True, show_default=True, help="What the changelogs of upgraded "
              "packages say; their .debs are fetched where the store lacks them.")  # fmt: skip
@click.option("--files/--no-files", default=True, show_default=True, help="Which files differ, also in the initramfs; "
              "the layers that differ are read.")  # fmt: skip
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write one HTML file "
              "(- prints it).")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    before: str, after: str, target: Path | None, changelogs: bool, files: bool, html: Path | None, as_json: bool
) -> None:
    """Show what changed from BEFORE to AFTER: packages, their changelogs and fixed CVEs, files, what an update fetches.

    Each is a compose (a directory or an id) or a lock file. Files are compared where both have container images.

    deb-bootc-compose diff composes/latest-server-13 compose.lock.json
    """
    if html is not None and as_json:
        raise click.UsageError("--html and --json are two forms: take one")
    targets = [target or default_target(Path())]
    difference = make_difference(
        load_side(before, targets), load_side(after, targets), changelogs=changelogs, files=files
    )
    if html is None:
        print_difference(difference, as_json=as_json)
    elif html == Path("-"):
        click.echo(make_page(difference), nl=False)
    else:
        write_file(html, make_page(difference))
        click.echo(html)


def make_difference(before: Side, after: Side, *, changelogs: bool, files: bool = False) -> Difference:
    return compare(before, after, StoreDebs(Store.open()) if changelogs else None, files=files)


def print_difference(difference: Difference, *, as_json: bool) -> None:
    if as_json:
        print_json(text.document(difference))
        return
    for line in text.lines(difference):
        click.echo(line)
