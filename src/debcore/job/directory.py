"""Reading and writing a job directory. Readers trust nothing that is not in a valid result.json."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from debcore.errors import Failure
from debcore.job.model import API, Event, Job, Output, Result
from debcore.path import write_file

#: Wire files larger than this are refused (bytes): job.json, result.json.
MAX_DOCUMENT = 16 * 1024 * 1024


class JobDirectory:
    """`job.json`, `events.jsonl`, `result.json`, `build.log` and the files they name, below `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log_path(self) -> Path:
        return self.path / "build.log"

    def load_job(self) -> Job:
        """Errors: Failure if job.json is missing, too large, invalid or of a version we do not speak."""
        try:
            raw = self._read("job.json")
            job = Job.model_validate_json(raw)
        except (OSError, ValidationError) as error:
            raise Failure(f"{self.path}/job.json cannot be used: {error}", hint="see schemas/job.json") from error
        if job.api not in API:
            raise Failure(f"job.json has api {job.api}; this tool speaks {', '.join(map(str, API))}")
        return job

    def write_job(self, job: Job) -> None:
        write_file(self.path / "job.json", job.model_dump_json(indent=2) + "\n")

    def find_result(self) -> Result | None:
        """The result if there is a valid one whose outputs are all there with their sizes; else None (class host)."""
        try:
            result = Result.model_validate_json(self._read("result.json"))
        except (OSError, ValidationError):
            return None
        for output in result.outputs:
            file = self.path / output.path
            if file.is_symlink() or not file.is_file() or file.stat().st_size != output.size:
                return None
        return result

    def write_result(self, result: Result) -> None:
        """Outputs are fsynced first: result.json vouches for them."""
        for output in result.outputs:
            fd = os.open(self.path / output.path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        write_file(self.path / "result.json", result.model_dump_json(indent=2) + "\n")

    def output(self, path: str, kind: Any = "file") -> Output:
        """Describe the file at *path* (below the directory) with size and hash."""
        with (self.path / path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = os.fstat(file.fileno()).st_size
        return Output(path=path, sha256=digest, size=size, kind=kind)

    def _read(self, name: str) -> bytes:
        with (self.path / name).open("rb") as file:
            raw = file.read(MAX_DOCUMENT + 1)
        if len(raw) > MAX_DOCUMENT:
            raise OSError(f"{name} is larger than {MAX_DOCUMENT} bytes")
        return raw


class EventLog:
    """Appends events with contiguous numbers, each flushed to the file at once."""

    def __init__(self, path: Path, **common: Any) -> None:
        self._file = path.open("ab", buffering=0)
        self._file.truncate(path.read_bytes().rfind(b"\n") + 1)  # whoever wrote a torn line was killed
        self._n = sum(1 for _ in read_events(path))
        self._common = common

    def emit(self, type_: str, **data: Any) -> Event:
        """Errors: OSError if it cannot be written; the file then ends with the event before."""
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        event = Event(n=self._n + 1, at=at, type=type_, data=data, **self._common)
        line = event.model_dump_json(exclude_none=True).encode() + b"\n"
        if (written := self._file.write(line)) != len(line):  # a full disk takes what fits
            self._file.truncate(os.fstat(self._file.fileno()).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._file.name)
        self._n += 1
        return event

    def close(self) -> None:
        self._file.close()


def read_events(path: Path, *, after: int = 0) -> Iterator[Event]:
    """Events with n > *after*. A torn last line is left for the next read. Errors: Failure on a gap or bad line."""
    if not path.exists():
        return
    expected = 1
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            try:
                event = Event.model_validate(json.loads(line))
            except (ValueError, ValidationError) as error:
                raise Failure(f"{path}: line {expected} is no event: {error}") from error
            if event.n != expected:
                raise Failure(f"{path}: event {event.n} where {expected} was due")
            expected += 1
            if event.n > after:
                yield event
