"""Following a request to its end, one line for each change."""

from __future__ import annotations

import click

from debcore.cli import printable
from debcore.hub.client import HubClient
from debcore.hub.model import Event, Request, RequestState

#: Exit status for each end of a request; the failures' own statuses are deb-mock's.
EXIT = {RequestState.READY: 0, RequestState.FAILED: 4, RequestState.CANCELLED: 3, RequestState.OPEN: 0}


def describe(event: Event) -> str:
    """One line of an event for a person."""
    where = f" build {event.build}" if event.build is not None else ""
    where += f" {event.arch}" if event.arch else ""
    where += f" attempt {event.attempt}" if event.attempt and event.attempt > 1 else ""
    data = event.data
    text = str(data.get("reason") or data.get("status") or data.get("source") or data.get("suite") or "")
    note = " (superseded)" if event.superseded else ""
    return printable(f"{event.n:>6}  {event.type}{where}{': ' + text if text else ''}{note}")


def follow(client: HubClient, request: str, *, quiet: bool = False) -> Request:
    """Print events of *request* until it has ended; return it."""
    after = 0
    while True:
        current = client.request(request)
        for event in client.events(after, request=request, wait=20 if current.state is RequestState.OPEN else 0):
            after = event.n
            if not quiet:
                click.echo(describe(event), err=True)
        if current.state is not RequestState.OPEN:
            return current


def print_end(client: HubClient, request: Request) -> None:
    """What came of it, and what to do next."""
    for failure in request.failures:
        arch = f" {failure.arch}" if failure.arch else ""
        click.echo(printable(f"{failure.source} {failure.version}{arch}: {failure.reason}"))
        if failure.build is not None:
            verb = "show" if failure.status == "refused" else "logs"  # what was refused has been built
            click.echo(f"  [deb-orchestrator {verb} {failure.build}]")
    if request.state is RequestState.READY and request.scratch:
        for build in request.builds:
            click.echo(f"built as a scratch build, in no suite  [deb-orchestrator show {build} lists its files]")
    elif request.state is RequestState.READY:
        suite = client.suite(request.suite)
        click.echo(f"in suite {suite.name} as of event {request.event}, generation {suite.generation}")
        click.echo(f"  [deb-orchestrator suite show {suite.name} prints the apt lines]")
    elif request.state is RequestState.CANCELLED:
        click.echo("cancelled")
