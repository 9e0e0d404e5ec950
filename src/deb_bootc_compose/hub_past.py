"""A suite of the hub as it was at an event: the hub makes a snapshot of it, which has a name and stays as it is."""

from __future__ import annotations

import time

from deb_bootc_compose.embedded import HubAddress
from debcore.errors import Failure, HostFailed
from debcore.http import HttpFailure
from debcore.hub.credential import load_token
from debcore.hub.model import Suite
from debcore.hub.repo_client import RepoClient
from debcore.hub.repos import Snapshot, SnapshotAsk

SIGNED_WITHIN, LOOK = 180.0, 0.5  #: seconds, for the hub's signer; between two looks
AT = "@"  #: between suite and event in the name of a snapshot


def find_suite(address: HubAddress, name: str, event: int | None = None) -> Suite:
    """The suite *name*, as of *event* if one is said; NAME@EVENT is the same, as a lock has it.

    Errors: Failure if the hub has no such suite, or nothing of it then; HostFailed if nobody signs the snapshot.
    """
    base, at, number = name.partition(AT)
    if at and number.isdigit():
        event = int(number)
    with RepoClient(address.url, load_token(address.token_file) if address.token_file else None, ca=address.ca) as hub:
        suite = hub.suite(base)
        if event is None:
            return suite
        try:
            snapshot = hub.make_snapshot(base, SnapshotAsk(event=event))
        except HttpFailure as failure:
            if failure.code not in (400, 404, 409, 422):
                raise
            hint = f"its events: deb-orchestrator suite history {base}"
            raise Failure(f"the hub has no {base} as of event {event}: {failure}", hint=hint) from failure
        live = snapshot if snapshot.live else _wait(hub, snapshot)
    return suite.model_copy(update={"name": live.name, "apt_uri": live.apt_uri, "event": live.event})


def _wait(hub: RepoClient, snapshot: Snapshot) -> Snapshot:
    end = time.monotonic() + SIGNED_WITHIN
    while time.monotonic() < end:
        for found in hub.snapshots(snapshot.suite):
            if found.name == snapshot.name and found.live:
                return found
        time.sleep(LOOK)
    raise HostFailed(f"{snapshot.name} was not signed within {SIGNED_WITHIN:g} s", hint="does the hub's signer run?")
