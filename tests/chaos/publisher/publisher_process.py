"""A hub's publisher to be stopped: a worker with short leases, and a reaper.

Storing a file takes it a while; NAME.storing appears when it begins.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from deb_orchestrator.dispatch import statements
from deb_orchestrator.domain.jobs import Policy
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.work import Worker
from deb_orchestrator.store.engine import open_database
from debcore.blobs import Blob, BlobStore

LEASE_S = 2.0
REAP_S = 0.3
#: Seconds that storing takes, so that a test can stop us in the midst of it.
STORE_S = 0.5


class SlowStore(BlobStore):
    mark: Path

    def put(self, data: bytes | Iterable[bytes], *, sha256: str | None = None, limit: int | None = None) -> Blob:
        self.mark.touch()
        time.sleep(STORE_S)
        return super().put(data, sha256=sha256, limit=limit)


def main(url: str, directory: Path, name: str) -> None:
    logging.basicConfig(level=logging.INFO)
    blobs = SlowStore(directory / "blobs")
    blobs.mark = directory / f"{name}.storing"
    policy = Policy(lease_s=LEASE_S, gap_s=3600)
    hub = Hub(db=open_database(url, alone=False), blobs=blobs, state=directory / name, policy=policy)

    def keep_reaping() -> None:
        while True:
            with hub.db.write() as db:
                statements.reap(db, policy=policy)
            time.sleep(REAP_S)

    threading.Thread(target=keep_reaping, daemon=True).start()
    Worker(hub, name).run(threading.Event())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
