"""deb-mock clean."""

from __future__ import annotations

from dataclasses import asdict

import click

from deb_mock.cli.options import as_json, parse_limit
from deb_mock.settings import parse_size
from debcore.cli import print_json


@click.command()
@click.option("names", "--root", metavar="NAME", multiple=True, help="Remove this named root with its snapshots.")
@click.option("-r", "preset", metavar="PRESET", help="Remove the named root that is called as this preset.")
@click.option("--arch", metavar="ARCH", help="With -r or --named: of the preset for this architecture.")
@click.option(
    "--named", is_flag=True, help="Remove the named root that --root, -r or the default preset names, if there is one."
)
@click.option("--max-size", metavar="SIZE", help="Keep the most recently used layers up to this size, such as 20G.")
@click.option("--all", "everything", is_flag=True, help="Remove everything but named roots that is not in use.")
@as_json
def command(
    *, names: tuple[str, ...], preset: str | None, arch: str | None, named: bool, max_size: str | None,
    everything: bool, as_json: bool,
) -> None:  # fmt: skip
    """Remove what killed builds left and, if asked, named roots or layers: least recently used first, never what is in
    use. `deb-mock gc` has more ways to say how much may stay, `deb-mock scrub` removes one kind of thing.

    \b
    deb-mock clean --root play
    """
    from deb_mock.config import choose
    from debroot.gc import collect
    from debroot.named import has_named, remove_named
    from debroot.store import Store

    if arch and not (preset or named):
        raise click.UsageError("--arch goes with -r or --named")
    limit = 0 if everything else parse_limit("--max-size", max_size, parse_size)
    store = Store.open()
    roots = [*names, *([choose(preset=preset, arch=arch).preset.name] if preset and not (named and names) else [])]
    if named:
        roots = [name for name in roots or [choose(arch=arch).preset.name] if has_named(store, name)]
    for name in roots:
        remove_named(store, name)
    gone = collect(store, max_size=limit)
    if as_json:
        print_json({"roots": roots, "removed": [asdict(removal) for removal in gone]})
    else:
        number = len(roots) + len(gone)
        click.echo(f"{number} removed" if number else "nothing to remove")
