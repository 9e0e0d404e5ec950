#!/usr/bin/env python3
"""One pass of the solver over all sources of an archive, as the hub makes it: what of it can be built on trixie.

    scale_solver.py [SOURCES…=1000 10000 60000] [--json]

60000 stands for the sources of 60,000 packages, some 32,500; smaller numbers are sources. Reduced build dependencies of
each are put to dose3 in one call, on the indexes of trixie and an empty suite.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from benchmarks.archive import ARCH, load_packages, store
from benchmarks.measure import print_table, say_row, say_start
from deb_orchestrator.services.solving import DoseSolver
from debcore.relations import reduce_build_depends
from debroot.dose import Asked
from debroot.sources import find_host_sources

TITLE = "The solver over all sources"
HEADER = ("sources", "reduced, s", "all, s", "CPU, s", "ms a source", "that cannot be built", "largest child, MiB")


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or [1000, 10000, 60000]
    say_start(TITLE)
    sources = load_packages(60000).sources
    solver, archive = DoseSolver(Path(store().path)), find_host_sources("trixie")
    solver.solve(archive, ARCH, (), b"")  # the tools root and the indexes are there
    rows = []
    for size in sizes:
        start, used = time.perf_counter(), cpu()
        asked = [
            Asked(*reduce_build_depends(dict(one.items()), any=True, all=True, arch=ARCH, profiles=()))
            for one in sources[:size]
        ]
        reduced = time.perf_counter() - start
        said = solver.solve(archive, ARCH, asked, b"")
        took = time.perf_counter() - start
        bad = sum(1 for unmet in said.unmet if unmet)
        spent = cpu() - used
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        times = [f"{one:.1f}" for one in (reduced, took, spent, 1000 * took / len(asked))]
        rows.append((len(asked), *times, bad, f"{peak:.0f}"))
        say_row(TITLE, HEADER, rows[-1])
    print_table(TITLE, HEADER, rows, said=True)


def cpu() -> float:
    """Seconds of this process and of those that it ran and that ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


if __name__ == "__main__":
    main()
