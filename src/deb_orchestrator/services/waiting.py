"""Builds whose dependencies could not be met, and which publication wakes which of them.

A wait is a token of the job (`job_wait`): `suite:S` comes with any publication of S, and `suite:S@N:WAIT` with one that
holds something for WAIT (domain/waits.py) that S did not have at event N, which the attempt that failed has seen.
Because N is the failed attempt's, no build is woken twice by one package.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from deb_orchestrator.dispatch.tokens import find_waiting, release_jobs
from deb_orchestrator.domain.jobs import State
from deb_orchestrator.domain.waits import Wait, find_waits, is_met, parse_clause, parse_provides
from deb_orchestrator.services.asking import ask_again, find_archive, is_for_solver
from deb_orchestrator.services.suite_view import find_order, load_parents
from deb_orchestrator.store.tables import job, job_attempt, job_wait
from deb_orchestrator.store.tables_publish import binary_package, publication, suite_binary
from deb_orchestrator.store.tables_suite import suite_parent, suite_rule
from debcore.deb822 import parse_stanza
from debcore.job import Result, Unmet


@dataclass(frozen=True)
class Token:
    text: str
    arch: str | None
    event: int
    wait: Wait


def suite_token(suite: str) -> str:
    """What a job waits for that any change of *suite* may help."""
    return f"suite:{suite}"


def find_tokens(db: Connection, suite: str, job_id: int, attempt: int, result: Result) -> list[str]:
    """What the job waits for if this attempt of it could not have its dependencies."""
    event = _find_seen(db, suite, job_id, attempt)
    return make_tokens(suite, event, result.failure.unmet if result.failure else ())


def make_tokens(suite: str, event: int, unmet: Iterable[Unmet]) -> list[str]:
    """What a proof that was found on the suite as of *event* waits for."""
    waits = find_waits(unmet)
    return [f"{suite_token(suite)}@{event}:{wait}" for wait in waits] or [suite_token(suite)]


def _find_seen(db: Connection, suite: str, job_id: int, attempt: int) -> int:
    """The event of the publication that was live when the attempt began: it may have seen later ones too."""
    began = sa.select(job_attempt.c.claimed_at).where(job_attempt.c.job_id == job_id, job_attempt.c.attempt == attempt)
    query = sa.select(publication.c.event).where(
        publication.c.suite == suite, publication.c.live_at <= began.scalar_subquery()
    )
    return int(db.execute(query.order_by(publication.c.generation.desc()).limit(1)).scalar() or 0)


def wake(db: Connection, suite: str) -> tuple[int, ...]:
    """Queue the jobs for which the live generation of *suite* has what they wait for, or put them to the solver.

    Returns the ids of those that are queued.
    """
    tokens = _load_tokens(db, suite)
    met = {suite_token(suite)}
    if tokens:
        met |= _find_met(db, suite, tokens)
    return _release(db, suite, sorted(met))


def catch_up(db: Connection, suite: str, job_id: int) -> None:
    """The same for one job that begins to wait now: what it waits for may have been published while it was tried."""
    mine = set(db.execute(sa.select(job_wait.c.token).where(job_wait.c.job_id == job_id)).scalars())
    tokens = [token for token in _load_tokens(db, suite) if token.text in mine]
    if tokens and (met := _find_met(db, suite, tokens)):
        _release(db, suite, sorted(met))


def _release(db: Connection, suite: str, tokens: Sequence[str]) -> tuple[int, ...]:
    rows = find_waiting(db, tokens)
    solved = [row for row in rows if is_for_solver(row)] if find_archive(db, suite) else []
    ask_again(db, suite, solved)
    return release_jobs(db, [row for row in rows if row not in solved])


def list_waits(db: Connection, job_id: int) -> list[str]:
    """What a blocked job waits for, in words."""
    texts = db.execute(sa.select(job_wait.c.token).where(job_wait.c.job_id == job_id)).scalars()
    return sorted({text.partition("@")[2].partition(":")[2] for text in texts} - {""})


def _load_tokens(db: Connection, suite: str) -> list[Token]:
    query = sa.select(job_wait.c.token, job.c.arch).join(job, job.c.id == job_wait.c.job_id)
    mine = job_wait.c.token.startswith(f"{suite_token(suite)}@", autoescape=True)
    rows = db.execute(query.where(mine, job.c.state == State.BLOCKED.value).distinct())
    return [token for row in rows for token in _parse_token(row.token, row.arch)]


def _parse_token(text: str, arch: str | None) -> Iterator[Token]:
    event, _, clause = text.partition("@")[2].partition(":")
    for wait in parse_clause(clause):
        yield Token(text, arch, int(event), wait)


def _find_met(db: Connection, suite: str, tokens: list[Token]) -> set[str]:
    live = sa.select(publication.c.event).where(publication.c.suite == suite, publication.c.state == "live")
    until = int(db.execute(live).scalar() or 0)
    order = find_order(load_parents(db), suite)
    turned = _find_turn(db, order, until)
    met = {token.text for token in tokens if turned > token.event}
    left = [token for token in tokens if token.text not in met]
    since = min((token.event for token in left), default=until)
    changed = _index(_load_changes(db, order, since, until)) if left else {}
    for token in left:
        for version, arch, event in changed.get(token.wait.name, ()):
            fits = token.arch in (None, arch) or arch == "all"
            if fits and event > token.event and is_met(token.wait, version):
                met.add(token.text)
    return met


def _find_turn(db: Connection, order: Iterable[str], until: int) -> int:
    """The last event up to *until* at which what these suites inherit or take changed."""
    found = [0]
    for table in (suite_parent, suite_rule):
        for column in (table.c.created_event, table.c.revoked_event):
            last = sa.select(sa.func.max(column)).where(table.c.suite.in_(list(order)), column <= until)
            found.append(db.execute(last).scalar() or 0)
    return max(found)


def _load_changes(db: Connection, order: Iterable[str], since: int, until: int) -> list[Row[Any]]:
    """Binaries that came into one of the suites after event *since*; those that left only make room."""
    p, m = binary_package.c, suite_binary.c
    query: sa.Select[Any] = sa.select(p.name, p.version, p.arch, p.stanza, m.created_event)
    query = query.join(suite_binary, m.package_id == p.id)
    query = query.where(m.suite.in_(list(order)), m.created_event > since, m.created_event <= until)
    return list(db.execute(query).all())


def _index(rows: Iterable[Row[Any]]) -> dict[str, list[tuple[str | None, str, int]]]:
    """Name → version, architecture and event of each package that has or provides it."""
    found: dict[str, list[tuple[str | None, str, int]]] = {}
    for row in rows:
        gives: list[tuple[str, str | None]] = [(row.name, row.version)]
        if "\nProvides:" in row.stanza:
            gives += parse_provides(parse_stanza(row.stanza).get("Provides", ""))
        for name, version in gives:
            found.setdefault(name, []).append((version, row.arch, row.created_event))
    return found
