"""One way to SQLite and to PostgreSQL: short transactions, read or write, through SQLAlchemy Core.

SQLite: WAL, synchronous FULL, `BEGIN IMMEDIATE` for writes only, one writer at a time; a second hub on the file is
refused. PostgreSQL 15 or newer through psycopg 3: writes in READ COMMITTED (each statement sees what committed before
it, conditional updates recheck), reads in one REPEATABLE READ snapshot.
"""

from __future__ import annotations

import fcntl
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from deb_orchestrator.store import clock as clocks
from debcore.errors import Failure

#: Seconds that a writer waits for another one.
WRITE_TIMEOUT = 60
POSTGRES_FLOOR = 15

#: Called after a commit with the topics that `hint` collected in it.
Listener = Callable[[frozenset[str]], None]
_HINTS = "debootc_hints"
#: Seconds of rest after which a connection to PostgreSQL is tried before it is used.
PING_AFTER_S = 2.0
_RESTS = "debootc_rests"
#: Transactions with PostgreSQL that run at once in a process, and the seconds after which another one is not held back
#: any more. Threads that wait for a server take the interpreter from each other at each answer: 24 at once take twice
#: the processor time of 4, and get less done.
TURNS, TURN_S = 4, 0.25


class Database:
    """Two engines on one database. Close it, or use it as a context manager."""

    def __init__(
        self, read_engine: Engine, write_engine: Engine, *, look_engine: Engine | None = None, lock: int | None = None
    ) -> None:
        self.read_engine = read_engine
        self._look_engine = look_engine or read_engine
        self.write_engine = write_engine
        self._lock = lock
        self._turns = threading.BoundedSemaphore(TURNS) if self.dialect == "postgresql" else None
        self._listeners: list[Listener] = []
        self._closers: list[Callable[[], None]] = []

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.write_engine.dialect.name

    @property
    def url(self) -> URL:
        return self.write_engine.url

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot; writing in it fails."""
        with self._turn(), self.read_engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """For statements that read and need no snapshot in common: PostgreSQL is spared BEGIN and COMMIT."""
        with self._turn(), self._look_engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed if the block ends well. Never open one inside another: it would wait for itself.

        After the commit, listeners hear the topics given to `hint`.
        """
        topics: set[str] = set()
        with self._turn(), self.write_engine.connect() as connection:
            connection.info[_HINTS] = topics
            try:
                with connection.begin():
                    yield connection
            finally:
                connection.info.pop(_HINTS, None)
        if topics:
            for listener in tuple(self._listeners):
                listener(frozenset(topics))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        taken = self._turns is not None and self._turns.acquire(timeout=TURN_S)
        try:
            yield
        finally:
            if taken and self._turns is not None:
                self._turns.release()

    def on_commit(self, listener: Listener) -> None:
        """Call *listener* (in the committing thread; it must not block) after each commit that hinted at something."""
        self._listeners.append(listener)

    def on_close(self, closer: Callable[[], None]) -> None:
        """Call *closer* when this database is closed: it ends what holds connections of its own."""
        self._closers.append(closer)

    def close(self) -> None:
        """Close all connections and give up the lock."""
        while self._closers:
            self._closers.pop()()
        self.read_engine.dispose()
        self.write_engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def hint(connection: Connection, topic: str) -> None:
    """Tell *topic* to the listeners if and when this transaction commits. Losing a hint costs latency only."""
    topics: set[str] | None = connection.info.get(_HINTS)
    if topics is not None:
        topics.add(topic)


def insert_new(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that does nothing where a row with the same unique key exists (PostgreSQL waits for its writer)."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def open_database(url: str | Path, *, alone: bool = True, clock: clocks.Clock | None = None) -> Database:
    """Open (SQLite: create) the database at *url*: a path, `sqlite:///PATH` or `postgresql://…`. Makes no tables.

    *alone* takes the lock that keeps a second hub off a SQLite file; PostgreSQL serves any number of hubs.
    Errors: Failure if the URL is none, the file is taken, or the server cannot be reached or is too old.
    """
    parsed = _parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(Path(parsed.database or ""), alone=alone, clock=clock or clocks.make_monotonic_clock())
    return _open_postgres(parsed, clock=clock or clocks.postgres_clock)


def _parse_url(url: str | Path) -> URL:
    if isinstance(url, Path) or "://" not in url:
        return URL.create("sqlite", database=str(url))
    try:
        parsed = make_url(url)
    except ArgumentError as err:
        raise Failure("the database's URL cannot be read", hint="use sqlite:///PATH or postgresql://HOST/NAME") from err
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise Failure(
            f"{parsed.get_backend_name()} is no database we know", hint="use sqlite:///PATH or postgresql://HOST/NAME"
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise Failure("the SQLite database needs a file", hint="use sqlite:///PATH")
    return parsed


def _open_sqlite(path: Path, *, alone: bool, clock: clocks.Clock) -> Database:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # SQLite gives its WAL the same mode
        lock = _take_lock(path) if alone else None
    except OSError as err:
        raise Failure(f"{path} cannot be opened: {err.strerror}", hint="choose a directory that we may write") from err
    url = URL.create("sqlite", database=str(path))
    options = {clocks.OPTION: clock}
    common: dict[str, Any] = {"connect_args": {"timeout": WRITE_TIMEOUT, "check_same_thread": False}}
    # One connection writes: waiting in our pool is fair and wakes at once, SQLite's busy handler is neither.
    write = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=WRITE_TIMEOUT, **common)
    # Kept: to open one costs as much as some reads.
    read = sa.create_engine(url, pool_size=16, max_overflow=16, **common)
    _set_up_sqlite(write, begin="BEGIN IMMEDIATE", pragmas=("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"))
    _set_up_sqlite(read, begin="BEGIN", pragmas=("query_only=ON",))
    try:
        with write.connect():  # makes the file and its WAL before the first reader comes
            pass
    except DBAPIError as err:
        if lock is not None:
            os.close(lock)
        raise Failure(f"{path} cannot be opened: {err.orig}", hint="is it a database, and may we write there?") from err
    return Database(read.execution_options(**options), write.execution_options(**options), lock=lock)


def _set_up_sqlite(engine: Engine, *, begin: str, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def connected(dbapi_connection: Any, _record: object) -> None:
        dbapi_connection.isolation_level = None  # else the driver begins transactions of its own
        for pragma in pragmas:
            dbapi_connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _take_lock(path: Path) -> int:
    """An exclusive flock(2) on PATH.lock; the kernel frees it when we die, however we die."""
    name = path.with_name(path.name + ".lock")
    lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise Failure(
            f"another hub uses {path} (process {holder})",
            hint="stop it, or move to PostgreSQL, which serves any number of hubs",
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _open_postgres(url: URL, *, clock: clocks.Clock) -> Database:
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        isolation_level="READ COMMITTED",
        pool_size=8,  # of which a server has 100 for all hubs, unless it is told otherwise
        max_overflow=24,
    ).execution_options(**{clocks.OPTION: clock})
    try:
        with engine.connect() as connection:
            version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10000
    except OperationalError as err:
        engine.dispose()
        raise Failure(
            f"cannot reach PostgreSQL at {url.render_as_string(hide_password=True)}: {err.orig}",
            hint="check that the server runs and that this user may connect (psql with the same URL)",
        ) from err
    if version < POSTGRES_FLOOR:
        engine.dispose()
        raise Failure(f"PostgreSQL {version} is too old", hint=f"version {POSTGRES_FLOOR} or newer is needed")
    _ping_what_rested(engine)
    read = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    look = engine.execution_options(isolation_level="AUTOCOMMIT")
    return Database(read, engine, look_engine=look)


def _ping_what_rested(engine: Engine) -> None:
    """Before it is used, a connection that rested is tried: the server may have gone. One used just now is not: that
    would be a round trip for each transaction. One statement then fails, and with it all old connections are left."""

    @event.listens_for(engine, "checkin")
    def rest(_dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_RESTS] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(dbapi_connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get(_RESTS, math.inf) < PING_AFTER_S:
            return
        try:
            engine.dialect.do_ping(dbapi_connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool makes another
