"""deb-mock rebuild."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from deb_mock.buildlog import BuildLog
from deb_mock.cli.build import echo_log
from deb_mock.cli.options import as_json, selection
from deb_mock.config import choose
from deb_mock.resultdir import clear_directory, remove_results
from deb_mock.settings import Layer, check_layer
from debcore.cli import print_json, printable
from debcore.errors import Failure
from debcore.job import Result, Status

if TYPE_CHECKING:
    from deb_mock.buildinfo import Buildinfo
    from deb_mock.rebuild import Report, Request

#: Exit status of a rebuild that gave other bytes: as for a package that fails.
DIFFERENT = 4


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.buildinfo")
@selection
@click.option(
    "--resultdir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where results go; NAME_VERSION_ARCH.rebuild in the directory you are in.",
)
@click.option(
    "--source",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.dsc",
    help="The source package; else beside FILE.buildinfo, in the archive, in a snapshot.",
)
@click.option(
    "--snapshot",
    multiple=True,
    metavar="URL",
    help="An archive that keeps old versions, as Debian's snapshot service; or hub, hub+URL, either with #SUITE.",
)
@click.option("--offline", is_flag=True, help="Fetch nothing: use the roots and packages of this host.")
@click.option("--require-signature", is_flag=True, help="Refuse a .buildinfo that no trusted key signed.")
@click.option("keyrings", "--keyring", multiple=True, metavar="FILE", help="Keys that may sign a .buildinfo.")
@click.option("-v", "--verbose", is_flag=True, help="Show the build log while it is written.")
@as_json
def command(
    *, file: Path, preset: str | None, arch: str | None, settings: tuple[str, ...], resultdir: Path | None,
    source: Path | None, snapshot: tuple[str, ...], offline: bool, require_signature: bool, keyrings: tuple[str, ...],
    verbose: bool, as_json: bool,
) -> int:  # fmt: skip
    """Build again what FILE.buildinfo describes, and say of each package whether the same bytes came out.

    Path, environment, architecture and the exact packages of the root are taken from the file. They are looked for in
    this host's roots and pool, in the archive, and in snapshots; what cannot be found is named. A signature is checked
    if a keyring is given or it is demanded.

    \b
    deb-mock rebuild hostname_3.25_amd64.buildinfo
    deb-mock rebuild --snapshot hub tool_1.2_amd64.buildinfo
    deb-mock rebuild -r sid --snapshot https://snapshot.example/ hello_2.10-3_amd64.buildinfo

    Exit status: 0 all equal, 4 something differs or the build failed, 5 packages of the root cannot be found.
    """
    from deb_mock.buildinfo import load_buildinfo
    from deb_mock.dsc import default_keyrings
    from deb_mock.policy import find_demand
    from deb_mock.rebuild import Request, run_rebuild
    from debroot.store import Store

    if file.suffix == ".dsc":
        raise click.UsageError(f"{file} is a source, and rebuild takes a .buildinfo; say: deb-mock build {file}")
    info = load_buildinfo(file)
    choice = choose(preset=preset, arch=arch or info.build_arch, options=[*settings, settings_of(info)])
    demand = find_demand("buildinfo", choice)
    signed = require_signature or demand.signed
    trusted = [Path(path).expanduser() for path in keyrings] or list(demand.keyrings)
    if signed and not trusted:
        trusted = list(default_keyrings())
    certificates = [_read_key(path) for path in trusted]
    if load_buildinfo(file, certificates=certificates, require_signature=signed) != info:
        raise Failure(f"{file} changed while it was read", hint="try again")
    snapshots = (*snapshot, *choice.settings.archive.snapshots)
    version = info.version.rpartition(":")[2]
    directory = (resultdir or Path(f"{info.source}_{version}_{info.build_arch}.rebuild")).absolute()
    made = clear_directory(directory)
    build_log = BuildLog(directory / "build.log", echo=echo_log if verbose else None)
    request = Request(
        buildinfo=info, path=file, choice=choice, directory=directory, source=source, snapshots=snapshots,
        offline=offline,
    )  # fmt: skip
    try:
        result, report = run_rebuild(request, Store.open(), build_log)
    except BaseException:
        remove_results(directory, made=made)
        raise
    if report is None:
        return tell_failure(result, directory, as_json=as_json)
    tell(report, request, as_json=as_json)
    return 0 if report.equal else DIFFERENT


def settings_of(info: Buildinfo) -> Layer:
    """What was built, and with which profiles. Errors: Failure if there are no packages to build."""
    parts = info.parts
    if not (parts.any or parts.all):
        raise Failure("the .buildinfo is of a source alone", hint="there is nothing to build again")
    type_ = "binary" if parts.any and parts.all else "any" if parts.any else "all"
    profiles = info.environment.get("DEB_BUILD_PROFILES", "").split()
    host = next((arch for arch in info.architectures if arch not in ("all", "source", info.build_arch)), None)
    build = {"type": type_, "profiles": profiles, **({"host": host} if host else {})}
    return check_layer(Layer("the .buildinfo", {"build": build}))


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", hint="--keyring names a file with OpenPGP certificates") from error


def tell_failure(result: Result, directory: Path, *, as_json: bool) -> int:
    from deb_mock.logs import log_name
    from deb_mock.outcome import describe

    assert result.status is not Status.BUILT
    if as_json:
        print_json({"result": result, "directory": str(directory)})
    click.echo("\n".join(describe(result, log=str(directory / log_name(result)))), err=True)
    return result.status.exit_status


def tell(report: Report, request: Request, *, as_json: bool) -> None:
    """The verdict: one line for each package."""
    if as_json:
        print_json({**report.model_dump(mode="json"), "directory": str(request.directory)})
        return
    for name, verdict in report.artifacts.items():
        click.echo(f"{verdict:8} {name}")
    for place, count in report.root.items():
        click.echo(f"root: {count} packages from {printable(place)}", err=True)
    if report.surplus:
        click.echo(f"root: beside them {', '.join(report.surplus[:12])}", err=True)
    for note in report.notes:
        click.echo(f"note: {printable(note)}", err=True)
    word = "all equal, bit for bit" if report.equal else "not the same"
    click.echo(f"{report.source} {report.version}: {word}", err=True)
