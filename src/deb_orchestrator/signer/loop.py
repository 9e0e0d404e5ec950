"""The signer's loop: ask the hub for `sign` jobs, answer them, for ever. Outbound only; nothing listens."""

from __future__ import annotations

import logging
import secrets
import threading
from pathlib import Path
from typing import Protocol

from deb_orchestrator.signer.desk import Desk
from deb_orchestrator.signer.model import SignAnswer
from debcore.errors import Failure, HostFailed
from debcore.http import HttpFailure, Unreachable
from debcore.hub.client import JobClient
from debcore.hub.model import ClaimAsk, Claimed
from debcore.trace import tracing

log = logging.getLogger(__name__)

#: Seconds that a claim is parked at the hub, and pauses after faults.
_PARK = 20.0
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)


class Jobs(Protocol):
    """Where sign jobs come from and answers go. Errors of both: Unreachable, HttpFailure."""

    def claim(self) -> Claimed | None:
        """The next job, or None after a while without any."""
        ...

    def finish(self, claimed: Claimed, answer: SignAnswer) -> None: ...


class HttpJobs:
    """Jobs of a hub. A claim id is kept until it was answered with a job, so that a lost answer costs nothing."""

    def __init__(self, client: JobClient) -> None:
        self._client = client
        self._claim_id = secrets.token_urlsafe(24)
        self._boot_id = secrets.token_urlsafe(16)

    def claim(self) -> Claimed | None:
        try:
            claimed = self._client.claim(ClaimAsk(claim_id=self._claim_id, boot_id=self._boot_id, wait=_PARK))
        except HttpFailure as failure:
            if failure.code == 409:  # the attempt that this id stood for is over
                self._claim_id = secrets.token_urlsafe(24)
                return None
            raise
        if claimed is not None:
            self._claim_id = secrets.token_urlsafe(24)
        return claimed

    def finish(self, claimed: Claimed, answer: SignAnswer) -> None:
        self._client.finish(claimed, answer.model_dump(mode="json"), answer.hash)


def run_signer(desk: Desk, jobs: Jobs, stop: threading.Event) -> None:
    """Until *stop* is set. Errors: HttpFailure 401 and 403 (the token is not good, or was revoked)."""
    faults = 0
    while not stop.is_set():
        try:
            if (claimed := jobs.claim()) is not None:
                with tracing(claimed.trace):
                    answer_job(desk, jobs, claimed)
            faults = 0
        except Failure as failure:
            if isinstance(failure, HttpFailure) and failure.code in (401, 403):
                raise
            if not isinstance(failure, HttpFailure | Unreachable | HostFailed):
                raise
            pause = _PAUSES[min(faults, len(_PAUSES) - 1)]
            faults += 1
            log.warning("%s; next try in %g s", failure, pause)
            stop.wait(pause)


def answer_job(desk: Desk, jobs: Jobs, claimed: Claimed) -> None:
    """One job. A stale attempt is dropped: whoever has the job now signs the same input again."""
    answer = desk.answer(claimed.spec, job=claimed.job, attempt=claimed.attempt)
    log.info("job %d: %s", claimed.job, answer.reason or f"{claimed.spec.get('kind')} {answer.status}")
    try:
        jobs.finish(claimed, answer)
    except HttpFailure as failure:
        if failure.code != 409:
            raise
        log.warning("job %d was given to another signer meanwhile", claimed.job)


def run_http_signer(state: Path, client: JobClient, stop: threading.Event) -> None:
    """What `deb-orchestrator signer` runs: the desk in *state*, jobs from the client's hub."""
    with Desk(state) as desk:
        run_signer(desk, HttpJobs(client), stop)
