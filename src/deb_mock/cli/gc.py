"""deb-mock gc."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from deb_mock.cli.options import as_json, parse_limit
from deb_mock.settings import parse_seconds, parse_size
from debcore.cli import print_json, printable

if TYPE_CHECKING:
    from debroot.gc import Removal


@click.command()
@click.option(
    "--max-size", metavar="SIZE", help="Shrink the store to this size, such as 20G; least recently used first."
)
@click.option("--max-age", metavar="TIME", help="Remove what was not used for so long, such as 30d.")
@click.option("--roots", is_flag=True, help="With --max-age: named roots that were not used for so long go too.")
@click.option("--verify", is_flag=True, help="Check each layer file by file first, and remove the damaged ones.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
@as_json
def command(
    *, max_size: str | None, max_age: str | None, roots: bool, verify: bool, dry_run: bool, as_json: bool
) -> None:
    """Make the store smaller. Never touches what is in use, named roots (but see --roots), or layers that those stand
    on.

    Leftovers of killed commands always go, and package lists that nobody has asked for a week. Then roots of failed
    builds, .debs, which can be fetched again, and of layers, package lists and plugins' caches those that were not used
    for longest.

    \b
    deb-mock gc --max-size 20G --max-age 30d --dry-run
    """
    from debroot.gc import collect
    from debroot.store import Store
    from debroot.sweep import measure_store
    from debroot.verify import remove_damaged

    size = parse_limit("--max-size", max_size, parse_size)
    age = parse_limit("--max-age", max_age, parse_seconds)
    if verify and dry_run:
        raise click.UsageError("--verify removes what is damaged: it has no dry run")
    if roots and age is None:
        raise click.UsageError("--roots goes with --max-age: how long they were not used")
    store = Store.open()
    damaged = remove_damaged(store) if verify else ()
    gone = collect(store, max_size=size, max_age=age, roots=roots, dry_run=dry_run)
    total = sum(removal.size for removal in gone)
    left = None if size is None or dry_run else measure_store(store)
    if as_json:
        print_json(
            {
                "dry_run": dry_run, "bytes": total, "removed": [asdict(removal) for removal in gone],
                "left": left, "damaged": [{"id": name, "why": why} for name, why in damaged],
            }
        )  # fmt: skip
        return
    for name, why in damaged:
        click.echo(f"damaged  {name[:12]}  {printable(why)}")
    for removal in gone:
        click.echo(f"{removal.kind:9}{_short(removal):12}  {removal.size / 1e6:8.1f} MB  {removal.why}")
    verb = "would be removed" if dry_run else "removed"
    click.echo(f"{len(gone)} {verb}, {total / 1e6:.1f} MB" if gone else "nothing to remove")
    if size is not None and left is not None and left > size:
        click.echo(f"{left / 1e6:.1f} MB stay: they are in use, or named roots and what those stand on")


def _short(removal: Removal) -> str:
    """Names stay whole, hashes do not."""
    return printable(removal.id) if removal.kind in ("cache", "root") else removal.id[:12]
