"""The logs of a build that has ended: compressed if a plugin wants so, and found again by whoever tells about them."""

from __future__ import annotations

import gzip
import logging
import lzma
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from debcore.job import JobDirectory, Output, Result
from debcore.path import replacing

log = logging.getLogger(__name__)

LOG = "build.log"


def log_name(result: Result) -> str:
    """The file of *result* that is its build log."""
    return next((o.path for o in result.outputs if o.kind == "log" and o.path.startswith(LOG)), LOG)


def compress_logs(directory: JobDirectory, outputs: Sequence[Output], method: str) -> tuple[Output, ...]:
    """*outputs* with each log replaced by one that is compressed by *method*, a key of METHODS; "" changes nothing.

    A log for which there is no room stays as it is.
    """
    if not method:
        return tuple(outputs)
    found = []
    for output in outputs:
        name = f"{output.path}.{method}"
        if output.kind != "log" or (directory.path / name).exists():
            found.append(output)
            continue
        try:
            _compress(directory.path / output.path, directory.path / name, method)
        except OSError as error:
            log.warning("%s stays as it is: %s", output.path, error.strerror)
            found.append(output)
            continue
        found.append(directory.output(name, "log"))
        (directory.path / output.path).unlink()
    return tuple(found)


def _compress(source: Path, target: Path, method: str) -> None:
    with source.open("rb") as plain, replacing(target) as file, METHODS[method](file) as packed:
        shutil.copyfileobj(plain, packed, 1 << 20)


@contextmanager
def _gzip(file: IO[bytes]) -> Iterator[IO[bytes]]:
    with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        yield packed  # type: ignore[misc]


@contextmanager
def _xz(file: IO[bytes]) -> Iterator[IO[bytes]]:
    with lzma.LZMAFile(file, "wb") as packed:
        yield packed


@contextmanager
def _zstd(file: IO[bytes]) -> Iterator[IO[bytes]]:
    import zstandard

    with zstandard.ZstdCompressor(level=10).stream_writer(file, closefd=False) as packed:
        yield packed


#: By the suffix that the file gets.
METHODS: dict[str, Callable[[IO[bytes]], AbstractContextManager[IO[bytes]]]] = {"gz": _gzip, "xz": _xz, "zst": _zstd}
