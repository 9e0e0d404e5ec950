"""deb-bootc-compose dev"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click

from deb_bootc_compose.boot.console import open_console
from deb_bootc_compose.boot.credentials import parse_credentials
from deb_bootc_compose.boot.override import Kernel, find_kernel, make_overlay, make_override
from deb_bootc_compose.boot.run import run_boot
from deb_bootc_compose.cli.boot import check_words, find_arch, find_image, shell, tell
from deb_bootc_compose.cli.machine import machine_options
from deb_bootc_compose.compose import load_started
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.journal import read_results
from deb_bootc_compose.lock import load_lock
from deb_bootc_compose.plan import key as key_of
from deb_bootc_compose.tasks.image import kargs_of
from deb_bootc_compose.tree.make import load_tree
from debcore.errors import BuildFailed, Failure
from debroot.store import Store


@click.command()
@click.argument("what", type=click.Path(path_type=Path), default=Path())
@click.option("--deb", "debs", multiple=True, type=click.Path(path_type=Path), help="A .deb whose files are laid over.")
@click.option(
    "--directory",
    "directories",
    multiple=True,
    metavar="DIR[:/PLACE]",
    help="A directory that is laid over / (it holds usr/ and etc/) or over a directory below them.",
)
@click.option("--start", "units", multiple=True, metavar="UNIT", help="Start this unit once the files are there.")
@click.option("--variant", help="Which image, if the compose has several.")
@click.option("--check", is_flag=True, help="Boot, judge, print the report and end, instead of opening a console.")
@machine_options
def command(
    what: Path, debs: tuple[Path, ...], directories: tuple[str, ...], units: tuple[str, ...], variant: str | None,
    check: bool, words: tuple[str, ...], ssh: bool, credentials: tuple[str, ...], port: int | None, memory: int,
) -> None:  # fmt: skip
    """Try out packages and files over a composed image, without composing.

    WHAT is a compose, or a directory with a manifest, whose newest compose is taken. The files of each --deb and
    --directory lie over the image's /usr and /etc for this one boot; neither the image nor the compose changes. Kernel
    and initramfs are the compose's and are started directly.

    \b
    deb-bootc-compose dev --deb ../agent_1_amd64.deb --start agent.service
    deb-bootc-compose dev --directory build/usr:/usr
    deb-bootc-compose dev server --deb ../agent_1_amd64.deb --ssh -- agent --version

    Maintainer scripts do not run, and dpkg does not know of it: for that, compose (see the how-to on derivatives).
    """
    check_words(words, ssh=ssh, check=check)
    named_credentials = parse_credentials(credentials)
    image = find_image(what, variant)
    store = Store.open()
    since = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="deb-bootc-dev-") as scratch:
        Path(scratch).chmod(0o711)  # QEMU runs under mapped ids and must read what is in it
        disk = Path(scratch, "overlay")
        named = [(Path(name), place or "/") for name, _, place in (one.partition(":") for one in directories)]
        make_overlay(store, disk, debs=debs, directories=named)
        override = make_override(disk, units=units, kernel=find_own_kernel(store, image, Path(scratch)))
        override = replace(override, credentials={**override.credentials, **named_credentials})
        click.echo(f"ready to boot after {time.monotonic() - since:.1f} s", err=True)
        if ssh:
            arch = find_arch(image)
            sys.exit(shell(store, image, words, port=port or 0, memory=memory, arch=arch, override=override))
        if not check:
            sys.exit(
                open_console(
                    store, image, ready=tell, port=port or 0, memory=memory, tty=sys.stdin.isatty(), override=override,
                    arch=find_arch(image),
                )
            )  # fmt: skip
        console = Path(f"{image.name}.console.log").absolute()
        report = run_boot(store, image, console_log=console, memory=memory, override=override, arch=find_arch(image))
        click.echo(f"{image.name}: {report.state}, kernel {report.kernel}; {time.monotonic() - since:.0f} s in all")
        if not report.ok:
            raise BuildFailed("; ".join(report.problems), hint=f"the console's log is {console}")


def find_own_kernel(store: Store, image: Path, scratch: Path) -> Kernel:
    """Kernel and initramfs of the compose that made *image*, from its tree in the store.

    Errors: Failure if it is no image of a compose, or the tree is gone.
    """
    compose = ComposeDirectory(image.resolve().parents[4])
    if not (compose.path / "COMPOSE_ID").is_file():
        raise Failure(f"{image} is in no compose", hint="name a compose: `deb-bootc-compose boot` boots any image")
    arch, name = image.resolve().parts[-3], image.resolve().parts[-4]
    key = f"{name}.{arch}"
    results = read_results(compose.journal_path)
    if not {f"tree.{key}", f"commit.{key}"} <= results.keys():
        raise Failure(f"the journal of {compose.path.name} has no tree and commit of {key}", hint="compose again")
    made = results[f"tree.{key}"]
    tree = load_tree(store, made["id"], suite=made["suite"])
    if tree is None:
        raise Failure(f"the tree of {compose.path.name} has left the store {store.path}", hint="compose again")
    spec = next(spec for spec in load_started(compose).manifest.specs if key_of(spec) == key)
    kargs = kargs_of(load_lock(compose.lock_path).variants[key], spec.variant.kargs, arch)
    commit = results[f"commit.{key}"]["commit"]
    return find_kernel(tree.root, tree.kver, commit=commit, kargs=kargs, scratch=scratch)
