"""What build and resume share: lines of progress on stderr, the summary on stdout."""

from __future__ import annotations

import logging
import time

import click

from deb_bootc_compose.compose import Summary, run_compose
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.graph import duration
from debcore.cli import print_json, printable
from debcore.errors import Failure, Interrupted

log = logging.getLogger(__name__)


class Progress:
    """Lines `MM:SS task: text` for a person; the time is since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, task: str, text: str) -> None:
        self.line(f"{task}: {text}")

    def line(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._start), 60)
        click.echo(f"{minutes:02d}:{seconds:02d} {printable(text)}", err=True)


class _ProgressHandler(logging.Handler):
    """INFO records of ours in the same shape as what tasks say."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.INFO)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.line(record.getMessage())


def composing(directory: ComposeDirectory, *, jobs: int | None = None, kept: bool = True) -> Summary:
    """Run it with progress; if it does not end well and is *kept*, say how to go on. Errors: as run_compose."""
    progress = Progress()
    ours = logging.getLogger("deb_bootc_compose")
    handler = _ProgressHandler(progress)
    ours.addHandler(handler)
    ours.propagate = False
    log.info("compose %s in %s", directory.id, directory.path)
    try:
        return run_compose(directory, jobs=jobs, say=progress)
    except (Failure, Interrupted):
        if kept:
            click.echo(f"  to go on from here: deb-bootc-compose resume {directory.path}", err=True)
        raise
    finally:
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


def next_steps(directory: ComposeDirectory) -> list[str]:
    images = sorted(directory.output.glob("*/*/images/*"))
    layouts = sorted(directory.output.glob("*/*/oci"))
    steps = [f"boot it:    deb-bootc-compose boot {directory.path}"] if images else []
    return steps + [f"look at it: skopeo inspect oci:{layout}" for layout in layouts]
