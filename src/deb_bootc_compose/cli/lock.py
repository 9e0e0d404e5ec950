"""deb-bootc-compose lock: `lock [MANIFEST]` makes one, `lock update` makes it anew, `lock diff` compares two."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import click

from deb_bootc_compose.cli.build import default_target, parse_settings
from deb_bootc_compose.cli.diff import make_difference, print_difference
from deb_bootc_compose.cli.show import composing
from deb_bootc_compose.compare.composes import Side, load_side
from deb_bootc_compose.compose import Options, start_compose
from deb_bootc_compose.lock import Lock, load_lock, write_lock
from deb_bootc_compose.manifest import Manifest
from deb_bootc_compose.manifest.load import load_manifest
from debcore.cli import print_json


class _LockGroup(click.Group):
    """A word that is no verb is make's: `lock MANIFEST` is `lock make MANIFEST`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["make", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_LockGroup)
def command() -> None:
    """Which packages a compose is made of, exactly.

    \b
    deb-bootc-compose lock                      write compose.lock.json of the manifest in this directory
    deb-bootc-compose lock update               the archive moved on: make it anew, and show what changes
    deb-bootc-compose lock diff OLD NEW         compare two locks, or composes
    deb-bootc-compose build --locked FILE       compose exactly that

    `lock MANIFEST` is `lock make MANIFEST`.
    """


@command.command("make", short_help="Write the lock of a manifest.")
@click.argument("manifest", type=click.Path(path_type=Path), default=Path())
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("compose.lock.json"), show_default=True,
              help="The file to write.")  # fmt: skip
@click.option("--hub", metavar="URL", help="The hub that builds packages (default: one of our own, started as needed).")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the token for --hub.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a variable of the manifest.")
@click.option("--json", "as_json", is_flag=True, help="Print the lock as well.")
def make(
    manifest: Path, output: Path, hub: str | None, token_file: Path | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Decide exactly which packages MANIFEST would be composed of now, and write them down.

    What `builds:` names is built for it. Use: deb-bootc-compose build --locked FILE.
    """
    lock = _make(manifest, output, hub, token_file, settings)
    if as_json:
        print_json(lock.model_dump(mode="json", by_alias=True))
        return
    for name, variant in lock.variants.items():
        click.echo(f"{name}: {len(variant.installed)} packages, {len(variant.hub)} of them built here", err=True)
    for name, why in lock.left_out.items():
        click.echo(f"{name}: left out, as it may fail: {why}", err=True)
    click.echo(f"{output}")


@command.command(short_help="Make a lock anew, and show what changes.")
@click.argument("manifest", type=click.Path(path_type=Path), default=Path())
@click.option("-o", "--output", type=click.Path(path_type=Path, exists=True), default=Path("compose.lock.json"),
              show_default=True, help="The lock to make anew.")  # fmt: skip
@click.option("--hub", metavar="URL", help="The hub that builds packages (default: one of our own, started as needed).")
@click.option("--token-file", type=click.Path(path_type=Path), help="File with the token for --hub.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a variable of the manifest.")
@click.option("--changelogs/--no-changelogs", default=True, show_default=True, help="Show what changelogs say.")
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
def update(
    manifest: Path, output: Path, hub: str | None, token_file: Path | None, settings: tuple[str, ...],
    changelogs: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make the lock of MANIFEST anew from the archive as it is now, and show what that changes.

    The file is replaced whole, and left alone if anything fails.
    """
    before = Side("before", load_lock(output), {})
    after = Side("now", _make(manifest, output, hub, token_file, settings), {})
    print_difference(make_difference(before, after, changelogs=changelogs), as_json=as_json)


@command.command(short_help="Show what changed from one lock to another.")
@click.argument("before")
@click.argument("after")
@click.option("--changelogs/--no-changelogs", default=True, show_default=True, help="Show what changelogs say.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def diff(before: str, after: str, changelogs: bool, as_json: bool) -> None:
    """Show what changed from lock BEFORE to lock AFTER, as `deb-bootc-compose diff` does of composes."""
    targets = [default_target(Path())]
    difference = make_difference(load_side(before, targets), load_side(after, targets), changelogs=changelogs)
    print_difference(difference, as_json=as_json)


def _silent(manifest: Manifest) -> Manifest:
    """Nobody is notified: what makes a lock is a compose for us alone, and gone when it ends."""
    return replace(manifest, compose=manifest.compose.model_copy(update={"notifications": ()}))


def _make(manifest: Path, output: Path, hub: str | None, token_file: Path | None, settings: tuple[str, ...]) -> Lock:
    loaded = _silent(load_manifest(manifest, variables=parse_settings(settings)))
    options = Options(hub=hub, token_file=str(token_file.resolve()) if token_file else None, until="lock")
    target = default_target(manifest)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".lock-") as scratch:
        directory = start_compose(loaded, Path(scratch), options)
        composing(directory, kept=False)
        lock = load_lock(directory.lock_path)
    write_lock(output, lock)
    return lock
