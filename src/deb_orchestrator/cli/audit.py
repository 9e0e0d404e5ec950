"""`audit`: who did what."""

from __future__ import annotations

import json

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json
from debcore.hub.door_client import DoorClient


@click.command()
@click.option("--who", metavar="NAME", help="Only what NAME did.")
@click.option("--action", metavar="ACTION", help="Only this, or all that begin so: `suite.`")
@click.option("--subject", metavar="SUBJECT", help="Only what was done to SUBJECT.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many.")
@options_of(DoorClient)
def command(
    who: str | None, action: str | None, subject: str | None, limit: int, client: DoorClient, as_json: bool
) -> None:
    """Print who did what, newest first. The log is only ever appended to."""
    found = client.audit(principal=who, action=action, subject=subject, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [
        (one.id, f"{one.at:%Y-%m-%d %H:%M:%S}", one.principal, one.action, one.subject[:40], json.dumps(one.data)[:100])
        for one in found
    ]
    print_rows(("ENTRY", "WHEN (UTC)", "WHO", "ACTION", "SUBJECT", "DETAILS"), rows)
