"""The signer's own record of all it signed and refused: JSON lines, each holding the hash of the one before.

A changed, removed or inserted line breaks the chain at that place. A tail cut off does not: compare the last hash
with a copy kept elsewhere (each answer to the hub carries its entry's number).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from debcore.errors import Failure, HostFailed

#: What the first entry holds in place of a predecessor's hash.
GENESIS = "0" * 64


class Entry(BaseModel):
    """One line. `hash` is the SHA-256 of all other fields as JSON with sorted keys and without blanks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    at: float  #: seconds since 1970, by the signer's clock
    decision: Literal["signed", "refused"]
    kind: str
    key: str
    suite: str = ""
    generation: int = 0
    subject: str = ""
    job: int = 0
    attempt: int = 0
    input_sha256: str = ""
    output_sha256: str = ""
    fingerprint: str = ""
    reason: str = ""
    previous: str
    hash: str = ""

    def sealed(self) -> Entry:
        fields = self.model_dump(mode="json", exclude={"hash"})
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return self.model_copy(update={"hash": hashlib.sha256(text.encode()).hexdigest()})


def load_entries(path: Path) -> Iterator[Entry]:
    """All entries, checked as a chain; a torn last line (a crash) is no entry. Errors: Failure naming the line."""
    previous, number = GENESIS, 0
    if not path.exists():
        return
    with path.open("rb") as file:
        for raw in file:
            number += 1
            if not raw.endswith(b"\n"):
                return
            try:
                entry = Entry.model_validate_json(raw)
            except ValidationError as error:
                raise _broken(path, number, "no entry") from error
            if entry.n != number or entry.previous != previous:
                raise _broken(path, number, "it does not follow the line before")
            if entry.sealed().hash != entry.hash:
                raise _broken(path, number, "it was changed")
            previous = entry.hash
            yield entry


def verify_log(path: Path) -> tuple[int, str]:
    """The number of entries and the hash of the last. Errors: Failure naming the first line that is wrong."""
    number, head = 0, GENESIS
    for entry in load_entries(path):
        number, head = entry.n, entry.hash
    return number, head


class SignLog:
    """The open log of one signer; it reads and verifies what is there. Only one process may have it open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries = list(load_entries(path))
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        whole = sum(len(_line(entry)) for entry in self.entries)
        if os.fstat(self._fd).st_size > whole:  # a line torn by a crash was never answered
            os.ftruncate(self._fd, whole)

    def append(self, new: Entry) -> Entry:
        """Number, seal and write the entry; it is on disk when this returns.

        Errors: HostFailed if nothing could be written, Failure if a part of the line was: then the signer must end.
        """
        last = self.entries[-1] if self.entries else None
        entry = new.model_copy(update={"n": len(self.entries) + 1, "previous": last.hash if last else GENESIS}).sealed()
        line = _line(entry)
        try:
            written = os.write(self._fd, line)
            os.fsync(self._fd)
        except OSError as error:
            raise HostFailed(f"{self._path}: {error.strerror}", hint="free space for the signer's log") from error
        if written != len(line):
            raise Failure(f"{self._path}: the log cannot be written", hint="free space, then start the signer anew")
        self.entries.append(entry)
        return entry

    def close(self) -> None:
        os.close(self._fd)


def _line(entry: Entry) -> bytes:
    return (json.dumps(entry.model_dump(mode="json"), separators=(",", ":")) + "\n").encode()


def _broken(path: Path, number: int, what: str) -> Failure:
    return Failure(f"{path}:{number}: {what}", hint="the log was tampered with or damaged: keep it and find out why")
