"""`watch`: follow a request or a build to its end."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import client_options
from deb_orchestrator.cli.watching import EXIT, follow, print_end
from debcore.cli import print_json
from debcore.errors import Failure
from debcore.hub.client import HubClient


@click.command()
@click.argument("what")
@client_options
def command(what: str, client: HubClient, as_json: bool) -> int:
    """Follow WHAT, a request id or a build number, until it has ended.

    Exit status: 0 ready, 4 failed, 3 cancelled.
    """
    request = find_request(client, what)
    ended = follow(client, request, quiet=as_json)
    print_json(ended) if as_json else print_end(client, ended)
    return EXIT[ended.state]


def find_request(client: HubClient, what: str) -> str:
    """The request id for a build number or a request id. Errors: Failure for a build that belongs to none."""
    if not what.isdigit() or len(what) == 64:
        return what
    request = client.build(int(what)).request
    if request is None:
        raise Failure(f"build {what} belongs to no request", hint=f"see: deb-orchestrator show {what}")
    return request
