"""deb-orchestrator backup."""

from __future__ import annotations

from pathlib import Path

import click

from deb_orchestrator.cli.place import DIRECTORY, Place, place_options
from deb_orchestrator.services.backup import make_backup
from deb_orchestrator.store.engine import open_database
from debcore.cli import print_json
from debcore.errors import Failure


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.option("--no-copy", is_flag=True, help="Name the artifacts, and leave their bytes to the store's own backup.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@place_options
def command(directory: Path, no_copy: bool, as_json: bool, place: Place) -> None:
    """Write database and artifacts to DIRECTORY, of one moment, while the hub runs.

    \b
    deb-orchestrator backup /srv/backup/hub
    deb-orchestrator backup --database postgresql://hub@db/hub --artifacts s3://farm/a --no-copy /srv/backup/hub

    Run it on the hub's host, as the hub's user. A later backup into the same directory adds what is new and replaces
    the older one once it is whole. The signer's keys and log are NOT in it: copy the signer's state by other means.
    """
    if isinstance(place.database, Path) and not place.database.exists():
        raise Failure(f"there is no hub in {place.database.parent}", hint="give its --state or --database")
    with open_database(place.database, alone=False) as db:
        made = make_backup(db, place.blobs, directory, copy=not no_copy)
    if as_json:
        print_json(made)
        return
    click.echo(f"{directory}: event {made.event}, {made.files} artifacts ({made.size / 2**20:.1f} MiB)")
    click.echo("The signer's keys and log are not in it.")
