"""deb-mock sbuild."""

from __future__ import annotations

from typing import Any

import click

from deb_mock import tool_version
from deb_mock.sbuild.options import EXCLUSIVE, OPTIONS, Option

HELP = """Build as sbuild(1) does, for programs and fingers that call sbuild: its options, file names, log and exit
statuses, on deb-mock's layers.

WHAT is a source directory (default: the one you are in), a .dsc, NAME, NAME_VERSION, or whatever else `deb-mock build`
takes. Results go to the current directory (above it, from within the source directory). ~/.sbuildrc is Perl code and
is never executed.

\b
deb-mock sbuild -d trixie hello_2.10-3.dsc
deb-mock sbuild --source --verbose

Exit statuses are sbuild's: 0 successful or skipped, 2 the package failed to build, 3 given back (dependencies or this
host: try again), 1 anything else. /usr/share/deb-mock/sbuild/sbuild is this command under sbuild's own name.
"""


class SbuildCommand(click.Command):
    """Ends with 1 on a wrong command line: 2 would say that the package failed."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            error.show()
            raise click.exceptions.Exit(1) from error


def _make_parameter(option: Option) -> click.Option:
    counted = option.key in ("verbose", "quiet")
    return click.Option(
        [*option.names, option.key],
        is_flag=None if option.value or counted else True,  # False would make the value optional
        count=counted,
        multiple=bool(option.value) and option.many,
        metavar=option.value or None,
        hidden=option.kind != "works",
        expose_value=option.kind == "works",
        callback=_refuse if option.kind == "refused" else None,
        help=option.text,
    )


def _refuse(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value not in (None, False, ()):
        option = next(option for option in OPTIONS if option.key == parameter.name)
        raise click.UsageError(f"{option.names[-1]} is not supported: {option.text}", context)


def _tell_version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"sbuild (deb-mock) {tool_version()}")
        context.exit()


def run(*, what: str | None, as_json: bool, **given: Any) -> int:
    for one, other in EXCLUSIVE:
        if given[one] and given[other] and (one != "arch" or given[one] != given[other]):
            words = " and ".join("--" + word.replace("_", "-") for word in (one, other))
            click.echo(f"Error: {words} exclude each other", err=True)
            return 1
    from deb_mock.sbuild.front import run_front

    return run_front(what or ".", given, as_json=as_json)


command = SbuildCommand(
    "sbuild",
    callback=run,
    help=HELP,
    params=[
        click.Argument(["what"], required=False),
        *(_make_parameter(option) for option in OPTIONS),
        click.Option(
            ["as_json", "--json"], is_flag=True, help="Print the result as JSON at the end, on standard output."
        ),
        click.Option(
            ["-V", "--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_tell_version,
            help="Print the version.",
        ),
    ],
)
