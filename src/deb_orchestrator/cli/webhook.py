"""`webhook`: who is told of events."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json
from debcore.hub.door_client import DoorClient
from debcore.hub.doors import WebhookAsk

STATES = click.Choice(["pending", "delivered", "dead"])


@click.group()
def command() -> None:
    """Tell other programs of events, by signed HTTP requests."""


@command.command("add")
@click.argument("name")
@click.argument("url")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only this, or all that begin so: `build.`")
@click.option("--after", type=click.IntRange(min=0), metavar="N", help="Events above N (default: those to come).")
@options_of(DoorClient)
def add(name: str, url: str, types: tuple[str, ...], after: int | None, client: DoorClient, as_json: bool) -> None:
    """Send events to URL from now on, and print the secret that signs them: it is never shown again.

    \b
    deb-orchestrator webhook add ci https://ci.example.org/hook --type packages. --type build.complete
    """
    made = client.add_webhook(WebhookAsk(name=name, url=url, types=types, after=after))
    print_json(made) if as_json else click.echo(made.secret)


@command.command("list")
@options_of(DoorClient)
def list_webhooks(client: DoorClient, as_json: bool) -> None:
    found = client.webhooks()
    if as_json:
        print_json(found)
        return
    rows = [(one.name, one.url, " ".join(one.types) or "all", one.pending, one.dead) for one in found]
    print_rows(("NAME", "URL", "TYPES", "PENDING", "DEAD"), rows)


@command.command("remove")
@click.argument("name")
@options_of(DoorClient)
def remove(name: str, client: DoorClient, as_json: bool) -> None:
    """At once, with what was still to be sent."""
    client.remove_webhook(name)
    if as_json:
        print_json({"removed": name})


@command.command("deliveries")
@click.argument("name")
@click.option("--state", type=STATES, help="Only these.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@options_of(DoorClient)
def list_deliveries(name: str, state: str | None, limit: int, client: DoorClient, as_json: bool) -> None:
    """What was sent, newest first."""
    found = client.deliveries(name, state=state, limit=limit)
    if as_json:
        print_json(found)
        return
    rows = [(one.id, one.event, one.state, one.tries, one.status or "", one.error[:100]) for one in found]
    print_rows(("DELIVERY", "EVENT", "STATE", "TRIES", "ANSWER", "ERROR"), rows)


@command.command("replay")
@click.argument("name")
@click.argument("delivery", type=int, required=False)
@options_of(DoorClient)
def replay(name: str, delivery: int | None, client: DoorClient, as_json: bool) -> None:
    """Send DELIVERY again, or without it all that were given up."""
    count = client.replay(name, delivery)
    print_json({"deliveries": count}) if as_json else click.echo(f"{count} to be sent again")
