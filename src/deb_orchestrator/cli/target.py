"""`target`: what builds see, and where their packages go."""

from __future__ import annotations

from collections.abc import Sequence

import click

from deb_orchestrator.cli import target_requires
from deb_orchestrator.cli.check_options import check_options
from deb_orchestrator.cli.connection import client_options, options_of, print_rows
from debcore.cli import print_json
from debcore.hub.check_client import CheckClient
from debcore.hub.checks import CheckPlan
from debcore.hub.client import HubClient
from debcore.hub.door_client import DoorClient
from debcore.job import Verify


@click.group()
def command() -> None:
    """Targets: the root that a build starts from, the suite that it sees, and the suite that its packages go to."""


@command.command("list")
@client_options
def list_targets(client: HubClient, as_json: bool) -> None:
    """List the targets."""
    targets = client.targets()
    if as_json:
        print_json(targets)
        return
    print_rows(
        ("TARGET", "PRESET", "BUILDS SEE", "PACKAGES GO TO", "ARCHITECTURES"),
        ((t.name, t.preset, t.build_suite or t.suite, t.suite, " ".join(t.arches)) for t in targets),
    )


command.add_command(target_requires.command)


@command.command("make")
@click.argument("name")
@click.argument("preset")
@click.option("--suite", metavar="SUITE", help="Where packages go; made if it is new (default: NAME).")
@click.option("--build-suite", metavar="SUITE", help="What builds see; must exist (default: where packages go).")
@click.option(
    "--cross", "crosses", multiple=True, metavar="ARCH=BUILDER", help="Cross-build for ARCH on builders of that kind."
)
@click.option(
    "--verify-reproducible", is_flag=True, help="Build everything twice in other surroundings, and keep the verdict."
)
@click.option("--vary", multiple=True, metavar="NAMES", help="With it: which variations, as deb-mock build has it.")
@click.option("-a", "--arch", "arches", multiple=True, default=("amd64",), show_default=True, help="May be repeated.")
@client_options
def make_target(
    name: str, preset: str, suite: str | None, build_suite: str | None, crosses: tuple[str, ...],
    verify_reproducible: bool, vary: tuple[str, ...], arches: tuple[str, ...], client: HubClient, as_json: bool,
) -> None:  # fmt: skip
    """Make a target from one of deb-mock's presets.

    \b
    deb-orchestrator target make trixie-local debian-trixie-amd64
    deb-orchestrator target make transition-foo debian-sid-amd64 --build-suite transition-foo-build
    deb-orchestrator target make port debian-trixie --arch arm64 --cross arm64=amd64
    deb-orchestrator target make checked debian-trixie --verify-reproducible --vary=-build_path
    """
    if vary and not verify_reproducible:
        raise click.UsageError("--vary needs --verify-reproducible")
    target = client.ensure_target(
        name, preset, suite=suite, arches=arches, build_suite=build_suite, cross=parse_crosses(crosses, arches),
        verify=Verify(vary=vary) if verify_reproducible else None,
    )  # fmt: skip
    print_json(target) if as_json else click.echo(f"target {target.name}")


@command.command("checks")
@click.argument("name")
@check_options(
    "Which, as deb-mock check --list has them.", policy="A policy file of deb-mock, instead of each builder's own."
)
@click.option("--gate", is_flag=True, help="Packages get into the suite only if all of it passes.")
@click.option("--none", "nothing", is_flag=True, help="Check nothing any more.")
@options_of(CheckClient)
def set_checks(
    name: str, checks: tuple[str, ...], fail_on: tuple[str, ...], policy: str | None, gate: bool, nothing: bool,
    client: CheckClient, as_json: bool,
) -> None:  # fmt: skip
    """Say what is checked of every build of the target NAME from now on; without options, print it.

    \b
    deb-orchestrator target checks trixie-local --check lintian,install,upgrade --gate
    deb-orchestrator target checks trixie-local --none
    """
    if bool(checks) == nothing and (checks or fail_on or policy or gate):
        raise click.UsageError("name checks with --check, or say --none")
    if checks or nothing:
        plan = CheckPlan(names=checks, fail_on=fail_on, policy=policy, gate=gate) if checks else None
        target = client.set_checks(name, plan)
    else:
        target = client.target(name)
    if as_json:
        print_json(target)
    elif target.checks is None:
        click.echo(f"target {name} checks nothing")
    else:
        words = ", ".join(target.checks.names) + "".join(f", fail on {level}" for level in target.checks.fail_on)
        click.echo(f"target {name} checks {words}{'; a gate' if target.checks.gate else ''}")


@command.command("accept")
@click.argument("name")
@click.argument("distributions", nargs=-1)
@click.option("--none", "nothing", is_flag=True, help="No other names any more.")
@options_of(DoorClient)
def set_distributions(
    name: str, distributions: tuple[str, ...], nothing: bool, client: DoorClient, as_json: bool
) -> None:
    """Say which names in the Distribution field the target NAME takes from dput, beside its own and its suite's.

    \b
    deb-orchestrator target accept trixie-local trixie unstable
    """
    if distributions and nothing:
        raise click.UsageError("give names, or --none")
    names = client.set_distributions(name, distributions) if distributions or nothing else client.distributions(name)
    print_json(list(names)) if as_json else click.echo("\n".join(names))


def parse_crosses(words: Sequence[str], arches: Sequence[str]) -> dict[str, str]:
    """ARCH=BUILDER… Errors: UsageError on another form, or on an architecture that the target does not have."""
    found = {}
    for word in words:
        arch, _, builder = word.partition("=")
        if not arch or not builder:
            raise click.UsageError(f"--cross {word} is not ARCH=BUILDER, such as arm64=amd64")
        if arch not in arches:
            raise click.UsageError(f"--cross {word}: the target is not for {arch}; add --arch {arch}")
        found[arch] = builder
    return found
