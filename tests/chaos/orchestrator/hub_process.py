"""A hub as small as can be, to be killed: statements behind a unix socket, one JSON line each way, and a reaper.

It loses some answers after the commit and handles some requests twice, as networks and clients do.
"""

from __future__ import annotations

import json
import random
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from deb_orchestrator.dispatch import statements
from deb_orchestrator.dispatch.classes import find_classes
from deb_orchestrator.dispatch.tokens import release_waiting
from deb_orchestrator.domain.jobs import Held, JobError, LostRace, NewJob, Offer, Outcome, Policy
from deb_orchestrator.store.engine import Database, open_database

POLICY = Policy(lease_s=3, gap_s=1, exclude_s=0.5)
REAP_S = 0.3
LOST = 0.05
DOUBLED = 0.05


def serve(url: str, path: Path) -> None:
    database = open_database(url)
    reap(database)  # before it serves
    threading.Thread(target=keep_reaping, args=(database,), daemon=True).start()
    path.unlink(missing_ok=True)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            request = json.loads(self.rfile.readline())
            for _ in range(1 + (random.random() < DOUBLED)):
                answer = handle(database, request)
            if random.random() >= LOST:
                self.wfile.write(json.dumps(answer).encode() + b"\n")

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(str(path), Handler) as server:
        server.serve_forever()


def reap(database: Database) -> None:
    with database.write() as db:
        statements.reap(db, policy=POLICY)
        release_waiting(db, ["package:any"])


def keep_reaping(database: Database) -> None:
    while True:
        time.sleep(REAP_S)
        reap(database)


def handle(database: Database, request: dict[str, Any]) -> dict[str, Any]:
    try:
        with database.write() as db:
            return ACTIONS[request["do"]](db, request)
    except LostRace:
        raise
    except JobError as refusal:
        return {"refused": type(refusal).__name__, "why": str(refusal)}


def enqueue(db: Any, request: dict[str, Any]) -> dict[str, Any]:
    new = NewJob(
        kind="build", spec={}, key=request["key"], depends_on=tuple(request["needs"]), priority=request["priority"],
        max_attempts=1000,
    )  # fmt: skip
    return {"job": statements.enqueue(db, new)}


def claim(db: Any, request: dict[str, Any]) -> dict[str, Any]:
    held = [Held(*one) for one in request["held"]]
    claimed = statements.claim(
        db, request["agent"], request["claim"], find_classes(db, Offer()), request["boot"], held, policy=POLICY
    )
    return {"claimed": [claimed.job, claimed.attempt, claimed.grant] if claimed else None}


def beat(db: Any, request: dict[str, Any]) -> dict[str, Any]:
    return {"cancel": statements.beat(db, *request["attempt"], policy=POLICY).cancel}


def finish(db: Any, request: dict[str, Any]) -> dict[str, Any]:
    outcome = Outcome(request["outcome"])
    digest = request["digest"]
    job, attempt, grant = request["attempt"]
    done = statements.finish(db, job, attempt, grant, outcome, {"digest": digest}, digest, policy=POLICY)
    return {"state": done.state, "replayed": done.replayed}


def cancel(db: Any, request: dict[str, Any]) -> dict[str, Any]:
    return {"state": statements.cancel(db, request["job"], reason="chaos").state}


ACTIONS: dict[str, Callable[[Any, dict[str, Any]], dict[str, Any]]] = {
    "enqueue": enqueue,
    "claim": claim,
    "beat": beat,
    "finish": finish,
    "cancel": cancel,
}

if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        serve(sys.argv[1], Path(sys.argv[2]))
