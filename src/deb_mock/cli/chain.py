"""deb-mock chain."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deb_mock.cli.options import as_json, build_options, chosen_distribution, keep_option, option_layer, selection
from deb_mock.settings import Layer
from debcore.cli import print_json, printable

if TYPE_CHECKING:
    from deb_mock.api import ChainMember, ChainOrder, ChainPlan, ChainReport

log = logging.getLogger(__name__)


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@selection
@click.option(
    "--resultdir",
    "--localrepo",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("chain"),
    metavar="DIR",
    help="The chain's directory, with the results of each source in one of its own; default chain.",
)
@build_options
@keep_option
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Builds at once; default one for each processor.")
@click.option("-c", "--continue", "keep_going", is_flag=True, help="After a failure go on with what does not need it.")
@click.option(
    "--recurse",
    is_flag=True,
    help="Go on after a failure, and try what failed again with the packages of all that was built since.",
)
@click.option(
    "--plan", "only_plan", is_flag=True, help="Say in which order they would be built, and why; build nothing."
)
@click.option("--anew", is_flag=True, help="Build everything again, and fetch sources again.")
@click.option("-v", "--verbose", is_flag=True, help="Show the build logs while they are written.")
@as_json
def command(
    *, sources: tuple[str, ...], preset: str | None, arch: str | None, settings: tuple[str, ...], directory: Path,
    build_type: str | None, profiles: tuple[str, ...], parallel: int | None, jobs: int | None,
    keep_going: bool, recurse: bool, only_plan: bool, anew: bool, verbose: bool, as_json: bool,
) -> int:  # fmt: skip
    """Build several SOURCEs (.dsc files, source directories, git repositories, names of the archive) in the order of
    their build dependencies, each with the packages that those before it gave.

    Sources that do not need each other are built at the same time, and what the next ones need is installed meanwhile.
    Every step is kept in the directory: the same command again, or `deb-mock resume DIR`, goes on where the last one
    was stopped, whatever stopped it, and builds again only what changed and what needs it.

    \b
    deb-mock chain ./libfoo ./foo-utils foo-data
    deb-mock chain https://salsa.debian.org/team/libfoo.git#debian/latest ./foo-utils#HEAD
    deb-mock chain -r trixie --jobs 4 --continue --resultdir /srv/rebuild *.dsc
    """
    from deb_mock.api import ask_chain

    order = ask_chain(
        sources, preset=preset, arch=arch, distribution=chosen_distribution(),
        settings=[*settings, Layer("command line", option_layer(build_type, profiles, parallel))],
        jobs=jobs, keep_going=keep_going, recurse=recurse,
    )  # fmt: skip
    if only_plan:
        from deb_mock.api import plan_chain

        plan = plan_chain(order)
        if as_json:
            print_json(plan_values(plan))
        else:
            click.echo("\n".join(plan_lines(plan)))
        return 0
    return run_and_tell(order, directory, anew=anew, verbose=verbose, as_json=as_json)


def run_and_tell(order: ChainOrder, directory: Path, *, anew: bool = False, verbose: bool, as_json: bool) -> int:
    """Run a chain; the exit status is that of the first source that failed."""
    from deb_mock.api import run_chain

    with naming_threads():
        report = run_chain(
            order,
            directory,
            anew=anew,
            on_plan=lambda plan: log.info("%s", "\n".join(plan_lines(plan))),
            on_output=_echo if verbose else None,
            on_stop=lambda report: log.info("%s", _how_to_go_on(report)),
        )
    _tell(report, as_json=as_json)
    return report.status.exit_status


def plan_lines(plan: ChainPlan) -> Iterator[str]:
    """The levels, and for each source the clauses that put it there."""
    for number, level in enumerate(plan.levels, start=1):
        for name in level:
            yield f"{number}  {name} {plan.versions[name]}"
            yield from (f"   {edge}" for edge in plan.edges if edge.after == name)


def plan_values(plan: ChainPlan) -> dict[str, Any]:
    return {
        "levels": [list(level) for level in plan.levels],
        "needs": [
            {
                "source": e.after,
                "needs": e.before,
                "field": e.clause.field,
                "clause": e.clause.text,
                "via": e.via or None,
            }
            for e in plan.edges
        ],
    }


def report_values(report: ChainReport) -> dict[str, Any]:
    """What --json prints when a chain has ended."""
    members = [
        {
            "source": member.source,
            "version": member.version,
            "state": member.state,
            "reused": member.reused,
            "seconds": round(member.seconds, 1),
            "directory": str(member.directory),
            "needs": list(member.needs),
            "result": member.result.model_dump(mode="json") if member.result else None,
        }
        for member in report.members
    ]
    found = {"status": report.status.value, "directory": str(report.directory), "members": members}
    return {**found, **plan_values(report.plan)}


@contextmanager
def naming_threads() -> Iterator[None]:
    """Lines that a build logs begin with its source's name: several run at once."""

    def name_line(record: logging.LogRecord) -> bool:
        if threading.current_thread() is not threading.main_thread() and not hasattr(record, "named"):
            record.msg, record.args = f"{record.threadName}: {record.getMessage()}", ()
            record.named = True
        return True

    handlers = logging.getLogger().handlers
    for handler in handlers:
        handler.addFilter(name_line)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(name_line)


def _how_to_go_on(report: ChainReport) -> str:
    done = sum(member.state == "built" for member in report.members)
    return f"{done} of {len(report.members)} are built; go on with: deb-mock resume {report.directory}"


def _tell(report: ChainReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report_values(report))
    else:
        for path in report.files():
            click.echo(str(path))
    if not report.complete:
        for member in report.members:
            if member.state != "built":
                click.echo(f"{member.state:9}{member.source}{_why(member, report)}", err=True)
        click.echo(_how_to_go_on(report), err=True)


def _why(member: ChainMember, report: ChainReport) -> str:
    """Of what was skipped: which of its needs are missing."""
    missing = [one.source for one in report.members if one.source in member.needs and one.state != "built"]
    return f" (needs {', '.join(missing)})" if member.state == "skipped" and missing else ""


def _echo(name: str, data: bytes) -> None:
    text = printable(data.decode("utf-8", "replace").replace("\r", "\n"))
    sys.stderr.write("".join(f"{name}| {line}\n" for line in text.splitlines()))
    sys.stderr.flush()
