"""deb-mock resume."""

from __future__ import annotations

from pathlib import Path

import click

from deb_mock.cli.options import as_json, check_terminal
from deb_mock.failed import STAGES, Stage
from debcore.errors import Failure


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
@click.option(
    "--from",
    "stage",
    type=click.Choice(STAGES),
    help="Go on with a build that failed, in its kept root: unpack the source again, or take the tree as it is now and "
    "begin with clean, or with build, where make finds itself.",
)
@click.option("--debug-on-failure", "debug", is_flag=True, help="With --from: a shell in the root if it fails again.")
@click.option("-v", "--verbose", is_flag=True, help="Show the build logs while they are written.")
@as_json
def command(*, directory: Path | None, stage: Stage | None, debug: bool, verbose: bool, as_json: bool) -> int:
    """Go on with a chain or a build that was stopped or failed.

    A chain: DIR is its directory (default: chain, in the directory you are in). What was built stays; what failed, and
    what was being built when it was stopped, is built again.

    A build, with --from: DIR is the directory of its results (default: the newest build of all that failed). Its root
    must have been kept: `deb-mock build --keep-failed`. Results lie where they would have lain, and say that they are
    not those of a clean build.

    \b
    deb-mock resume chain
    deb-mock shell --last-failed          (mend the tree)
    deb-mock resume --from build
    """
    if stage is None:
        from deb_mock.api import load_chain
        from deb_mock.cli.chain import run_and_tell

        place = directory or Path("chain")
        return run_and_tell(load_chain(place), place, verbose=verbose, as_json=as_json)
    if debug:
        check_terminal("to look later: deb-mock shell --last-failed")
    return _resume_build(directory, stage, debug=debug, verbose=verbose, as_json=as_json)


def _resume_build(directory: Path | None, stage: Stage, *, debug: bool, verbose: bool, as_json: bool) -> int:
    from deb_mock.api import run_build
    from deb_mock.cli.build import echo_log, tell_result
    from deb_mock.failed import choose_kept, plan_again
    from debroot.store import Store

    kept = choose_kept(Store.open(), directory)
    order = plan_again(kept, stage, debug=debug)
    if not order.directory.parent.is_dir():
        what = f"{kept.about['source']} {kept.about['version']}"
        hint = "make that directory again, or name the results of another build: resume --from STAGE DIR"
        raise Failure(f"the results of {what} would go to {order.directory}, whose parent is gone", hint=hint)
    result = run_build(order, on_output=echo_log if verbose else None)
    tell_result(result, order.directory, as_json=as_json)
    return result.status.exit_status
