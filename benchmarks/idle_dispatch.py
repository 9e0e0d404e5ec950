#!/usr/bin/env python3
"""Asking an idle hub for a package → an agent has the job: over HTTP, with the shipped client, a parked claim.

    idle_dispatch.py [COUNT=50]

`deb-orchestrator hub` runs as a process on SQLite. The time goes from the call of message 1 (sources are with the hub
already) to the claim's answer.
"""

from __future__ import annotations

import secrets
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.measure import print_table, spread
from debcore.hub.client import JobClient
from debcore.hub.model import ClaimAsk, Claimed, Enrol, NeededPackage, PackagesNeeded, SourceFile
from tests.integration.orchestrator.stack import Stack, admin_of, client_of
from tests.unit.orchestrator.services.farm import make_dsc

TARGET = "bench"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as scratch:
        stack = Stack(Path(scratch))
        try:
            figures = measure(stack, Path(scratch), count)
        finally:
            stack.end()
    p99 = statistics.quantiles(figures, n=100)[98] * 1000
    rows = [("asked → claimed", spread(figures, scale=1000, digits=1), f"{p99:.1f}", "50 and 1000")]
    print_table("Dispatch on an idle hub", ("what", f"ms, median of {count} (min–max)", "p99", "promise"), rows)


def measure(stack: Stack, scratch: Path, count: int) -> list[float]:
    _, document = stack.start_ready("hub", "--state", scratch / "hub", "--port", "0")
    token = secrets.token_urlsafe(32)
    figures: list[float] = []
    with client_of(document) as client, JobClient(document["url"], token) as agent, admin_of(document) as admin:
        agent.enrol(Enrol(name="bench", token=token, arches=("amd64",)))
        admin.approve("bench")
        client.ensure_target(TARGET, "debian-trixie")
        for number in range(count):
            name = f"bench-{number}"
            dsc = scratch / f"{name}_1.0.dsc"
            tarball = scratch / f"{name}_1.0.tar.xz"
            tarball.write_bytes(name.encode())
            dsc.write_bytes(make_dsc(name, "1.0", binaries=[name], tarball=name.encode()))
            files = tuple(
                SourceFile(name=path.name, sha256=client.put_blob(path), size=path.stat().st_size)
                for path in (dsc, tarball)
            )
            package = NeededPackage(source=name, version="1.0", dsc_sha256=files[0].sha256, files=files)
            got: list[tuple[float, Claimed | None]] = []
            claimant = threading.Thread(target=lambda: got.append(claim(agent)))  # noqa: B023 -- joined below
            claimant.start()
            time.sleep(0.2)  # the claim is parked
            start = time.perf_counter()
            request = client.need_packages(PackagesNeeded(target=TARGET, arches=("amd64",), packages=(package,)))
            claimant.join()
            at, claimed = got[0]
            assert claimed is not None
            figures.append(at - start)
            client.cancel_request(request.id)
            if agent.beat(claimed).cancel:
                result = {"job": str(claimed.job), "attempt": claimed.attempt, "status": "cancelled"}
                agent.finish(claimed, result, secrets.token_hex(32))
    return figures


def claim(agent: JobClient) -> tuple[float, Claimed | None]:
    claimed = agent.claim(ClaimAsk(claim_id=secrets.token_urlsafe(16), boot_id="bench", arches=("amd64",), wait=20))
    return time.perf_counter(), claimed


if __name__ == "__main__":
    main()
