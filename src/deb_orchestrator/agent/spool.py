"""The agent's spool: one directory for each attempt, so that a restarted agent knows what it had.

SPOOL/JOB-ATTEMPT/
    claim.json     the claim, its grant included (mode 0600): written before anything else
    job/           the job directory
    tool.log       what the tool printed outside its own log
    hidden         secrets that nobody may read in what is sent (mode 0600)
    masked/        copies without them
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from debcore.hub.model import Claimed, Held
from debcore.job import JobDirectory
from debcore.path import write_file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """One attempt's directory."""

    path: Path
    claimed: Claimed

    @property
    def job(self) -> JobDirectory:
        return JobDirectory(self.path / "job")

    @property
    def held(self) -> Held:
        return Held(job=self.claimed.job, attempt=self.claimed.attempt)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def find_place(spool: Path, claimed: Claimed) -> Place:
    """Where an attempt is or would be."""
    return Place(spool / f"{claimed.job}-{claimed.attempt}", claimed)


def make_place(spool: Path, claimed: Claimed) -> Place:
    """The claim is on disk before the work begins. Errors: OSError if the disk is full."""
    place = find_place(spool, claimed)
    path = place.path
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o711, parents=True)  # the sandbox's ids must reach what is bound from job/
    write_file(path / "claim.json", claimed.model_dump_json() + "\n", mode=0o600)
    (path / "job").mkdir(mode=0o755)
    return place


def adopt_places(spool: Path) -> Iterator[Place]:
    """Attempts that were done when the last agent ended; all others are removed, for their processes are dead."""
    for path in sorted(spool.iterdir()) if spool.is_dir() else ():
        try:
            claimed = Claimed.model_validate_json((path / "claim.json").read_bytes())
        except (OSError, ValidationError):
            claimed = None
        place = Place(path, claimed) if claimed is not None else None
        if place is not None and place.job.find_result() is not None:
            log.info("job %s was done before the restart: reporting it", path.name)
            yield place
        else:
            shutil.rmtree(path, ignore_errors=True)
