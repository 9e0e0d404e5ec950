"""What build and resume share: progress on stderr, the summary on stdout."""

from __future__ import annotations

import logging
from dataclasses import asdict

import click

from deb_bootc_compose.cli.progress import Progress, make_progress
from deb_bootc_compose.compose import Started, Summary, run_compose
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.forecast import forecast
from deb_bootc_compose.graph import duration
from deb_bootc_compose.journal import JournalDamaged
from deb_bootc_compose.plan import judge_nodes
from deb_bootc_compose.tasks import kinds_from
from debcore.cli import print_json
from debcore.errors import Failure, Interrupted

log = logging.getLogger(__name__)


class _ProgressHandler(logging.Handler):
    """INFO records of ours among what tasks say."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.INFO)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.log(record)


def composing(
    directory: ComposeDirectory, *, jobs: int | None = None, kept: bool = True, as_json: bool = False,
    again_from: str | None = None,
) -> Summary:  # fmt: skip
    """Run it with progress; if it does not end well and is *kept*, say how to go on. Errors: as run_compose."""
    progress = make_progress(as_json=as_json)
    ours = logging.getLogger("deb_bootc_compose")
    handler = _ProgressHandler(progress)
    ours.addHandler(handler)
    ours.propagate = False
    log.info("compose %s in %s", directory.id, directory.path)
    try:
        return run_compose(directory, jobs=jobs, say=progress, watch=progress, again_from=again_from)
    except (Failure, Interrupted) as error:
        if kept and not isinstance(error, JournalDamaged) and not directory.status().is_final:
            progress.line(f"to go on from here: deb-bootc-compose resume {directory.path}")
        raise
    finally:
        progress.close()
        ours.removeHandler(handler)
        ours.propagate = True


def print_summary(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        print_json(summary.document())
        return
    directory = summary.directory
    click.echo(f"{directory.id}: {summary.status}")
    for name, outcome in summary.outcomes.items():
        how = "done before" if outcome.reused else duration(outcome.seconds)
        click.echo(f"  {name:<24} {how if outcome.result is not None else 'left out or failed: ' + outcome.error}")
    click.echo(f"  {directory.path}")
    for line in next_steps(directory):
        click.echo(f"  {line}")


def print_forecast(
    started: Started, directory: ComposeDirectory, *, as_json: bool, again_from: str | None = None
) -> None:
    """What would be done, task by task. *directory* need not be there yet."""
    judged = list(judge_nodes(started.manifest, started.options, started.digests))
    told = list(forecast(judged, directory, anew=kinds_from(again_from or started.options.anew)))
    if as_json:
        print_json([asdict(one) for one in told])
        return
    for one in told:
        click.echo(f"{one.task:<28} {one.verdict:<14} {one.reason}")
    if any(one.verdict == "asks" for one in told):
        click.echo("This holds if archive and hub give what they gave then; nothing was asked of them.")


def next_steps(directory: ComposeDirectory) -> list[str]:
    images = sorted(directory.output.glob("*/*/images/*"))
    layouts = sorted(directory.output.glob("*/*/oci"))
    steps = [f"boot it:    deb-bootc-compose boot {directory.path}"] if images else []
    return steps + [f"look at it: skopeo inspect oci:{layout}" for layout in layouts]
