"""deb-mock update."""

from __future__ import annotations

import click

from deb_mock.cli.change import change_root, named


@click.command()
@click.argument("packages", nargs=-1, metavar="[PACKAGE]...")
@named
def command(
    *, packages: tuple[str, ...], preset: str | None, arch: str | None, settings: tuple[str, ...], name: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Bring a named root, or only some of its packages, to the archive's present state.

    Other roots need no update: each build asks the archive, and a layer whose packages are still current is used again.

    \b
    deb-mock update -r sid
    """
    fresh = (
        [*settings, "archive.max_age=1s"] if not any(s.startswith("archive.max_age=") for s in settings) else settings
    )
    words = ["install", "--only-upgrade", *packages] if packages else ["full-upgrade"]
    change_root(words, name=name, preset=preset, arch=arch, settings=fresh, as_json=as_json)
