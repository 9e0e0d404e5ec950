"""deb-bootc-compose boot"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from deb_bootc_compose.boot.console import Console, open_console
from deb_bootc_compose.boot.credentials import parse_credentials
from deb_bootc_compose.boot.override import Override
from deb_bootc_compose.boot.qemu import MACHINES
from deb_bootc_compose.boot.run import run_boot
from deb_bootc_compose.boot.shell import run_shell
from deb_bootc_compose.cli.build import default_target
from deb_bootc_compose.cli.machine import machine_options
from deb_bootc_compose.directory import list_composes
from debcore.cli import print_json
from debcore.errors import BuildFailed, Failure
from debroot.bootstrap import host_arch
from debroot.store import Store

#: The better first: a compressed image is read faster than it is found sparse.
FORMATS = ("*.qcow2", "*.raw", "*.vmdk", "*.vhd")


@click.command()
@click.argument("what", type=click.Path(path_type=Path), default=Path())
@click.option("--variant", help="Which image, if the compose has several.")
@click.option("--arch", type=click.Choice(list(MACHINES)), help="Which architecture, if the compose has several "
              "(default: this machine's, if it is among them).")  # fmt: skip
@click.option("--check", is_flag=True, help="Boot, judge, print the report and end, instead of opening a console.")
@click.option("--package", "packages", multiple=True, metavar="NAME", help="With --check: print its installed version.")
@machine_options
@click.option("--json", "as_json", is_flag=True, help="With --check: print the report as JSON.")
def command(
    what: Path, variant: str | None, arch: str | None, check: bool, packages: tuple[str, ...], words: tuple[str, ...],
    ssh: bool, credentials: tuple[str, ...], port: int | None, memory: int, as_json: bool,
) -> None:  # fmt: skip
    """Boot an image in QEMU with a console on this terminal and ssh on a local port.

    WHAT is a compose directory, an image, or a directory with a manifest (its newest compose is taken; default: the
    one you are in). The image itself is never written to. Ctrl-A x ends the machine.

    \b
    deb-bootc-compose boot server --ssh                            # a shell, as soon as there can be one
    deb-bootc-compose boot server --ssh -- systemctl --failed      # one command; its exit status is this one's

    With a COMMAND, WHAT must be named.
    """
    check_words(words, ssh=ssh, check=check or as_json)
    override = Override(credentials=parse_credentials(credentials))
    image = find_image(what, variant, arch)
    arch = arch or find_arch(image)
    store = Store.open()
    if check or as_json:
        _check(store, image, packages, memory=memory, as_json=as_json, arch=arch, override=override)
    elif ssh:
        sys.exit(shell(store, image, words, port=port or 0, memory=memory, arch=arch, override=override))
    else:
        sys.exit(
            open_console(
                store, image, ready=tell, port=port or 0, memory=memory, tty=sys.stdin.isatty(), arch=arch,
                override=override,
            )
        )  # fmt: skip


def check_words(words: Sequence[str], *, ssh: bool, check: bool) -> None:
    """Errors: click.UsageError."""
    if words and not ssh:
        raise click.UsageError(f"a command ({words[0]}) is run with --ssh")
    if ssh and check:
        raise click.UsageError("--check judges the boot, --ssh opens a shell: take one of them")


def shell(
    store: Store, image: Path, words: Sequence[str], *, port: int, memory: int, arch: str, override: Override
) -> int:  # fmt: skip
    """Run *words* in the booted image, or a shell; the exit status."""

    def tell_ready(seconds: float) -> None:
        click.echo(f"{image.name} lets in after {seconds:.0f} s", err=True)

    console = Path(f"{image.name}.console.log").absolute()
    return run_shell(
        store, image, command=words, console_log=console, ready=tell_ready, port=port, memory=memory, arch=arch,
        override=override,
    )  # fmt: skip


def tell(console: Console) -> None:
    click.echo("booting; Ctrl-A x ends the machine. From another terminal:", err=True)
    click.echo(f"  {shlex.join(console.ssh)}", err=True)


def _check(
    store: Store, image: Path, packages: tuple[str, ...], *, memory: int, as_json: bool, arch: str, override: Override
) -> None:  # fmt: skip
    console = Path(f"{image.name}.console.log").absolute()
    report = run_boot(
        store, image, packages=packages, console_log=console, memory=memory, arch=arch, override=override
    )  # fmt: skip
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        click.echo(f"{image.name}: {report.state}, kernel {report.kernel}, up after {report.timing.boot:.0f} s")
        for name, version in report.packages.items():
            click.echo(f"  {name} {version or 'is not installed'}")
    if not report.ok:
        raise BuildFailed("; ".join(report.problems), hint=f"the console's log is {console}")


def find_arch(image: Path) -> str:
    """The architecture in the name of an image, as composes write it; else this machine's."""
    named = image.name.split(".")[-2:-1]
    return named[0] if named and named[0] in MACHINES else host_arch()


def find_image(what: Path, variant: str | None, arch: str | None = None) -> Path:
    """*arch* None: this machine's where there is a choice. Errors: Failure if none fits, or more than one variant."""
    if what.is_file():
        return what
    compose = what
    if not (what / "COMPOSE_ID").is_file():
        target = default_target(what) if (what / "compose.yaml").is_file() else what
        composes = [one for one in list_composes(target) if any(one.output.glob("*/*/images/*"))]
        if not composes:
            raise Failure(f"{target} holds no compose with an image", hint="deb-bootc-compose build makes one")
        compose = composes[-1].path
    directories = sorted((compose / "compose").glob(f"{variant or '*'}/{arch or '*'}/images"))
    if arch is None and len({path.parts[-2] for path in directories}) > 1:
        directories = [path for path in directories if path.parts[-2] == host_arch()] or directories
    if not directories:
        raise Failure(f"{compose} has no image", hint="add `outputs: {images: [{type: qcow2}]}` to the manifest")
    if len(directories) > 1:
        names = sorted({path.parts[-3] for path in directories})
        arches = sorted({path.parts[-2] for path in directories})
        raise Failure(
            f"{compose.name} has several images",
            hint=f"choose one with --variant ({', '.join(names)}) and --arch ({', '.join(arches)})",
        )
    for pattern in FORMATS:
        for image in sorted(directories[0].glob(pattern)):
            return image
    raise Failure(f"{directories[0]} is empty", hint="compose again")
