"""deb-mock init."""

from __future__ import annotations

import logging

import click

from deb_mock.cli.options import as_json, selection
from debcore.cli import print_json

log = logging.getLogger(__name__)


@click.command()
@selection
@click.option("--root", "name", metavar="NAME", help="Also make a named root on it, if there is none of this name.")
@as_json
def command(
    *, preset: str | None, arch: str | None, settings: tuple[str, ...], name: str | None, as_json: bool
) -> None:
    """Make the base root of a preset, or bring it up to the archive's present state.

    Builds do so by themselves; this is for doing it before they are waited for. A named root is kept between commands:
    install, copyin, run --root and others change it.

    \b
    deb-mock init -r trixie
    """
    from deb_mock.named import choose_root
    from deb_mock.roots import find_sources, make_base
    from debroot.named import open_named
    from debroot.store import Store

    store = Store.open()
    choice, chosen = choose_root(store, name=name, preset=preset, arch=arch, options=settings)
    sources = find_sources(choice)
    uris = sorted({uri for source in sources for uri in source.uris})
    log.info("%s (%s) from %s", choice.preset.name, choice.why, ", ".join(uris))
    base = make_base(store, choice, sources)
    if name:
        with open_named(store, chosen, lambda: (base, choice.preset.name)):
            pass
    if as_json:
        made = {"preset": choice.preset.name, "layer": base.id, "packages": len(base.packages)}
        print_json({**made, "root": chosen} if name else made)
    else:
        click.echo(f"{choice.preset.name} is ready: {len(base.packages)} packages, layer {base.id[:12]}")
