"""`retention`: for how long what nothing uses is kept."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json
from debcore.hub.upkeep import Retention
from debcore.hub.upkeep_client import UpkeepClient

FIELDS = tuple(name for name in Retention.model_fields if name != "automatic")


@click.command()
@click.option("--automatic/--no-automatic", default=None, help="Whether the hub collects by itself.")
@click.option("--scratch", type=int, metavar="DAYS", help="What scratch builds made.")
@click.option("--failed", type=int, metavar="DAYS", help="Sources and results of builds that no suite got.")
@click.option("--superseded", type=int, metavar="DAYS", help="Packages that have left their suites.")
@click.option("--logs", type=int, metavar="DAYS", help="Logs of builds and checks.")
@click.option("--indexes", type=int, metavar="DAYS", help="Indexes of suites, once newer ones are published.")
@click.option("--snapshots", metavar="DAYS", help="Snapshots of suites; `never`: they do not go.")
@options_of(UpkeepClient)
def command(
    client: UpkeepClient, as_json: bool, automatic: bool | None, snapshots: str | None, **days: int | None
) -> None:
    """Show for how long what nothing uses is kept, and change it.

    \b
    deb-orchestrator retention --scratch 7 --superseded 30 --snapshots never

    What a suite, snapshot, pin, hold or unfinished job uses is kept anyhow.
    """
    changed: dict[str, object] = {name: value for name, value in days.items() if value is not None}
    if automatic is not None:
        changed["automatic"] = automatic
    if snapshots is not None:
        if snapshots != "never" and not snapshots.isdigit():
            raise click.BadParameter("a number of days, or never", param_hint="--snapshots")
        changed["snapshots"] = None if snapshots == "never" else int(snapshots)
    kept = client.retention()
    if changed:
        kept = client.set_retention(Retention.model_validate({**kept.model_dump(), **changed}))
    if as_json:
        print_json(kept)
        return
    words = {name: getattr(kept, name) for name in FIELDS}
    rows = [(name, "for ever" if value is None else f"{value} days") for name, value in words.items()]
    print_rows(("KEPT", "FOR"), rows)
    click.echo("The hub collects by itself." if kept.automatic else "The hub collects only when it is told.")
