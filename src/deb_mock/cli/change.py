"""What the verbs that change a named root share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from deb_mock.cli.options import as_json, selection
from debcore.cli import print_json, printable

if TYPE_CHECKING:
    from debroot.resolve import Resolution

Function = TypeVar("Function", bound=Callable[..., Any])


def named(function: Function) -> Function:
    """--root, with -r, --arch, --set and --json."""
    option = click.option(
        "name", "--root", metavar="NAME",
        help="The named root; made if it does not exist. Default: the one that is called as its preset.",
    )  # fmt: skip
    return option(selection(as_json(function)))


def change_root(
    words: Sequence[str], *, name: str | None, preset: str | None, arch: str | None, settings: Sequence[str],
    as_json: bool,
) -> None:  # fmt: skip
    """Do `apt WORDS` in a named root and tell what happened."""
    from deb_mock.named import choose_root, open_root, run_apt
    from debroot.store import Store

    store = Store.open()
    choice, chosen = choose_root(store, name=name, preset=preset, arch=arch, options=settings)
    with open_root(store, choice, chosen) as root:
        found = run_apt(root, choice, words)
    if isinstance(found, str):
        if as_json:
            print_json({"root": chosen, "said": found})
        else:
            click.echo(printable(found), nl=False)
    else:
        tell_change(chosen, found, as_json=as_json)


def tell_change(name: str, found: Resolution, *, as_json: bool) -> None:
    if as_json:
        packages = [{k: v for k, v in asdict(p).items() if k in ("name", "version", "arch", "sha256")} for p in
                    found.packages]  # fmt: skip
        print_json({"root": name, "installed": packages, "removed": list(found.removed)})
        return
    for package in found.packages:
        click.echo(f"installed {package.name}:{package.arch} {package.version}")
    for word in found.removed:
        click.echo(f"removed {word}")
    if not found.packages and not found.removed:
        click.echo(f"nothing to do: the root {name} is so already", err=True)
