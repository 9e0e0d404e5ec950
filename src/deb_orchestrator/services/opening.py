"""Has files of others opened by the sealed reader, and takes only JSON back."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from debcore.blobs import BlobStore
from debcore.command import Completed, run
from debcore.errors import Failure, HostFailed

#: Seconds that one batch may take.
TIMEOUT = 120
BATCH = 64


def open_files(blobs: BlobStore, files: Sequence[tuple[str, str]]) -> list[Mapping[str, str]]:
    """The fields of each (kind, sha256), in order. Kinds: deb, udeb, dsc, changes, buildinfo.

    The kind `names` gives the one field `names`: what a .deb installs, a line each.

    Errors: Failure naming what is wrong with the first bad file; HostFailed if the reader itself broke.
    """
    answers: list[Mapping[str, str]] = []
    for start in range(0, len(files), BATCH):
        answers += _open_batch(blobs, files[start : start + BATCH])
    return answers


def open_text(kind: str, data: bytes) -> Mapping[str, str]:
    """The fields of one .dsc, .changes or .buildinfo that is no blob. Errors: as `open_files`."""
    fd = os.memfd_create(kind, os.MFD_CLOEXEC)
    with os.fdopen(fd, "r+b") as file:
        file.write(data)
        file.seek(0)
        return _read_answers(_run_reader([f"{kind}:{fd}"], [fd]), [(kind, BlobStore.name_of(data))])[0]


def _open_batch(blobs: BlobStore, files: Sequence[tuple[str, str]]) -> list[Mapping[str, str]]:
    with ExitStack() as stack:
        fds = [stack.enter_context(blobs.open(sha256)).fileno() for _, sha256 in files]
        words = [f"{kind}:{fd}" for (kind, _), fd in zip(files, fds, strict=True)]
        done = _run_reader(words, fds)
    return _read_answers(done, files)


def _run_reader(words: Sequence[str], fds: Sequence[int]) -> Completed:
    argv = [sys.executable, "-I", "-m", "deb_orchestrator.services.sealed", *words]
    return run(argv, check=False, pass_fds=fds, timeout=TIMEOUT, env={"PATH": "/usr/bin:/bin"})


def _read_answers(done: Completed, files: Sequence[tuple[str, str]]) -> list[Mapping[str, str]]:
    lines = done.stdout.splitlines()
    answers: list[Mapping[str, str]] = []
    for (kind, sha256), line in zip(files, lines, strict=False):
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(f"the .{kind} {sha256[:12]} is refused: {answer['error']}")
        answers.append({str(name): str(value) for name, value in answer["fields"].items()})
    if len(answers) != len(files):
        if done.status < 0:  # killed by its own limits: the file's doing
            raise Failure(f"the .{files[len(answers)][0]} {files[len(answers)][1][:12]} is too much to read")
        tail = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise HostFailed(f"the sealed reader broke: {' '.join(tail) or f'status {done.status}'}")
    return answers
