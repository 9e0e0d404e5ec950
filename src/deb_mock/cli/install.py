"""deb-mock install."""

from __future__ import annotations

import click

from deb_mock.cli.change import change_root, named


@click.command()
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@named
def command(
    *, packages: tuple[str, ...], preset: str | None, arch: str | None, settings: tuple[str, ...], name: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Install packages in a named root: NAME, NAME=VERSION, NAME/SUITE, or the path of a .deb.

    A named root is kept between commands. What is installed is chosen by apt outside, fetched with its hash checked,
    and installed without network: all of it, or the root stays as it was.

    \b
    deb-mock install -r trixie gdb
    deb-mock install --root play ./mine_1.0_amd64.deb
    """
    change_root(
        ["install", *packages], name=name, preset=preset, arch=arch, settings=settings, as_json=as_json
    )  # fmt: skip
