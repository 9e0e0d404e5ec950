"""`build`: submit source packages and watch them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from deb_orchestrator.cli.connection import client_options
from deb_orchestrator.cli.watching import EXIT, follow, print_end
from debcore.cli import print_json
from debcore.command import find_program, run
from debcore.errors import CommandFailed, Failure
from debcore.hub.client import HubClient
from debcore.hub.model import Target


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-t", "--target", help="Target to build for (default: the hub's only one).")
@click.option("-a", "--arch", "arches", multiple=True, help="Architecture, may be repeated (default: the target's).")
@click.option("--scratch", is_flag=True, help="Build and keep the files, but put them into no suite.")
@click.option("--nowait", is_flag=True, help="Return as soon as the hub has the request.")
@client_options
def command(
    sources: tuple[Path, ...],
    target: str | None,
    arches: tuple[str, ...],
    scratch: bool,
    nowait: bool,
    client: HubClient,
    as_json: bool,
) -> int:
    """Build source packages: .dsc files, or directories with a debian/ in them.

    Several sources are built in the order of their build-dependencies. Asking again for the same content is the same
    request: what the suite already has is not built twice. Ctrl-C stops watching, not building.

    \b
    deb-orchestrator build hostname_3.25.dsc
    deb-orchestrator build -t trixie-local ./my-package ./its-library
    """
    chosen = find_target(client, target)
    with TemporaryDirectory(prefix="deb-orchestrator-") as packed:
        dscs = [path if path.is_file() else pack(path, chosen, Path(packed, str(n))) for n, path in enumerate(sources)]
        request = client.submit(chosen.name, dscs, arches=arches, scratch=scratch)
    if nowait:
        print_json(request) if as_json else click.echo(f"request {request.id}")
        return 0
    if not as_json:
        click.echo(f"request {request.id}; watch it again with: deb-orchestrator watch {request.id}", err=True)
    request = follow(client, request.id, quiet=as_json)
    print_json(request) if as_json else print_end(client, request)
    return EXIT[request.state]


def find_target(client: HubClient, name: str | None) -> Target:
    """The target named, or the only one. Errors: Failure that lists them."""
    if name is not None:
        return client.target(name)
    targets = client.targets()
    if len(targets) != 1:
        names = ", ".join(t.name for t in targets) or "none"
        raise Failure(f"the hub has several targets or none: {names}", hint="choose one with --target")
    return targets[0]


def pack(directory: Path | str, target: Target, out: Path, *options: str) -> Path:
    """The .dsc that deb-mock packs from *directory* or a git URL, inside a root: the host runs nothing of it.

    Errors: CommandFailed with deb-mock's own words.
    """
    beside = Path(sys.executable).with_name("deb-mock")
    program = beside if beside.is_file() else find_program("deb-mock")
    if program is None:
        raise Failure("packing a directory needs deb-mock", hint="apt install deb-mock, or give a .dsc")
    argv: list[str | Path] = [program, "source", directory, "-r", target.preset, "--resultdir", out, "--json", *options]
    try:
        return Path(json.loads(run(argv).stdout)["dsc"])
    except (ValueError, KeyError) as error:
        raise CommandFailed([str(word) for word in argv], 0, f"its answer is no JSON: {error}") from error
