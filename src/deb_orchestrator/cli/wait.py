"""`wait`: until requests and builds have ended."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import client_options
from deb_orchestrator.cli.watch import find_request
from deb_orchestrator.cli.watching import EXIT, print_end
from debcore.cli import print_json
from debcore.errors import LimitHit
from debcore.hub.client import HubClient
from debcore.hub.model import RequestState


@click.command()
@click.argument("what", nargs=-1, required=True)
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="Wait no longer for each; status 7 then.")
@client_options
def command(what: tuple[str, ...], timeout: float | None, client: HubClient, as_json: bool) -> int:
    """Wait until all of WHAT, request ids and build numbers, have ended, and say what came of them.

    Unlike `watch` it prints nothing meanwhile. Exit status: 0 all ready, 4 one failed, 3 one was cancelled.

    \b
    deb-orchestrator wait 12 13 && deb-orchestrator wait-repo trixie-local
    """
    ended = []
    for request in dict.fromkeys(find_request(client, one) for one in what):
        found = client.wait_request(request, timeout)
        if found.state is RequestState.OPEN:
            raise LimitHit(f"request {request[:12]} is still open", hint=f"deb-orchestrator watch {request}")
        ended.append(found)
        if not as_json:
            print_end(client, found)
    if as_json:
        print_json(ended)
    return max(EXIT[one.state] for one in ended)
