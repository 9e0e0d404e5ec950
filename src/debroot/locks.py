"""Locks on directories of the store: flock on DIRECTORY/lock. They end with the last process that inherited them."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from debcore import cancel
from debcore.errors import Failure


@contextmanager
def hold_shared(directory: Path) -> Iterator[int]:
    """A descriptor with the shared lock, to be inherited by whoever uses *directory*. Waits while it is being changed.

    Errors: Failure if the directory is gone.
    """
    fd = take_shared(directory)
    try:
        yield fd
    finally:
        os.close(fd)


def take_shared(directory: Path) -> int:
    """As `hold_shared`; the caller closes the descriptor."""
    fd = _open(directory)
    try:
        _wait_for(fd, fcntl.LOCK_SH)
        _check_same(fd, directory)
    except BaseException:
        os.close(fd)
        raise
    return fd


def take_lasting(directory: Path, *, exclusive: bool = False) -> int:
    """A lock of the store on something that need not exist: *directory* is made; gc may remove it when it is free.

    Waits. The caller closes the descriptor.
    """
    while True:
        _make(directory)
        with suppress(Failure):  # it was removed meanwhile
            fd = _open(directory)
            try:
                _wait_for(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
                _check_same(fd, directory)
            except BaseException:
                os.close(fd)
                raise
            return fd


def take_free(directory: Path) -> int | None:
    """A descriptor with the exclusive lock if nobody uses *directory*, else None, as when it is gone. The caller closes
    it."""
    try:
        fd = _open(directory)
    except Failure:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _check_same(fd, directory)
    except (BlockingIOError, Failure):
        os.close(fd)
        return None
    return fd


def take_free_lasting(directory: Path) -> int | None:
    """As `take_free`, on something that need not exist, as for `take_lasting`."""
    _make(directory)
    return take_free(directory)


def remove_lock(directory: Path) -> None:
    """Remove a lasting lock, which the caller holds exclusively. Whoever waits for it makes it again."""
    (directory / "lock").unlink(missing_ok=True)
    with suppress(OSError):  # made again already
        directory.rmdir()


def _make(directory: Path) -> None:
    """A lasting lock; it may be gone again on return."""
    try:
        directory.mkdir()  # with exist_ok it would fail if the directory went between two of its own steps
    except FileExistsError:
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(directory.lstat().st_mode):
                raise
    with suppress(FileNotFoundError):
        (directory / "lock").touch()  # its time is that of the last use


def _wait_for(fd: int, operation: int) -> None:
    if cancel.current() is None:
        fcntl.flock(fd, operation)
        return
    while True:
        try:
            fcntl.flock(fd, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            cancel.pause()
        else:
            return


def _open(directory: Path) -> int:
    try:
        return os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _gone(directory) from error


def _check_same(fd: int, directory: Path) -> None:
    """Between open and flock somebody may have removed the directory, or put another in its place."""
    try:
        now = (directory / "lock").stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _gone(directory) from error
    if now.st_ino != os.fstat(fd).st_ino:
        raise _gone(directory)


def _gone(directory: Path) -> Failure:
    return Failure(f"{directory} was removed meanwhile", hint="run the command again; what is missing is made again")
