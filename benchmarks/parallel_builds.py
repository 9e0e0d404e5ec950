#!/usr/bin/env python3
"""Builds of one target at once: do they wait for each other, and does work on all cores take what it must?

    parallel_builds.py [SLEEPERS=16] [SECONDS=30] [ROUNDS=3]

*sleepers*: SLEEPERS builds that sleep SECONDS, as processes of their own, and as one chain. *working*: one build that
computes, then as many at once as there are cores; 1.00 would mean that those take no longer than the one.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import BIN, print_table, spread
from debcore.command import run, spawn
from tests.integration.deb_mock.conftest import make_native

PRESET = "debian-trixie-amd64"
#: About ten seconds of one core, without a compiler's output that would go through the log.
WORK = "perl -e 'my $$x = 0; $$x = ($$x * 1103515245 + 12345) % 2147483648 for 1 .. 120_000_000'"


def main() -> None:
    numbers = [int(word) for word in sys.argv[1:]]
    sleepers, seconds, rounds = [*numbers, *(16, 30, 3)[len(numbers) :]]
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(dir=os.environ.get("DEBOOTC_BENCH_DIR")) as name:
        place = Path(name)
        sleeping = make_sources(place, "sleeper", sleepers, f"sleep {seconds}")
        working = make_sources(place, "worker", cores, WORK)
        build_all(working[:1], place)  # the base root stands from here on
        rows = []
        apart = [build_all(sleeping, place) for _ in range(rounds)]
        chained = [chain_all(sleeping, place, number) for number in range(rounds)]
        for what, times in (("deb-mock build, each a process", apart), ("deb-mock chain --jobs", chained)):
            rows.append((f"{sleepers} × sleep {seconds}", what, spread(times), f"{min(times) - seconds:.1f} s over"))
        one, many = [], []
        for _ in range(rounds):
            one.append(build_all(working[:1], place))
            many.append(build_all(working, place))
        rows.append(("1 that computes", "deb-mock build", spread(one), ""))
        share = min(one) / min(many)
        rows.append((f"{cores} that compute", "deb-mock build, each a process", spread(many), f"{share:.2f} × {cores}"))
    header = ("builds", "how", f"s, median of {rounds} (min–max)", "")
    print_table("Builds of one target at once", header, rows)


def make_sources(place: Path, name: str, count: int, command: str) -> list[Path]:
    """Packed source packages, so that only the builds themselves are timed."""
    found = []
    for number in range(count):
        tree = make_native(place / "trees", name=f"{name}{number}", build=command)
        out = place / "sources"
        run([BIN / "deb-mock", "source", tree, "-r", PRESET, "--resultdir", out])
        found.append(out / f"{name}{number}_1.0.dsc")
    return found


def build_all(sources: list[Path], place: Path) -> float:
    """Wall time until the last of them has ended."""
    start = time.perf_counter()
    processes = [
        spawn([BIN / "deb-mock", "build", dsc, "-r", PRESET, "--resultdir", place / "out" / dsc.stem], stdout=2)
        for dsc in sources
    ]
    statuses = [process.wait() for process in processes]
    if any(statuses):
        raise SystemExit(f"builds failed: {statuses}")
    return time.perf_counter() - start


def chain_all(sources: list[Path], place: Path, number: int) -> float:
    start = time.perf_counter()
    out = place / f"chain{number}"
    run([BIN / "deb-mock", "chain", "-r", PRESET, "--resultdir", out, "--jobs", str(len(sources)), *sources])
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
