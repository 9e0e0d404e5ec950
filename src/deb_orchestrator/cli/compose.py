"""`compose`: images that were told of."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import age, options_of, print_rows
from debcore.cli import print_json, printable
from debcore.hub.compose_client import ComposeClient
from debcore.hub.composes import ComposeShow

options = options_of(ComposeClient)


@click.group()
def command() -> None:
    """Composes that were told of: `deb-bootc-compose build --hub URL` does. Their packages are kept."""


@command.command("list")
@click.option("--build", type=click.IntRange(min=1), help="Only those with a package of this build.")
@click.option("--before", metavar="ID", help="Older ones only.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@options
def list_composes(build: int | None, before: str | None, limit: int, client: ComposeClient, as_json: bool) -> None:
    """List composes, newest first."""
    found = client.composes(build=build, before=before, limit=limit)
    if as_json:
        print_json(found)
        return
    print_rows(
        ("COMPOSE", "STATUS", "LABEL", "IMAGES", "PACKAGES", "BUILT HERE", "AGE"),
        ((c.id, c.status, c.label, " ".join(c.variants), c.packages, c.builds, age(c.told_at)) for c in found),
    )


@command.command("show")
@click.argument("id_", metavar="ID")
@click.option("--all", "everything", is_flag=True, help="All packages, not only those that the hub has built.")
@options
def show_compose(id_: str, everything: bool, client: ComposeClient, as_json: bool) -> None:
    """Show a compose: images with digests and gates, and its packages with their builds."""
    found = client.compose(id_)
    if as_json:
        print_json(found)
        return
    for line in describe(found):
        click.echo(printable(line))
    rows = [
        (image.key, one.name, one.version, one.arch, one.build or "")
        for image in found.images
        for one in image.packages
        if everything or one.build is not None
    ]
    print_rows(("IMAGE", "PACKAGE", "VERSION", "ARCH", "BUILD"), rows)


def describe(found: ComposeShow) -> list[str]:
    """All but the packages."""
    label = f", {found.label}" if found.label else ""
    lines = [f"{found.id}: {found.status} ({found.type}{label}), told {age(found.told_at)} ago by {found.by}"]
    lines += [f"{fault.task}: {fault.message}" + (f"  [{fault.hint}]" if fault.hint else "") for fault in found.faults]
    for image in found.images:
        lines.append(f"{image.key}: {', '.join(f'{gate.name} {gate.verdict}' for gate in image.gates) or 'no gates'}")
        lines += [f"  container {image.container} {image.digest}"] if image.digest else []
        lines += [f"  ostree {image.ref} {image.commit}"] if image.commit else []
        lines += [f"  disk {disk.path} sha256:{disk.sha256}" for disk in image.disks]
    return lines + [f"{link.title}: {link.url}" for link in found.links]


@command.command("remove")
@click.argument("id_", metavar="ID")
@options
def remove_compose(id_: str, client: ComposeClient, as_json: bool) -> None:
    """Forget a compose: nothing is kept for it any more."""
    client.remove_compose(id_)
    print_json({"removed": id_}) if as_json else click.echo(f"removed {id_}")
