"""deb-mock apt."""

from __future__ import annotations

import click

from deb_mock.cli.change import change_root, named


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@named
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="WORD...")
def command(
    *, words: tuple[str, ...], preset: str | None, arch: str | None, settings: tuple[str, ...], name: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """apt in a named root: install, remove, purge, upgrade, full-upgrade, autoremove, build-dep, search, show, policy …

    Nothing inside has a network. An apt outside resolves for the packages of the root and fetches with hashes checked;
    then the root's own apt does the same with only those .debs before it.

    \b
    deb-mock apt -r trixie policy gdb
    deb-mock apt --root play -- install --no-install-recommends gdb
    deb-mock apt --root play -- -t trixie-backports install git
    """
    change_root(words, name=name, preset=preset, arch=arch, settings=settings, as_json=as_json)
