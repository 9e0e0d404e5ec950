"""A real PostgreSQL from Debian's package, in a directory of its own, reachable only through a socket there.

Used by the contract, chaos and benchmark code. Debian's own cluster is never touched.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from deb_orchestrator.store.engine import Database, open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.store.tables import metadata
from debcore.command import STDOUT, Process, run, spawn
from debcore.errors import Failure

INSTALLED = Path("/usr/lib/postgresql")
START_TIMEOUT = 180  # seconds


@dataclass
class Server:
    """A server that runs, unless a test has crashed it."""

    directory: Path
    binaries: Path
    autovacuum: bool = True
    process: Process | None = None
    _template: str | None = None  #: the name of a migrated database, once there is one

    def start(self) -> None:
        """Return once it takes connections."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "max_connections": "200",
            "fsync": "off",  # these tests kill clients and servers, never the machine
            "shared_buffers": "64MB",
            "autovacuum": "on" if self.autovacuum else "off",
            "autovacuum_naptime": "5s",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            argv = _as_user([str(self.binaries / "postgres"), "-D", str(self.directory / "data"), *options])
            self.process = spawn(argv, stdout=log, stderr=STDOUT, cwd=self.directory, new_session=True)
        _wait_until_ready(self)

    def crash(self) -> None:
        """Immediate shutdown: no session is asked, nothing is written, the next start recovers. Source: postgres(1)."""
        self.stop(signal.SIGQUIT)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Fast shutdown, unless *how* says otherwise."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=120)
            self.process = None

    def url(self, database: str) -> str:
        return f"postgresql:///{database}?host={self.directory}&user=postgres"

    def make_database(self, template: str = "template0") -> str:
        """URL of a new database, empty unless *template* is not; it goes with the server."""
        name = f"t{uuid.uuid4().hex[:12]}"
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def make_migrated(self) -> str:
        """As `make_database`, with our tables: a copy of one that was migrated once."""
        if self._template is None:
            url = self.make_database()
            with open_database(url) as database:
                migrate(database)
            self._template = url.removeprefix("postgresql:///").partition("?")[0]
        return self.make_database(self._template)


def empty_database(database: Database) -> None:
    """Remove all rows of a migrated database and set it up as new: ids begin at 1 again."""
    tables = list(reversed(metadata.sorted_tables))
    with database.write() as db:
        if database.dialect == "postgresql":
            names = ", ".join(f'"{table.name}"' for table in tables)
            db.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
        else:
            for table in tables:
                db.execute(table.delete())
    migrate(database)


def find_binaries() -> Path:
    """The newest installed PostgreSQL of at least 15. Errors: Failure that says what to install."""
    found = [(int(path.name), path / "bin") for path in INSTALLED.glob("[0-9]*") if (path / "bin/initdb").exists()]
    usable = [one for one in found if one[0] >= 15]
    if not usable:
        raise Failure("PostgreSQL 15 or newer is not installed", hint="apt-get install postgresql, or run `make setup`")
    return max(usable)[1]


@contextmanager
def running_server(*, autovacuum: bool = True) -> Iterator[Server]:
    """Start a server that no file of the host configures, and end it and remove its files.

    *autovacuum* looks at each database each few seconds: with a database for each test it would do nothing else.
    """
    binaries = find_binaries()
    directory = Path(tempfile.mkdtemp(prefix="debootc-pg-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    try:
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")  # comes with the package; PostgreSQL refuses to run as root
            os.chown(directory, account.pw_uid, account.pw_gid)
        data = directory / "data"
        run(_as_user([str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                      "--locale=C", "--no-sync"]), cwd=directory)  # fmt: skip
        server = Server(directory, binaries, autovacuum=autovacuum)
        try:
            server.start()
            yield server
        finally:
            server.crash()  # its files go: hundreds of databases need not reach the disk first
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _as_user(argv: Sequence[str]) -> list[str]:
    """Not as root, which PostgreSQL refuses; and the server goes down with us, however we end."""
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *user, "--pdeathsig=QUIT", "--", *argv]


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            psycopg.connect(server.url("postgres")).close()
        except psycopg.OperationalError as err:
            if time.monotonic() > deadline:
                log = (server.directory / "log").read_text(errors="replace")
                raise Failure(f"PostgreSQL did not start: {err}\n{log[-2000:]}") from err
            time.sleep(0.1)
        else:
            return
