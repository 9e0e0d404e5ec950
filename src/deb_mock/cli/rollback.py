"""deb-mock rollback."""

from __future__ import annotations

import click

from deb_mock.cli.change import named
from debcore.cli import print_json


@click.command()
@click.argument("label")
@named
def command(
    *, label: str, preset: str | None, arch: str | None, settings: tuple[str, ...], name: str | None, as_json: bool
) -> None:
    """Make a named root what it was when `deb-mock snapshot LABEL` was said. What has changed since is gone.

    \b
    deb-mock rollback --root play before-gdb
    """
    from deb_mock.named import choose_root
    from deb_mock.plugins.around import call_root_hook
    from debroot.named import open_named
    from debroot.store import Store

    store = Store.open()
    choice, chosen = choose_root(store, name=name, preset=preset, arch=arch, options=settings)
    with open_named(store, chosen) as root:
        root.roll_back(label)
        labels = tuple(root.description.snapshots)
    call_root_hook(choice, "rollback_to", name=chosen, label=label, labels=labels)
    if as_json:
        print_json({"root": chosen, "snapshot": label})
