"""`build`: submit source packages and watch them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from deb_orchestrator.cli import check
from deb_orchestrator.cli.check_options import check_options
from deb_orchestrator.cli.connection import options_of
from deb_orchestrator.cli.reports import describe_checks
from deb_orchestrator.cli.watching import EXIT, follow, print_end
from debcore.cli import print_json
from debcore.command import find_program, run
from debcore.errors import CommandFailed, Failure
from debcore.hub.check_client import CheckClient
from debcore.hub.checks import BuildCheck, CheckAsk
from debcore.hub.client import HubClient
from debcore.hub.model import Request, RequestState, Target


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-t", "--target", help="Target to build for (default: the hub's only one).")
@click.option("-a", "--arch", "arches", multiple=True, help="Architecture, may be repeated (default: the target's).")
@click.option("--scratch", is_flag=True, help="Build and keep the files, but put them into no suite.")
@check_options("Then have the packages checked so, as deb-mock has it: lintian,piuparts.", policy="For --checks.")
@click.option("--nowait", is_flag=True, help="Return as soon as the hub has the request.")
@options_of(CheckClient)
def command(
    sources: tuple[Path, ...],
    target: str | None,
    arches: tuple[str, ...],
    scratch: bool,
    checks: tuple[str, ...],
    fail_on: tuple[str, ...],
    policy: str | None,
    nowait: bool,
    client: CheckClient,
    as_json: bool,
) -> int:
    """Build source packages: .dsc files, or directories with a debian/ in them.

    Several sources are built in the order of their build-dependencies. Asking again for the same content is the same
    request: what the suite already has is not built twice. Ctrl-C stops watching, not building. With --checks the exit
    status is 4 too if the policy refuses what was found; what is checked of every build is said by `target checks`.

    \b
    deb-orchestrator build hostname_3.25.dsc
    deb-orchestrator build -t trixie-local ./my-package ./its-library
    deb-orchestrator build --checks lintian,autopkgtest ./my-package
    """
    if (fail_on or policy) and not checks:
        raise click.UsageError("--fail-on and --policy are for --checks")
    if checks and nowait:
        raise click.UsageError("checks are ordered when the packages are there: leave out --nowait")
    chosen = find_target(client, target)
    with TemporaryDirectory(prefix="deb-orchestrator-") as packed:
        dscs = [path if path.is_file() else pack(path, chosen, Path(packed, str(n))) for n, path in enumerate(sources)]
        request = client.submit(chosen.name, dscs, arches=arches, scratch=scratch)
    if nowait:
        print_json(request) if as_json else click.echo(f"request {request.id}")
        return 0
    if not as_json:
        click.echo(f"request {request.id}; watch it again with: deb-orchestrator watch {request.id}", err=True)
    request = follow(client, request.id, quiet=as_json)
    if not as_json:
        print_end(client, request)
    checked: list[BuildCheck] = []
    if checks and request.state is RequestState.READY:
        ask = CheckAsk(names=checks, fail_on=fail_on, policy=policy)
        checked = check_builds(client, request, ask, quiet=as_json)
    if as_json:
        more = {"checks": [one.model_dump(mode="json") for one in checked]} if checks else {}
        print_json(request.model_dump(mode="json") | more)
    return max(EXIT[request.state], check.find_status(checked))


def check_builds(client: CheckClient, request: Request, ask: CheckAsk, *, quiet: bool) -> list[BuildCheck]:
    """Have all that *request* built checked at once, and unless *quiet* say what was found; the orders, ended."""
    orders = [(build, *check.order(client, build, ask)) for build in request.builds]
    every: list[BuildCheck] = []
    for build, found, ordered in orders:
        ended = check.pick(check.follow(client, found, ordered, quiet=quiet), ordered)
        if not quiet:
            click.echo("\n".join(describe_checks(build, ended)))
        every += ended
    return every


def find_target(client: HubClient, name: str | None) -> Target:
    """The target named, or the only one. Errors: Failure that lists them."""
    if name is not None:
        return client.target(name)
    targets = client.targets()
    if len(targets) != 1:
        names = ", ".join(t.name for t in targets) or "none"
        raise Failure(f"the hub has several targets or none: {names}", hint="choose one with --target")
    return targets[0]


def pack(directory: Path | str, target: Target, out: Path, *options: str) -> Path:
    """The .dsc that deb-mock packs from *directory* or a git URL, inside a root: the host runs nothing of it.

    Errors: CommandFailed with deb-mock's own words.
    """
    beside = Path(sys.executable).with_name("deb-mock")
    program = beside if beside.is_file() else find_program("deb-mock")
    if program is None:
        raise Failure("packing a directory needs deb-mock", hint="apt install deb-mock, or give a .dsc")
    argv: list[str | Path] = [program, "source", directory, "-r", target.preset, "--resultdir", out, "--json", *options]
    try:
        return Path(json.loads(run(argv).stdout)["dsc"])
    except (ValueError, KeyError) as error:
        raise CommandFailed([str(word) for word in argv], 0, f"its answer is no JSON: {error}") from error
