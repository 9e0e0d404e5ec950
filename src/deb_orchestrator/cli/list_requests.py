"""`list-requests`: what was asked for."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import age, client_options, print_rows
from debcore.cli import print_json
from debcore.hub.client import HubClient
from debcore.hub.model import RequestState


@click.command()
@click.option("--state", type=click.Choice([one.value for one in RequestState]), help="Only those in it.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@client_options
def command(state: str | None, limit: int, client: HubClient, as_json: bool) -> None:
    """List requests, newest first: each is a set of source packages that a target's suite should have."""
    found = client.requests(state=state, limit=limit)
    if as_json:
        print_json(found)
        return
    print_rows(
        ("REQUEST", "TARGET", "STATE", "PACKAGES", "BUILDS", "AGE"),
        (
            (r.id, r.target, r.state, _names([one.source for one in r.packages]),
             " ".join(map(str, r.builds[:6])) + (" …" if len(r.builds) > 6 else ""), age(r.created_at))
            for r in found
        ),
    )  # fmt: skip


def _names(names: list[str]) -> str:
    return " ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
