"""deb-mock lock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from deb_mock.cli.complete import complete_files
from deb_mock.cli.options import as_json, build_options, option_layer, plugin_options, selection
from deb_mock.plan import choose_for
from deb_mock.settings import Layer, check_layer
from deb_mock.source import find_source
from debcore.cli import print_json
from debcore.job import Lock, load_lock
from debcore.path import write_file

if TYPE_CHECKING:
    from debroot.store import Store


@click.command()
@click.argument("what", required=False, shell_complete=complete_files)
@selection
@build_options
@plugin_options
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the lock to this file.")
@click.option(
    "--check",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="LOCK",
    help="Make no lock: say whether this host could build with LOCK now, without a network.",
)
@as_json
def command(
    *, what: str | None, preset: str | None, arch: str | None, settings: tuple[str, ...], build_type: str | None,
    profiles: tuple[str, ...], parallel: int | None, output: Path | None, check: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Make the root that a build of WHAT (default: the source directory you are in) would have, and print its lock:
    every package with version and hash, and the Release files that they were chosen from.

    \b
    deb-mock lock -r trixie -o hostname.lock hostname
    deb-mock build --locked hostname.lock --offline hostname_3.25.dsc
    """
    from debroot.store import Store

    if check is not None:
        if what or output:
            raise click.UsageError("--check looks at a lock that exists: it goes with neither WHAT nor --output")
        _check(load_lock(check), Store.open(), as_json=as_json)
        return
    from deb_mock.interactive import open_dependencies

    source = find_source(what or ".")
    layer = check_layer(Layer("command line", option_layer(build_type, profiles, parallel)))
    choice = choose_for(source, preset=preset, arch=arch, settings=[*settings, layer])
    _, lock = open_dependencies(Store.open(), choice, what or ".")
    if output:
        write_file(output, lock.encode())
        click.echo(f"{output}: {len(lock.packages)} packages, sha256 {lock.sha256}")
    elif as_json:
        click.echo(lock.encode(), nl=False)
    else:
        for package in lock.packages:
            click.echo(f"{package.role:9} {package.name}:{package.arch} {package.version}")


def _check(lock: Lock, store: Store, *, as_json: bool) -> None:
    """Errors: DepsUnmet naming what is missing."""
    from deb_mock.locked import check_locked

    exists = check_locked(store, lock)
    if as_json:
        print_json({"lock_sha256": lock.sha256, "packages": len(lock.packages), "root_exists": exists})
        return
    state = "the root exists" if exists else "every package is here, and the root can be made"
    click.echo(f"{len(lock.packages)} packages, sha256 {lock.sha256}: {state}")
