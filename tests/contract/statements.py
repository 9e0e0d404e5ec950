"""Counting SQL statements: how a contract test tells that something does not grow, whatever the machine does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from deb_orchestrator.store.engine import Database


@contextmanager
def count_statements(database: Database) -> Iterator[list[str]]:
    """The statements that *database* is sent within the block, in order; one that takes many rows is one."""
    seen: list[str] = []
    contexts: list[Any] = []

    def note(_conn: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        if context is None or all(context is not one for one in contexts[-1:]):  # both engines may tell of one
            seen.append(statement)
            contexts.append(context)

    engines = (database.read_engine, database.write_engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
