"""`package`: source packages, their builds and suites."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import age, options_of, print_rows
from debcore.cli import print_json, printable
from debcore.hub.record_client import RecordClient

options = options_of(RecordClient)


@click.group()
def command() -> None:
    """Source packages that the hub knows. Which of them a suite takes is said by `suite allow` and `suite block`."""


@command.command("list")
@click.argument("part", default="")
@click.option("-s", "--suite", help="What SUITE holds and inherits, with versions.")
@options
def list_packages(part: str, suite: str | None, client: RecordClient, as_json: bool) -> None:
    """List source packages, those with PART in their name.

    \b
    deb-orchestrator package list --suite trixie-local
    deb-orchestrator package list python3
    """
    found = list(client.packages(part=part, suite=suite))
    if as_json:
        print_json(found)
    elif suite is None:
        for one in found:
            click.echo(printable(one.source))
    else:
        print_rows(("SOURCE", "VERSION", "FROM"), ((one.source, one.version, one.suite) for one in found))


@command.command("show")
@click.argument("name")
@options
def show_package(name: str, client: RecordClient, as_json: bool) -> None:
    """The suites that hold NAME, and its builds, newest first."""
    found = client.package(name)
    if as_json:
        print_json(found)
        return
    for one in found.suites:
        click.echo(printable(f"{one.suite}: {one.version}"))
    if not found.suites:
        click.echo("in no suite")
    print_rows(
        ("BUILD", "VERSION", "TARGET", "STATE", "ARCHITECTURES", "AGE"),
        (
            (b.id, b.version + (" (scratch)" if b.scratch else ""), b.target, b.state,
             " ".join(arch if state == b.state else f"{arch}({state})" for arch, state in b.arches.items()),
             age(b.created_at))
            for b in found.builds
        ),
    )  # fmt: skip
