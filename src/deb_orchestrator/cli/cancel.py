"""`cancel`: stop builds and requests."""

from __future__ import annotations

import re

import click

from deb_orchestrator.cli.connection import client_options
from debcore.cli import print_json
from debcore.hub.client import HubClient
from debcore.hub.model import Build, Request

REQUEST = re.compile(r"[0-9a-f]{64}")


@click.command()
@click.argument("what", nargs=-1, required=True, metavar="BUILD|REQUEST...")
@client_options
def command(what: tuple[str, ...], client: HubClient, as_json: bool) -> None:
    """Cancel builds, by number, and requests, with the builds that nobody else asked for.

    A running build is told within its next heartbeat.
    """
    for word in what:
        if not (word.isascii() and (word.isdigit() or REQUEST.fullmatch(word))):
            raise click.UsageError(f"{word!r} is neither a build's number nor a request's id")
    states: list[Build | Request] = []
    for word in what:
        states.append(client.cancel_request(word) if REQUEST.fullmatch(word) else client.cancel(int(word)))
    if as_json:
        print_json(states)
        return
    for one in states:
        name = f"build {one.id} {one.source} {one.version}" if isinstance(one, Build) else f"request {one.id}"
        click.echo(f"{name}: {one.state}")
