"""A suite of the hub as it was at an event: the hub makes a snapshot of it, which has a name and stays as it is."""

from __future__ import annotations

from deb_bootc_compose.embedded import HubAddress
from debcore.errors import Failure
from debcore.http import HttpFailure
from debcore.hub.credential import load_token
from debcore.hub.model import Suite
from debcore.hub.repo_client import RepoClient
from debcore.hub.repos import SnapshotAsk

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
            live = hub.make_live_snapshot(base, SnapshotAsk(event=event))
        except HttpFailure as failure:
            if failure.code not in (400, 404, 409, 422):
                raise
            hint = f"its events: deb-orchestrator suite history {base}"
            raise Failure(f"the hub has no {base} as of event {event}: {failure}", hint=hint) from failure
    return suite.model_copy(update={"name": live.name, "apt_uri": live.apt_uri, "event": live.event})
