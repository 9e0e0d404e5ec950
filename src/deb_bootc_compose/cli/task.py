"""deb-bootc-compose task: the inside of a task's process, here or on a builder."""

from __future__ import annotations

from pathlib import Path

import click

DIRECTORY = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(hidden=True)
@click.argument("directory", type=DIRECTORY, required=False)
@click.option("--job", type=DIRECTORY, help="Do the job in this directory, as an agent of the farm does.")
def command(directory: Path | None, job: Path | None) -> int:
    """Run the task whose input.json is in DIRECTORY (COMPOSE/work/tasks/NAME) and leave its result.json there."""
    if (directory is None) is (job is None):
        raise click.UsageError("give DIRECTORY or --job DIRECTORY")
    if job is not None:
        from deb_bootc_compose.farm.job import run_job

        return run_job(job)
    from deb_bootc_compose.worker import run_task

    assert directory is not None
    run_task(directory.resolve())
    return 0
