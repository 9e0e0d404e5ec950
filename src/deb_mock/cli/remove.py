"""deb-mock remove."""

from __future__ import annotations

import click

from deb_mock.cli.change import change_root, named


@click.command()
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@click.option("--purge", is_flag=True, help="Remove their configuration files too.")
@click.option("--autoremove", is_flag=True, help="Also remove what was installed only for them.")
@named
def command(
    *, packages: tuple[str, ...], purge: bool, autoremove: bool, preset: str | None, arch: str | None,
    settings: tuple[str, ...], name: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Remove packages from a named root, with what depends on them.

    \b
    deb-mock remove --root play gdb
    """
    flags = ["--autoremove"] if autoremove else []
    words = ["purge" if purge else "remove", *flags, *packages]
    change_root(words, name=name, preset=preset, arch=arch, settings=settings, as_json=as_json)
