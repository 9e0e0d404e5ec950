"""`download`: what a build made."""

from __future__ import annotations

from pathlib import Path

import click

from deb_orchestrator.cli.connection import client_options
from debcore.cli import print_json
from debcore.errors import Failure
from debcore.hub.client import HubClient
from debcore.hub.model import Artifact
from debcore.path import check_file_name


@click.command()
@click.argument("build", type=click.IntRange(min=1))
@click.option("-a", "--arch", "arches", multiple=True, help="Architecture, may be repeated (default: all).")
@click.option("--kind", "kinds", multiple=True, help="Only these: deb, udeb, changes, buildinfo, log and so on.")
@click.option("-d", "--dir", "directory", type=click.Path(path_type=Path), default=Path(), help="Default: here.")
@client_options
def command(
    build: int, arches: tuple[str, ...], kinds: tuple[str, ...], directory: Path, client: HubClient, as_json: bool
) -> None:
    """Download the packages that BUILD made, and its .changes and .buildinfo files. Every hash is checked.

    Files of several architectures get directories of their own.

    \b
    deb-orchestrator download 12
    deb-orchestrator download 12 --arch amd64 --kind deb --dir packages
    """
    found = client.build(build)
    if unknown := sorted(set(arches) - {one.arch for one in found.arches}):
        raise Failure(f"build {build} is not for {', '.join(unknown)}")
    chosen = [one for one in found.arches if not arches or one.arch in arches]
    apart = len(chosen) > 1
    done: list[str] = []
    for arch in chosen:
        to = directory / check_file_name(arch.arch, where="the hub") if apart else directory
        for file in pick(arch.artifacts, kinds):
            to.mkdir(parents=True, exist_ok=True)
            path = to / check_file_name(file.name, where="the hub")
            client.get_blob(file.sha256, path)
            done.append(str(path))
            if not as_json:
                click.echo(str(path))
    if not done:
        raise Failure(f"build {build} has no such files", hint=f"deb-orchestrator show {build} lists what there is")
    if as_json:
        print_json(done)


def pick(files: tuple[Artifact, ...], kinds: tuple[str, ...]) -> list[Artifact]:
    """Logs only if they are asked for: `logs` prints them."""
    return [one for one in files if (one.kind in kinds if kinds else one.kind != "log")]
