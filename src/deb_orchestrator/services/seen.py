"""When agents were seen that asked in vain: noted in memory, and written for all of them in one transaction."""

from __future__ import annotations

import threading

from sqlalchemy import or_, select, update

from deb_orchestrator.store.engine import Database
from deb_orchestrator.store.tables import agent

#: Rows of one statement.
_CHUNK = 500


class Seen:
    """A thousand agents that each wrote a row to say that they wait would be most of what a hub writes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at: dict[int, int] = {}

    def note(self, agent_id: int, at: int) -> None:
        """*at*: by the clock of the database, in ms."""
        with self._lock:
            self._at[agent_id] = at

    def write(self, db: Database) -> int:
        """What was noted since the last call; the number of agents. What is lost with the hub is noted anew soon."""
        with self._lock:
            noted, self._at = self._at, {}
        ids = sorted(noted)
        if not ids:
            return 0
        at, a = max(noted.values()), agent.c
        with db.write() as conn:
            for start in range(0, len(ids), _CHUNK):
                old = select(a.id).where(
                    a.id.in_(ids[start : start + _CHUNK]), or_(a.seen_at.is_(None), a.seen_at < at)
                )
                # Whom a claim has locked, it writes; so this waits for nobody, and nobody for this.
                free = list(conn.execute(old.order_by(a.id).with_for_update(skip_locked=True)).scalars())
                conn.execute(update(agent).where(a.id.in_(free)).values(seen_at=at))
        return len(ids)
