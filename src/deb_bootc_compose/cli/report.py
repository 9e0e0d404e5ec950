"""deb-bootc-compose report"""

from __future__ import annotations

from pathlib import Path

import click

from deb_bootc_compose.cli.build import default_target
from deb_bootc_compose.directory import find_compose
from deb_bootc_compose.report.compose import make_report
from debcore.path import write_file


@click.command()
@click.argument("compose", metavar="COMPOSE")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where to write it (default: "
              "report.html of the directory one is in; - prints it).")  # fmt: skip
@click.option("--target", type=click.Path(path_type=Path), help="Where composes are kept (default: composes/ beside "
              "the manifest in this directory).")  # fmt: skip
def command(compose: str, output: Path | None, target: Path | None) -> None:
    """Write a report of COMPOSE (a directory or an id) as one HTML file.

    It shows status, refs, commits, digests and gates, sizes by package and by layer, where the time went, and every
    package. The file needs no network and runs no script. Each compose leaves one in its directory when it ends.

    \b
    deb-bootc-compose report composes/latest-server-13 --output /srv/www/server.html
    """
    made = make_report(find_compose(compose, [target or default_target(Path())]))
    if output == Path("-"):
        click.echo(made, nl=False)
        return
    path = output or Path("report.html")
    write_file(path, made)
    click.echo(path)
