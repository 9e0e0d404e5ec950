"""deb-mock build."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from deb_mock.cli.complete import complete_files
from deb_mock.cli.gate import build_gate_options, parse_gate
from deb_mock.cli.options import (
    as_json,
    build_options,
    check_terminal,
    chosen_distribution,
    keep_option,
    option_layer,
    plugin_options,
    selection,
)
from deb_mock.cli.target import parse_target, target_options
from deb_mock.cli.trust import parse_trust, trust_options, trust_status
from deb_mock.commands import Commands
from deb_mock.plan import plan_build, title
from deb_mock.settings import Layer, check_layer
from deb_mock.source import DirectorySource
from debcore.cli import print_json, printable
from debcore.job import Result, Status

log = logging.getLogger(__name__)


@click.command()
@click.argument("what", required=False, shell_complete=complete_files)
@selection
@click.option(
    "--resultdir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where results go; NAME_VERSION_ARCH in the directory you are in (or above a source directory).",
)
@click.option(
    "--job",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Run the job directory DIR, as agents do: everything is read from and written to it.",
)
@build_options
@click.option(
    "extra_packages",
    "--extra-package",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="A .deb, a .changes or a directory of .debs that come before the archive's packages of these names.",
)
@click.option("--require-signature", is_flag=True, help="Refuse a source that no trusted key signed.")
@click.option("keyrings", "--keyring", multiple=True, metavar="FILE", help="Keys that may sign a source.")
@click.option("-n", "--no-clean", is_flag=True, help="In the named root that is called as its preset; changes stay.")
@click.option("--root", "name", metavar="NAME", help="In this named root; changes stay. Not for what is published.")
@target_options
@trust_options
@plugin_options
@keep_option
@click.option(
    "--debug-on-failure", "debug", is_flag=True, help="A shell in the root of a build that fails, before it goes."
)
@click.option(
    "on_failure",
    "--run-on-failure",
    "--build-failed-commands",
    metavar="CMD",
    multiple=True,
    help="Run CMD as root in the root of a build that fails, before it goes; what it prints is in the build log.",
)
@build_gate_options
@click.option("-v", "--verbose", is_flag=True, help="Show the build log while it is written.")
@as_json
def command(
    *, what: str | None, preset: str | None, arch: str | None, settings: tuple[str, ...], resultdir: Path | None,
    job: Path | None, build_type: str | None, profiles: tuple[str, ...], parallel: int | None, require_signature: bool,
    keyrings: tuple[str, ...], extra_packages: tuple[Path, ...], debug: bool,
    on_failure: tuple[str, ...], verbose: bool, as_json: bool, no_clean: bool, name: str | None,
    **options: Any,
) -> int:  # fmt: skip
    """Build WHAT in a clean root: a .dsc (path or URL), a source directory (default: the one you are in), a git
    repository (URL or directory, with #BRANCH, #TAG or #COMMIT), or NAME[=VERSION] of the archive.

    Without -r, the changelog of a source directory or git repository chooses the suite (UNRELEASED and unstable mean
    sid); everything else is built for the stable release. The source is checked, cleaned and packed inside the root,
    never on this host.

    \b
    deb-mock build
    deb-mock build -r trixie hostname
    deb-mock build -r debian-sid-amd64 --resultdir out ./hello_2.10-3.dsc
    deb-mock build https://salsa.debian.org/debian/hello.git#debian/latest
    deb-mock build .#HEAD
    deb-mock build --check lintian,autopkgtest --fail-on lintian:warning
    deb-mock build -d sid --host arm64 hostname
    deb-mock build -d sid --binNMU 2 --make-binNMU 'Rebuild against libfoo2' lz4
    """
    if job is not None:
        from deb_mock.jobs import run_job

        if what:
            raise click.UsageError("--job and WHAT exclude each other: the job names its source")
        return run_job(job)
    trust, target = parse_trust(options), parse_target(options, build_type=build_type)
    given = option_layer(build_type, profiles, parallel)
    layer = _options({"build": {**given["build"], **target.build}}, require_signature, keyrings)
    if debug:
        check_terminal("to look later: --keep-failed, then deb-mock shell --last-failed")
    if name or no_clean:
        from deb_mock.named import find_preset_of, in_named
        from debroot.store import Store

        preset = preset or (find_preset_of(Store.open(), name) if name else None)
    order = plan_build(
        what or ".", preset=preset or trust.preset, arch=arch, settings=[*settings, layer], resultdir=resultdir,
        debs=extra_packages, distribution=chosen_distribution(),
    )  # fmt: skip
    commands = Commands({"build-failed": on_failure}) if on_failure else order.commands
    project = order.source.path if isinstance(order.source, DirectorySource) else None
    gate = parse_gate(options, project=project)
    order = replace(trust.apply(target.apply(order)), debug=debug, commands=commands, gate=gate)
    if name or no_clean:
        order = in_named(order, name)
    log.info("%s: %s (%s)", title(order.source), order.choice.preset.name, order.choice.why)
    from deb_mock.api import run_build

    result = run_build(order, on_output=echo_log if verbose else None)
    tell_result(result, resultdir or order.directory, as_json=as_json)
    return trust_status(result, order)


def _options(given: dict[str, dict[str, object]], sign: bool, keyrings: tuple[str, ...]) -> Layer:
    source: dict[str, object] = {"require_signature": sign or None, "keyrings": list(keyrings) or None}
    given = {**given, "source": {key: value for key, value in source.items() if value is not None}}
    return check_layer(Layer("command line", given))


def echo_log(data: bytes) -> None:
    """A piece of the build log for a person's terminal."""
    sys.stderr.write(printable(data.decode("utf-8", "replace").replace("\r", "\n")))
    sys.stderr.flush()


def tell_result(result: Result, directory: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({**result.model_dump(mode="json"), "directory": str(directory.absolute())})
    if result.status is not Status.BUILT:
        from deb_mock.logs import log_name
        from deb_mock.outcome import describe

        click.echo("\n".join(describe(result, log=str(directory / log_name(result)))), err=True)
    elif not as_json:
        for output in result.outputs:
            if output.kind in ("deb", "udeb", "dsc", "changes", "buildinfo"):
                click.echo(str(directory / output.path))
        seconds = sum(stage.seconds for stage in result.stages)
        click.echo(f"Built {result.source} {result.version} for {result.arch} in {seconds:.0f} s", err=True)
