"""deb-mock copyout."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from deb_mock.cli.change import named
from debcore.cli import print_json, printable

log = logging.getLogger(__name__)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH-INSIDE...")
@click.argument("dest", metavar="DEST", type=click.Path(path_type=Path))
@named
def command(
    *, paths: tuple[str, ...], dest: Path, preset: str | None, arch: str | None, settings: tuple[str, ...],
    name: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Copy files and directories out of a named root: into DEST if that is a directory, else as DEST.

    What lies in a root is not trusted: only plain files, directories and links that stay in what is copied come out,
    without setuid bits, and they belong to you.

    \b
    deb-mock copyout --root play /etc/ssh .
    """
    from deb_mock.copy import copy_out
    from deb_mock.named import choose_root
    from debroot.named import open_named
    from debroot.store import Store

    store = Store.open()
    _, chosen = choose_root(store, name=name, preset=preset, arch=arch, options=settings)
    with open_named(store, chosen) as root:
        left_out = copy_out(root, paths, dest)
    if left_out:
        shown = ", ".join(printable(path) for path in left_out[:5])
        log.warning("%d entries were left out (devices, links that lead out, and the like): %s", len(left_out), shown)
    if as_json:
        print_json({"root": chosen, "copied": list(paths), "to": str(dest), "left_out": left_out})
