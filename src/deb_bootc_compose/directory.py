"""The compose directory: its id, its STATUS with a heartbeat, its lock, its layout.

COMPOSE_ID  STATUS  lock.json
compose/    what is published: compose/VARIANT/ARCH/{ostree,oci,images}, compose/metadata
logs/       a file for each task, manifest-resolved.json, journal.jsonl
work/       what may be deleted once the compose has finished
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from debcore.errors import Failure, LimitHit
from debcore.path import sync_directory, write_file

if TYPE_CHECKING:
    from deb_bootc_compose.manifest.model import Compose

#: Pungi's letters for the type of a compose. Source: productmd.composeinfo.
SUFFIX = {"production": "", "nightly": ".n", "test": ".t", "ci": ".ci", "development": ".d"}
COMPOSE_ID = re.compile(r"(?P<stem>.+)-(?P<date>\d{8})(?P<type>\.(?:n|t|ci|d))?\.(?P<respin>\d+)")
HEARTBEAT = 5.0  #: seconds between two touches of STATUS while a compose runs
SILENCE = 60.0  #: seconds without one after which, from another host, a compose counts as killed


class Status(StrEnum):
    STARTED = "STARTED"
    FINISHED = "FINISHED"
    FINISHED_INCOMPLETE = "FINISHED_INCOMPLETE"  # something that may be left out is missing
    DOOMED = "DOOMED"  # a task failed; `resume` may still finish it
    TERMINATED = "TERMINATED"  # by a signal; `resume` goes on

    @property
    def is_final(self) -> bool:
        return self in (Status.FINISHED, Status.FINISHED_INCOMPLETE)


class ComposeDirectory:
    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        return (self.path / "COMPOSE_ID").read_text().strip()

    @property
    def output(self) -> Path:
        return self.path / "compose"

    @property
    def metadata(self) -> Path:
        return self.path / "compose/metadata"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def work(self) -> Path:
        return self.path / "work"

    @property
    def journal_path(self) -> Path:
        return self.logs / "journal.jsonl"

    @property
    def manifest_path(self) -> Path:
        return self.logs / "manifest-resolved.json"

    @property
    def lock_path(self) -> Path:
        return self.path / "lock.json"

    def status(self) -> Status:
        """What STATUS says; a killed compose still says STARTED (see `is_running`)."""
        return Status((self.path / "STATUS").read_text().strip())

    def set_status(self, status: Status) -> None:
        """Errors: Failure if the compose has finished: it is never changed again."""
        if (self.path / "STATUS").exists() and self.status().is_final:
            raise Failure(f"{self.id} has finished and is never changed", hint="make a new compose")
        write_file(self.path / "STATUS", status + "\n")

    def is_running(self) -> bool:
        """Whether a process holds the compose's lock; where locks do not reach (NFS), whether STATUS is fresh."""
        try:
            fd = os.open(self.work / "running", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            path = self.path / "STATUS"
            fresh = datetime.now(UTC).timestamp() - path.stat().st_mtime < SILENCE
            return fresh and path.read_text().strip() == Status.STARTED
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the lock and beat. Errors: Failure if another process composes here, or the compose has finished."""
        if self.status().is_final:
            raise Failure(
                f"{self.id} has finished and is never changed", hint="deb-bootc-compose build makes a new one"
            )
        self.work.mkdir(exist_ok=True)
        fd = os.open(self.work / "running", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        ended = threading.Event()
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Failure(f"{self.id} is being composed by another process") from error
            os.ftruncate(fd, 0)
            os.write(fd, f"{os.getpid()}\n".encode())
            self.set_status(Status.STARTED)
            beat = threading.Thread(target=self._beat, args=(ended,), name="heartbeat", daemon=True)
            beat.start()
            yield
        finally:
            ended.set()
            os.close(fd)

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(HEARTBEAT):
            os.utime(self.path / "STATUS")


def disk_full(compose: Path, where: str = "") -> LimitHit:
    """How a compose in the directory *compose* says that it found the disk full. *where*: the file, if it is known."""
    return LimitHit(
        f"no space left on the disk ({where or compose})",
        hint=f"free some, then: deb-bootc-compose resume {compose}",
    )


@contextmanager
def explaining_full_disk(compose: Path) -> Iterator[None]:
    """Errors: LimitHit in the place of an OSError that says so; others as they are."""
    try:
        yield
    except OSError as error:
        if not _says_full(error):
            raise
        raise disk_full(compose, str(error.filename or "")) from error


def _says_full(error: OSError) -> bool:
    """shutil.Error, of a whole tree, has the words of its errors and no number."""
    kinds = (errno.ENOSPC, errno.EDQUOT)
    return error.errno in kinds or (
        isinstance(error, shutil.Error) and any(os.strerror(kind) in str(error) for kind in kinds)
    )


def stem(compose: Compose) -> str:
    return f"{compose.release.short}-{compose.release.version}"


def make_compose_directory(target: Path, compose: Compose, *, now: datetime) -> ComposeDirectory:
    """A new directory with the next free respin of the day: mkdir decides between two composes at once."""
    base = f"{stem(compose)}-{now:%Y%m%d}{SUFFIX[compose.compose.type]}"
    try:
        target.mkdir(parents=True, exist_ok=True)
        respin = max((int(m["respin"]) for m in _existing(target, base)), default=-1) + 1
        while True:
            path = target / f"{base}.{respin}"
            try:
                path.mkdir()
                break
            except FileExistsError:
                respin += 1
        for name in ("compose/metadata", "logs", "work"):
            (path / name).mkdir(parents=True)
        write_file(path / "COMPOSE_ID", path.name + "\n")
        write_file(path / "STATUS", Status.STARTED + "\n")
        sync_directory(target)
    except OSError as error:
        raise Failure(
            f"no compose directory can be made in {target}: {error.strerror}", hint="choose another with --target DIR"
        ) from error
    return ComposeDirectory(path)


def _existing(target: Path, base: str) -> Iterator[re.Match[str]]:
    for path in target.iterdir():
        match = COMPOSE_ID.fullmatch(path.name)
        if match and path.name.rpartition(".")[0] == base:
            yield match


def find_compose(name: str, targets: list[Path]) -> ComposeDirectory:
    """By path, or by id below one of *targets*. Errors: Failure."""
    for path in (Path(name), *(target / name for target in targets)):
        if (path / "COMPOSE_ID").is_file():
            return ComposeDirectory(path.resolve())
    raise Failure(f"{name} is no compose directory", hint="deb-bootc-compose status lists the composes of a manifest")


def list_composes(target: Path) -> list[ComposeDirectory]:
    """Oldest first."""
    if not target.is_dir():
        return []
    names = (path for path in target.iterdir() if not path.is_symlink() and not path.name.startswith("."))
    found = [path for path in names if (path / "COMPOSE_ID").is_file()]
    return [ComposeDirectory(path) for path in sorted(found, key=lambda path: (path / "COMPOSE_ID").stat().st_mtime)]
