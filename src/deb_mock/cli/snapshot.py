"""deb-mock snapshot."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from deb_mock.cli.change import named
from debcore.cli import print_json


@click.command()
@click.argument("label", required=False)
@click.option("-l", "--list", "listing", is_flag=True, help="Show the snapshots of the root.")
@click.option("--remove", "removed", metavar="LABEL", help="Forget this snapshot.")
@named
def command(
    *, label: str | None, listing: bool, removed: str | None, preset: str | None, arch: str | None,
    settings: tuple[str, ...], name: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Remember a named root as it is now, under LABEL; `deb-mock rollback LABEL` makes it so again. Nothing is copied.

    \b
    deb-mock snapshot --root play before-gdb
    """
    from deb_mock.named import choose_root, open_root
    from deb_mock.plugins.around import call_root_hook
    from debroot.store import Store

    if sum((label is not None, listing, removed is not None)) != 1:
        raise click.UsageError("say one of LABEL, --list and --remove LABEL")
    store = Store.open()
    choice, chosen = choose_root(store, name=name, preset=preset, arch=arch, options=settings)
    with open_root(store, choice, chosen) as root:
        if label is not None:
            root.snapshot(label)
        if removed is not None:
            root.remove_snapshot(removed)
        there = dict(root.description.snapshots)
    hook = "make_snapshot" if label is not None else "list_snapshots" if listing else "remove_snapshot"
    call_root_hook(choice, hook, name=chosen, label=label or removed or "", labels=tuple(there))
    if as_json:
        print_json({"root": chosen, "snapshots": {key: {"made_at": value.made_at} for key, value in there.items()}})
    elif listing:
        for key, value in there.items():
            click.echo(f"{datetime.fromtimestamp(value.made_at, UTC):%Y-%m-%d %H:%M:%S}  {key}")
