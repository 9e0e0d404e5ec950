"""`search`: things by a part of their name."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json
from debcore.hub.record_client import RecordClient


@click.command()
@click.argument("words")
@options_of(RecordClient)
def command(words: str, client: RecordClient, as_json: bool) -> int:
    """Find sources, packages, suites and hosts with WORDS in their name, or the build of that number.

    Exit status 3 if there is nothing.
    """
    found = client.search(words)
    rows: list[tuple[str, str, str]] = [] if found.build is None else [("build", str(found.build), "")]
    rows += [("source", name, "") for name in found.sources]
    rows += [("package", one.name, f"of {one.source}, in {' '.join(one.suites)}") for one in found.packages]
    rows += [("suite", name, "") for name in found.suites] + [("host", name, "") for name in found.hosts]
    if as_json:
        print_json(found)
    elif rows:
        print_rows(("KIND", "NAME", ""), rows)
    else:
        click.echo("nothing found", err=True)
    return 0 if rows else 3
