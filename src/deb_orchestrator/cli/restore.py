"""deb-orchestrator restore."""

from __future__ import annotations

from pathlib import Path

import click

from deb_orchestrator.cli.place import DIRECTORY, Place, place_options
from deb_orchestrator.services.restoring import AHEAD, restore_backup
from debcore.cli import print_json


@click.command()
@click.argument("directory", type=DIRECTORY)
@click.option(
    "--ahead", type=click.IntRange(1, 10**12), default=AHEAD, show_default=True, metavar="N",
    help="How far generations and events go on above the backup's: more than came after it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@place_options
def command(directory: Path, ahead: int, as_json: bool, place: Place) -> None:
    """Make a hub's state of a backup, where there is none: an empty --state, or a new database.

    \b
    deb-orchestrator restore /srv/backup/hub
    createdb hub && deb-orchestrator restore --database postgresql:///hub /srv/backup/hub

    Then start the hub, with the signer's state as it was: it signs every suite anew.
    """
    made = restore_backup(directory, place.database, place.blobs, ahead=ahead)
    if as_json:
        print_json(made)
        return
    click.echo(f"restored: event {made.event} of {made.made_at:%Y-%m-%d %H:%M:%S} UTC, {made.files} artifacts")
    click.echo(f"Generations and events go on {ahead} above it. Start the hub and its signer now.")
