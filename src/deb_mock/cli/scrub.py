"""deb-mock scrub."""

from __future__ import annotations

import click

from deb_mock.cli.options import as_json
from deb_mock.config import choose
from deb_mock.scrub import KINDS, OWNED, Only, scrub
from debcore.cli import print_json


@click.command()
@click.argument("kinds", nargs=-1, required=True, metavar="KIND...", type=click.Choice([*KINDS, "all"]))
@click.option("-r", "preset", metavar="PRESET", help="Only what is of this preset's suite and architecture.")
@click.option("--arch", metavar="ARCH", help="With -r: of the preset for this architecture.")
@as_json
def command(*, kinds: tuple[str, ...], preset: str | None, arch: str | None, as_json: bool) -> None:
    """Remove everything of a kind that is not in use. Kinds, with Mock's names:

    \b
    chroot         named roots, with their snapshots
    root-cache     layers, but those of the tools and those that named roots stand on
    bootstrap      the roots of tools: apt, mmdebstrap and what a build or compose runs beside the package
    c-cache        what plugins keep between builds, such as compiled objects
    cache          fetched .debs, package lists, and what apt answered
    apt-cache      the same (Mock: yum-cache, dnf-cache)
    all            all of these; with -r the first two

    \b
    deb-mock scrub root-cache cache
    """
    from debroot.store import Store

    if arch and not preset:
        raise click.UsageError("--arch goes with -r")
    only = None
    if preset:
        choice = choose(preset=preset, arch=arch)
        only = Only(choice.suite, choice.arch)
    everything = OWNED if only else tuple(KINDS)
    gone, kept = scrub(Store.open(), everything if "all" in kinds else kinds, only=only)
    if as_json:
        print_json({"removed": gone, "in_use": kept})
        return
    click.echo(f"{len(gone)} removed" + (f"; in use and kept: {', '.join(kept)}" if kept else ""))
