"""The directory that a person's build leaves its results in: used again and again, never with half a build in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from deb_mock.logs import LOG, METHODS
from debcore.errors import Failure
from debcore.job import JobDirectory

#: Begins the name of the directory that a second build has in the first's; a kill leaves it.
SECOND_BUILD = "deb-mock-again-"


def clear_directory(directory: Path) -> bool:
    """Make *directory* ready for new results; what an earlier result.json lists is removed. True if it was made now."""
    try:
        made = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        old = JobDirectory(directory).find_result()
        for output in old.outputs if old else ():
            (directory / output.path).unlink(missing_ok=True)
        packed = [f"{LOG}.{method}" for method in METHODS]
        for name in ("result.json", "events.jsonl", LOG, *packed, "lock.json", "rebuild.json"):
            (directory / name).unlink(missing_ok=True)
            for torn in directory.glob(f".{name}.*"):  # a kill came before it had its name
                torn.unlink()
        for stale in directory.glob(f"{SECOND_BUILD}*"):
            shutil.rmtree(stale)
    except OSError as error:
        hint = "choose another place with --resultdir"
        raise Failure(f"{directory} cannot be used for results: {error.strerror}", hint=hint) from error
    return made


def remove_results(directory: Path, *, made: bool) -> None:
    """After a build that was cancelled, or refused before it began, nothing half-made stays."""
    if made:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        clear_directory(directory)
