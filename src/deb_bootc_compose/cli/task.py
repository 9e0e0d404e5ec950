"""deb-bootc-compose task: the inside of a task's process."""

from __future__ import annotations

from pathlib import Path

import click

from deb_bootc_compose.worker import run_task


@click.command(hidden=True)
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
def command(directory: Path) -> None:
    """Run the task whose input.json is in DIRECTORY (COMPOSE/work/tasks/NAME) and leave its result.json there."""
    run_task(directory.resolve())
