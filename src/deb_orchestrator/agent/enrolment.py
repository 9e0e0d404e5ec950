"""How agents and signers come to be known: a token of their own making, shown to the hub, approved by an admin."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from pathlib import Path

from debcore.errors import Failure
from debcore.http import HttpFailure, Unreachable
from debcore.hub.client import JobClient
from debcore.hub.credential import load_token
from debcore.hub.model import Agent, Enrol
from debcore.path import write_file

log = logging.getLogger(__name__)

#: Seconds between looks while it waits to be approved.
LOOK_S = 2.0


def find_token(state: Path) -> str:
    """The token in *state*, made at the first call (mode 0600)."""
    path = state / "token"
    if not path.exists():
        write_file(path, secrets.token_urlsafe(32) + "\n", mode=0o600)
    return load_token(path)


def enrol(client: JobClient, ask: Enrol, stop: threading.Event) -> Agent | None:
    """Return once the hub lets us work; None if *stop* came first. Waits for hubs that do not answer.

    Errors: Failure if we were revoked, or our name is taken.
    """
    told = False
    while not stop.is_set():
        try:
            known = client.enrol(ask)
            if known.state == "revoked":
                raise Failure(f"agent {ask.name} was revoked", hint="remove its token file to enrol anew")
            if known.state == "approved":
                return client.me()
            if not told:
                fingerprint = hashlib.sha256(ask.token.encode()).hexdigest()[:16]
                log.info(
                    "waiting for approval: deb-orchestrator agent approve %s (fingerprint %s)", ask.name, fingerprint
                )
                told = True
        except Unreachable as failure:
            log.warning("%s", failure)
        except HttpFailure as failure:
            if failure.code < 500 and failure.code != 429:
                raise
            log.warning("%s", failure)
        stop.wait(LOOK_S)
    return None
