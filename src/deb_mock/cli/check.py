"""deb-mock check."""

from __future__ import annotations

from pathlib import Path

import click

from deb_mock.cli.gate import gate_options
from deb_mock.cli.options import as_json, selection
from deb_mock.config import choose
from debcore.cli import print_json, printable
from debcore.job import CheckReport, Result, Status


@click.command()
@click.argument("what", required=False, type=click.Path(path_type=Path, exists=True), metavar="FILE.changes|DIR")
@selection
@gate_options
@click.option(
    "--resultdir", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
    help="Where logs and result.json go; FILE.check beside FILE.changes.",
)  # fmt: skip
@click.option(
    "--job", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
    help="Run the job directory DIR, as agents do: everything is read from and written to it.",
)  # fmt: skip
@click.option("--list", "show", is_flag=True, help="Say which checks there are.")
@as_json
def command(
    *, what: Path | None, preset: str | None, arch: str | None, settings: tuple[str, ...], checks: tuple[str, ...],
    policy: Path | None, fail_on: tuple[str, ...], resultdir: Path | None, job: Path | None, show: bool, as_json: bool,
) -> int:  # fmt: skip
    """Check the packages that FILE.changes names, or those of the only .changes in DIR (default: where you are).

    Every check works in throw-away overlays of the root that -r names, with its program installed in a layer of that
    root. Those that need apt reach the suites and nothing else. What cannot be tried here is reported as not run.
    The exit status is 4 if the policy refuses what was found.

    \b
    deb-mock check ./hostname_3.25_amd64
    deb-mock check --check lintian,piuparts --fail-on lintian:warning hello_2.10-3_amd64.changes
    """
    if job is not None:
        from deb_mock.jobs import run_job

        if what:
            raise click.UsageError("--job and FILE.changes exclude each other: the job names its packages")
        return run_job(job, kind="check")
    from deb_mock.checks.registry import CHECKS, make_gate
    from deb_mock.checks.run import CheckOrder, run_checks
    from deb_mock.checks.subject import find_changes
    from deb_mock.resultdir import clear_directory
    from debroot.store import Store

    if show:
        for check in CHECKS:
            click.echo(f"{check.name:<12} {check.text}")
        return 0
    names = [name for words in checks for name in words.split(",") if name]
    gate = make_gate(names, project=Path.cwd(), file=policy, fail_on=fail_on)
    changes = find_changes(what or Path())
    directory = (resultdir or changes.with_suffix(".check")).absolute()
    choice = choose(preset=preset, arch=arch, options=list(settings))
    clear_directory(directory)
    order = CheckOrder(
        changes=changes, choice=choice, directory=directory, gate=gate, timeout=choice.settings.limits.time
    )
    result = run_checks(order, Store.open())
    _tell(result, directory, as_json=as_json)
    return result.status.exit_status


def _tell(result: Result, directory: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({**result.model_dump(mode="json"), "directory": str(directory)})
    else:
        click.echo("\n".join(printable(line) for line in table(result.checks)))
    if result.status is not Status.BUILT:
        from deb_mock.outcome import describe

        click.echo("\n".join(describe(result, log=str(directory))), err=True)


def table(reports: tuple[CheckReport, ...]) -> list[str]:
    """A line for each check, and below it what the policy did not ignore."""
    from deb_mock.checks.gate import describe, show_findings

    lines = []
    for report in reports:
        lines.append(describe(report))
        lines += [f"  {line}" for line in show_findings(report)[:20]]
    return lines
