"""The one clock that leases are measured with: the database's.

PostgreSQL answers for itself. On SQLite, where only one hub exists, time is wall time at start plus monotonic time:
setting the host's clock, or suspending the host, moves no lease.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import BigInteger, Connection

#: Gives the time of *connection*'s database in milliseconds since the epoch.
Clock = Callable[[Connection], int]

#: Execution option of the engines that carries the clock.
OPTION = "debootc_clock"

_POSTGRES_NOW = sa.select(sa.cast(sa.func.floor(sa.extract("epoch", sa.func.clock_timestamp()) * 1000), BigInteger))


def now(connection: Connection) -> int:
    """Milliseconds since the epoch, UTC. Read anew at each call: a transaction that waited for a lock sees it."""
    clock: Clock = connection.get_execution_options()[OPTION]
    return clock(connection)


def as_datetime(at: int) -> datetime:
    """A stored time as an aware datetime, UTC."""
    return datetime.fromtimestamp(at / 1000, UTC)


def postgres_clock(connection: Connection) -> int:
    """The server's own wall clock (clock_timestamp(), not the time at which the transaction began)."""
    return int(connection.execute(_POSTGRES_NOW).scalar_one())


def make_monotonic_clock() -> Clock:
    """A clock that starts at wall time and then follows CLOCK_MONOTONIC."""
    offset = time.time_ns() - time.monotonic_ns()
    return lambda _connection: (offset + time.monotonic_ns()) // 1_000_000
