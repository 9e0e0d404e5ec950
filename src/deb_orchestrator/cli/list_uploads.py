"""`list-uploads`: what came by dput."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import age, options_of, print_rows
from debcore.cli import print_json
from debcore.hub.door_client import DoorClient


@click.command()
@click.option("-t", "--target", help="Only this target.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@options_of(DoorClient)
def command(target: str | None, limit: int, client: DoorClient, as_json: bool) -> None:
    """List uploads, newest first; `why NAME_source.changes` says more."""
    found = client.uploads(target=target, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [(u.id, u.name, u.uploader, u.target, u.state, age(u.at), u.reason[:100]) for u in found]
    print_rows(("UPLOAD", "NAME", "BY", "TARGET", "STATE", "AGE", "REASON"), rows)
