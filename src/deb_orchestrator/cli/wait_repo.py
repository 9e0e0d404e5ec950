"""`wait-repo`: until a suite's repository holds what was done."""

from __future__ import annotations

import time

import click

from deb_orchestrator.cli.connection import client_options
from debcore.cli import print_json
from debcore.errors import LimitHit
from debcore.hub.client import HubClient

POLL = 1.0  #: seconds between looks


@click.command()
@click.argument("suite")
@click.option("--event", type=click.IntRange(0), metavar="N", help="Up to this event (default: the last one now).")
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Wait no longer; status 7 then.")
@client_options
def command(suite: str, event: int | None, timeout: float | None, client: HubClient, as_json: bool) -> None:
    """Wait until apt, reading SUITE, sees all that happened to it up to an event.

    Commands that change a suite print the number of their event.

    \b
    deb-orchestrator wait-repo trixie-local --event 1234
    """
    end = None if timeout is None else time.monotonic() + timeout
    wanted = _find_last(client, suite) if event is None else event
    while (found := client.suite(suite)).event < wanted:
        if end is not None and time.monotonic() >= end:
            raise LimitHit(
                f"{suite} is served as of event {found.event}, not yet {wanted}",
                hint="the signer may be away: deb-orchestrator list-hosts",
            )
        time.sleep(POLL)
    print_json(found) if as_json else click.echo(f"{suite} is at event {found.event}, generation {found.generation}")


def _find_last(client: HubClient, suite: str) -> int:
    """The last event that changed what the suite holds; 0 if none did."""
    last, after = 0, 0
    while events := client.events(after):
        after = events[-1].n
        mine = [one.n for one in events if one.type in _CHANGES and one.data.get("suite") == suite]
        last = max([last, *mine])
    return last


_CHANGES = ("suite.changed", "suite.removed", "suite.reverted", "suite.inherits")
