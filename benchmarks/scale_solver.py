#!/usr/bin/env python3
"""One pass of the solver over all sources of an archive, as the hub makes it: what of it can be built on trixie.

    scale_solver.py [SOURCES…=1000 10000 60000]

60000 stands for the sources of 60,000 packages, some 32,500; smaller numbers are sources. Reduced build dependencies of
each are put to dose3 in one call, on the indexes of trixie and an empty suite.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from benchmarks.archive import ARCH, load_packages, store
from benchmarks.measure import print_table
from deb_orchestrator.services.solving import DoseSolver
from debcore.relations import reduce_build_depends
from debroot.dose import Asked
from debroot.sources import find_host_sources


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or [1000, 10000, 60000]
    sources = load_packages(60000).sources
    solver, archive = DoseSolver(Path(store().path)), find_host_sources("trixie")
    solver.solve(archive, ARCH, (), b"")  # the tools root and the indexes are there
    rows = []
    for size in sizes:
        start = time.perf_counter()
        asked = [
            Asked(*reduce_build_depends(dict(one.items()), any=True, all=True, arch=ARCH, profiles=()))
            for one in sources[:size]
        ]
        reduced = time.perf_counter() - start
        said = solver.solve(archive, ARCH, asked, b"")
        took = time.perf_counter() - start
        bad = sum(1 for unmet in said.unmet if unmet)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        rows.append(
            (len(asked), f"{reduced:.1f}", f"{took:.1f}", f"{1000 * took / len(asked):.1f}", bad, f"{peak:.0f}")
        )
        print(*rows[-1], file=sys.stderr)
    header = ("sources", "reduced, s", "all, s", "ms a source", "that cannot be built", "largest child, MiB")
    print_table("The solver over all sources", header, rows)


if __name__ == "__main__":
    main()
