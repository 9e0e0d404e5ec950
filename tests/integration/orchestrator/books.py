"""After something happened: events, accepted results, the builders' ledger and what was served agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from debcore.hub.client import HubClient
from debcore.hub.model import Build, BuildState
from tests.integration.orchestrator.walking import Watcher, walk
from tests.unit.orchestrator.services.farm import SUITE


def check_books(client: HubClient, asked: Sequence[str], runs: Sequence[str]) -> None:
    """Each job has one accepted result, of an attempt that some builder did run; events have no gap."""
    events = client.events(limit=1000)
    while len(more := client.events(events[-1].n, limit=1000)):
        events += more
    assert [event.n for event in events] == list(range(1, len(events) + 1))
    accepted = Counter(e.build for e in events if e.type == "build.complete" and not e.superseded)
    ledger = {tuple(line.split()[:2]) for line in runs}
    for build in builds_of(client, asked):
        wanted = BuildState.FAILED if build.source.startswith("broken") else BuildState.INSTALLED
        assert build.state is wanted, (build.source, build.arches[0].reason)
        assert accepted[build.id] == 1, build.source
        assert (build.source, str(build.arches[0].attempt)) in ledger, build.source


def check_served(client: HubClient, url: str, watcher: Watcher, asked: Sequence[str]) -> None:
    """Every generation that anybody saw is valid, none went back; the last has what was built, each once."""
    key = client.suite(SUITE).key
    watcher.check(url, key)
    # what takes long to make, as Contents, follows in a generation of its own, at any moment now
    while True:
        before = client.suite(SUITE).generation
        text = client.http.call("GET", f"/apt/dists/{SUITE}/InRelease").body
        if (after := client.suite(SUITE).generation) == before:
            break
    generation, found = walk(url, SUITE, key, text)
    assert generation == after
    built = [build for build in builds_of(client, asked) if build.state is BuildState.INSTALLED]
    assert found == Counter((build.source, "1.0") for build in built)
    for build in built:
        for artifact in build.arches[0].artifacts:
            assert client.http.call("GET", f"/api/v1/blobs/{artifact.sha256}").code == 200


def builds_of(client: HubClient, asked: Sequence[str]) -> list[Build]:
    return [client.build(id_) for one in asked for id_ in client.request(one).builds]
