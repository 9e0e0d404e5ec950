"""deb-mock copyin."""

from __future__ import annotations

from pathlib import Path

import click

from deb_mock.cli.change import named
from debcore.cli import print_json


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.argument("dest", metavar="PATH-INSIDE")
@named
def command(
    *, sources: tuple[Path, ...], dest: str, preset: str | None, arch: str | None, settings: tuple[str, ...],
    name: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Copy files and directories into a named root: into PATH-INSIDE if that is a directory, else as PATH-INSIDE.

    Links in the root are followed inside it, as a chroot would. What is copied belongs to root inside.

    \b
    deb-mock copyin --root play patch.diff tests/ /srv/
    """
    from deb_mock.copy import copy_in
    from deb_mock.named import choose_root, open_root
    from debroot.store import Store

    store = Store.open()
    choice, chosen = choose_root(store, name=name, preset=preset, arch=arch, options=settings)
    with open_root(store, choice, chosen) as root:
        copy_in(root, sources, dest)
    if as_json:
        print_json({"root": chosen, "copied": [str(source) for source in sources], "to": dest})
