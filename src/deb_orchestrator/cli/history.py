"""`history`: what changed, by event, and who did it."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import options_of
from deb_orchestrator.cli.watching import describe
from debcore.cli import print_json, printable
from debcore.hub.record_client import RecordClient


@click.command()
@click.option("-s", "--suite", metavar="NAME", help="What changed in this suite.")
@click.option("-p", "--package", metavar="NAME", help="What became of this source package.")
@click.option("-t", "--target", metavar="NAME", help="What was done with this target.")
@click.option("--host", metavar="NAME", help="What was done with this host.")
@click.option("--who", metavar="NAME", help="What NAME did.")
@click.option("--before", type=click.IntRange(min=1), metavar="EVENT", help="Older changes only.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@options_of(RecordClient)
def command(
    suite: str | None, package: str | None, target: str | None, host: str | None, who: str | None,
    before: int | None, limit: int, client: RecordClient, as_json: bool,
) -> None:  # fmt: skip
    """Print what changed, newest first, by event, and whose will it was. Koji's list-history.

    What a suite held at an event is said by `suite content --at`; every call that changed something by `audit`.

    \b
    deb-orchestrator history --suite trixie-local
    deb-orchestrator history --package hello --who ada
    """
    wanted = {"suite": suite, "package": package, "target": target, "host": host, "who": who}
    found = list(client.history_of(before=before, limit=limit, **wanted))
    if as_json:
        print_json(found)
        return
    for one in found:
        who_ = f" by {one.who}" if one.who else ""
        click.echo(printable(f"{one.at:%Y-%m-%d %H:%M}  {describe(one)}{who_}"))
