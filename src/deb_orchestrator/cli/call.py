"""`call`: the API itself, with the credential of the other verbs."""

from __future__ import annotations

import json
from typing import Any

import click

from deb_orchestrator.cli.connection import client_options
from debcore.cli import print_json
from debcore.hub.client import HubClient
from debcore.hub.model import PREFIX


@click.command()
@click.argument("method", type=click.Choice(["GET", "POST", "PUT", "DELETE"]))
@click.argument("path")
@click.option("-d", "--data", metavar="JSON", help="The body.")
@client_options
def command(method: Any, path: str, data: str | None, client: HubClient, as_json: bool) -> None:  # noqa: ARG001 -- always
    """Call PATH of the hub's API, below /api/v1, and print the JSON that it answers.

    What there is: deb-orchestrator call GET /openapi.json

    \b
    deb-orchestrator call GET '/builds?source=hello&limit=1'
    deb-orchestrator call PUT /agents/builder-1/disabled -d '{"reason": "new disk"}'
    """
    try:
        body = None if data is None else json.loads(data)
    except ValueError as error:
        raise click.UsageError(f"--data is no JSON: {error}") from error
    where = path if path.startswith(f"{PREFIX}/") else f"{PREFIX}/{path.lstrip('/')}"
    print_json(client.http.json(method, where, json=body))
