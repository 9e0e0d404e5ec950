"""Files that builds and checks leave, noted so that the collector finds what they belong to."""

from __future__ import annotations

from sqlalchemy import Connection

from deb_orchestrator.store.engine import insert_new
from deb_orchestrator.store.tables_keep import result_file
from debcore.job import Result


def note_results(db: Connection, build_arch: int, result: Result) -> None:
    """All outputs of an attempt, whatever became of it."""
    for output in result.outputs:
        note_result(db, build_arch, output.sha256, output.kind)
    if result.lock_sha256 is not None:
        note_result(db, build_arch, result.lock_sha256, "lock")


def note_result(db: Connection, build_arch: int, sha256: str, kind: str) -> None:
    values = {"build_arch_id": build_arch, "sha256": sha256, "kind": kind}
    db.execute(insert_new(db, result_file).values(**values))
